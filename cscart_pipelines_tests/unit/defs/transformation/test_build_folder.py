"""The folders in which dbt compiles: the newest are kept, and those of builds that may run.

So is what dbt has parsed, for each warehouse: two that share a checkout do not undo each other's.
"""

import os
import time
from pathlib import Path

from sqlalchemy.engine import URL

from cscart_pipelines.defs.transformation.dbt_build import (
    KEPT_BUILDS,
    KEPT_PARSED,
    LONGEST_BUILD,
    PARSED,
    build_folder,
    parsed_for,
)
from cscart_pipelines.warehouse.connect import Warehouse


def begun_before(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder, (moment, moment))


def parsed(builds: Path, database: str = "one", password: str = "secret") -> Path:
    return parsed_for(
        builds, Warehouse(URL.create("postgresql", "me", password, "host", 1, database))
    )


def folder_of(builds: Path, run_id: str) -> Path:
    return build_folder(parsed(builds), run_id)


def test_the_folder_of_a_long_build_outlives_the_short_ones_that_begin_beside_it(
    tmp_path: Path,
) -> None:
    begun_before(folder_of(tmp_path, "long"), LONGEST_BUILD - 60)
    for number in range(2 * KEPT_BUILDS):
        folder_of(tmp_path, f"short-{number}")
    assert (tmp_path / "long").is_dir()


def test_folders_of_builds_that_have_ended_are_kept_for_the_newest_only(tmp_path: Path) -> None:
    for number in range(2 * KEPT_BUILDS):
        begun_before(folder_of(tmp_path, f"old-{number:02}"), LONGEST_BUILD + 1000 - number)
    folder_of(tmp_path, "new")
    kept = sorted(folder.name for folder in tmp_path.iterdir())
    assert kept == ["new", *(f"old-{n:02}" for n in range(KEPT_BUILDS + 1, 2 * KEPT_BUILDS))]


def test_what_dbt_has_parsed_is_at_hand_for_the_same_warehouse_and_no_other(tmp_path: Path) -> None:
    parsed(tmp_path).write_text("parsed")
    assert parsed(tmp_path, password="changed") == parsed(tmp_path)
    assert (folder_of(tmp_path, "same") / PARSED).read_text() == "parsed"
    assert list(build_folder(parsed(tmp_path, "other"), "other").iterdir()) == []


def test_what_dbt_has_parsed_is_kept_for_the_warehouses_built_last(tmp_path: Path) -> None:
    names = [f"warehouse {number}" for number in range(KEPT_PARSED + 3)]
    for age, name in enumerate(names):
        parsed(tmp_path, name).write_text(name)
        begun_before(parsed(tmp_path, name), 1000 + age)
    build_folder(parsed(tmp_path, names[-1]), "the oldest is used")
    kept = {file.read_text() for file in tmp_path.glob("*.msgpack")}
    assert kept == {*names[: KEPT_PARSED - 1], names[-1]}
