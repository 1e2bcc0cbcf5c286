"""The folders in which dbt compiles: the newest are kept, and those of builds that may run.

So is what dbt has parsed, for each warehouse: two that share a checkout do not undo each other's.
"""

import contextlib
import os
import time
from pathlib import Path

from cscart_pipelines.dbt_project import (
    KEPT_BUILDS,
    KEPT_PARSED,
    LONGEST_BUILD,
    PARSED,
    build_folder,
    parsed_for,
)


def begun_before(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder, (moment, moment))


def warehouse(database: str = "one", password: str = "secret") -> dict[str, str]:
    return {"CSCART_PIPELINES_DBT_DBNAME": database, "CSCART_PIPELINES_DBT_PASSWORD": password}


def folder_of(builds: Path, build: str, database: str = "one") -> Path:
    with build_folder(warehouse(database), build, builds) as target:
        return target


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
    with (
        contextlib.suppress(ZeroDivisionError),
        build_folder(warehouse(), "first", tmp_path) as target,
    ):
        (target / PARSED).write_text("parsed")
        raise ZeroDivisionError  # a build that fails keeps it too
    with build_folder(warehouse(password="changed"), "same", tmp_path) as target:
        assert (target / PARSED).read_text() == "parsed"
    with build_folder(warehouse("other"), "other", tmp_path) as target:
        assert list(target.iterdir()) == []


def test_what_dbt_has_parsed_is_kept_for_the_warehouses_built_last(tmp_path: Path) -> None:
    names = [f"warehouse {number}" for number in range(KEPT_PARSED + 3)]
    for age, name in enumerate(names):
        parsed = parsed_for(warehouse(name), tmp_path)
        parsed.write_text(name)
        begun_before(parsed, 1000 + age)
    folder_of(tmp_path, "the oldest is used", names[-1])
    kept = {file.read_text() for file in tmp_path.glob("*.msgpack")}
    assert kept == {*names[: KEPT_PARSED - 1], names[-1]}
