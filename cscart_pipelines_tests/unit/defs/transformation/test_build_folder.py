"""The folders in which dbt compiles: the newest are kept, and those of builds that may run."""

import os
import time
from pathlib import Path

from cscart_pipelines.defs.transformation.dbt_build import (
    KEPT_BUILDS,
    LONGEST_BUILD,
    PARSED,
    build_folder,
)


def begun_before(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder, (moment, moment))


def test_the_folder_of_a_long_build_outlives_the_short_ones_that_begin_beside_it(
    tmp_path: Path,
) -> None:
    begun_before(build_folder(tmp_path, "long"), LONGEST_BUILD - 60)
    for number in range(2 * KEPT_BUILDS):
        build_folder(tmp_path, f"short-{number}")
    assert (tmp_path / "long").is_dir()


def test_folders_of_builds_that_have_ended_are_kept_for_the_newest_only(tmp_path: Path) -> None:
    for number in range(2 * KEPT_BUILDS):
        begun_before(build_folder(tmp_path, f"old-{number:02}"), LONGEST_BUILD + 1000 - number)
    build_folder(tmp_path, "new")
    kept = sorted(folder.name for folder in tmp_path.iterdir())
    assert kept == ["new", *(f"old-{n:02}" for n in range(KEPT_BUILDS + 1, 2 * KEPT_BUILDS))]


def test_what_dbt_has_parsed_is_at_hand_in_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / PARSED).write_text("parsed")
    assert (build_folder(tmp_path, "new") / PARSED).read_text() == "parsed"
