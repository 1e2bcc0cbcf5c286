"""The materializations of the dbt project, on a project of three models: what is built on a
relation, and its grants, survive changed columns, broken builds and full refreshes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cscart_pipelines_tests.support.dbt.builds import PROJECT, Database, dbt, insert, watched

pytestmark = pytest.mark.begun_first

PROJECT_FILE = """
name: small
version: "1.0.0"
profile: cscart_pipelines
model-paths: ["models"]
macro-paths: ["macros"]
flags: {send_anonymous_usage_stats: false}
on-run-start: ["{{ remember_fits() }}"]
models:
  small: {+schema: small}
"""
INTEGRATION = {"list_name": "Tea", "url": "https://tea.example", "email": "a@tea.example"}
ROWS = "select * from (values ('tea', 1, 'a'), ('gone', 2, 'b')) as rows (integration, n, word)"
MINE = """
create schema mine;
create view mine.words as select integration, word from small.words;
create view mine.count as select count(*) as words from mine.words;
create view mine.live as select n from small.live;
create materialized view mine.stored as select * from small.words;
grant usage on schema small to public;
grant select on small.words, small.live to public;
"""


@dataclass
class Small:
    """A small project beside the real one's macros, on a database with one integration."""

    database: Database
    folder: Path

    def write(self, rows: str = ROWS, **views: str) -> None:
        models = {
            "words": "{{ config(materialized='table_in_place', meta={'rewrites': 'connected'},"
            " indexes=[{'columns': ['integration']}]) }}\n" + rows,
            "steps": "{{ config(materialized='table_in_place', meta={'rewrites': 'all'}) }}\n"
            "select * from {{ ref('words') }}",
            "live": "{{ config(materialized='view_in_place') }}\n"
            + views.get("live", "select integration, n from {{ ref('words') }}"),
        }
        for name, text in models.items():
            (self.folder / "models" / f"{name}.sql").write_text(text)

    def run(self, *arguments: str, expect: int = 0, **kw: Any) -> str:
        with watched(self.database, "small") as look:
            return self.first(*arguments, expect=expect, callbacks=[look], **kw)

    def first(self, *arguments: str, models: str = "", **kw: Any) -> str:
        return dbt(
            {**self.database.dbt_env, "CSCART_PIPELINES_DBT_MODELS": models},
            *("run", *arguments),
            project=self.folder,
            target=self.folder / "target",
            **kw,
        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def do(self, statements: str) -> None:
        with self.database.connect() as connection:
            connection.execute(statements.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    shutil.copytree(PROJECT / "macros", folder / "macros")
    shutil.copy(PROJECT / "profiles.yml", folder)
    (folder / "dbt_project.yml").write_text(PROJECT_FILE)
    (folder / "models").mkdir()
    return folder


@pytest.fixture
def small(warehouse_database: Database, folder: Path) -> Iterator[Small]:
    """Run once, and then with views on it."""
    with warehouse_database.connect() as connection:
        rows = [{"integration": key, **INTEGRATION, "list_name": key} for key in ("tea", "gone")]
        insert(connection, "registry.integrations", rows)
    small = Small(warehouse_database, folder)
    small.write()
    small.first()
    small.do(MINE)
    yield small
    assert small.ask("select distinct table_name from information_schema.table_privileges"
                     " where table_schema = 'small' and grantee = 'PUBLIC' order by 1") == [
        ("live",), ("words",)
    ]  # fmt: skip
    for view in ("words", "count", "live", "stored"):
        assert small.ask(f"select from mine.{view}"), view


def test_rows_are_rewritten_and_those_of_a_removed_integration_stay(small: Small) -> None:
    small.do("delete from registry.integrations where integration = 'gone'")
    small.write(ROWS.replace("'a'", "'new'").replace("'b'", "'lost'"))
    small.run("--full-refresh")
    assert small.ask("select word from mine.words order by integration") == [("b",), ("new",)]
    # What is rewritten for all has nothing of it, though the model reads a table where it stays.
    assert small.ask("select word from small.steps") == [("new",)]
    (indexes,) = small.ask("select count(*) from pg_indexes where tablename = 'words'")
    assert indexes == (1,)


def test_a_model_gains_columns_in_the_middle_and_loses_them(small: Small) -> None:
    wider = "select integration, 1.5 as price, n, word, now() as at from (" + ROWS + ") as r"
    small.write(wider, live="select 'x' as first, integration, n from {{ ref('words') }}")
    small.run()
    assert small.ask("select distinct price, word > '' from small.words") == [(1.5, True)]
    assert small.ask("select distinct price from small.steps") == [(1.5,)]
    assert small.ask("select n, first from small.live order by n") == [(1, "x"), (2, "x")]

    # word is in use, price and at are not.
    small.write(
        "select integration, n from (" + ROWS + ") as r",
        live="select integration from {{ ref('words') }}",
    )
    small.run("--select", "words", "live")
    columns = small.ask(
        "select column_name from information_schema.columns"
        " where table_schema = 'small' and table_name = 'words' order by 1"
    )
    assert columns == [("integration",), ("n",), ("word",)]
    assert small.ask("select distinct word from mine.words") == [(None,)]
    assert small.ask("select distinct n from mine.live") == [(None,)]


def test_a_type_changes_unless_a_view_uses_the_column(small: Small) -> None:
    wide = "cast(n as numeric)"
    small.write(
        f"select integration, {wide} as n, word from ({ROWS}) as r",
        live="select integration, cast(n as integer) as n from {{ ref('words') }}",
    )
    output = small.run("--select", "words", expect=1)
    assert "cannot alter type of a column used by a view" in output
    assert "small.live" in output or "view live" in output
    assert small.ask("select pg_typeof(n)::text from small.words limit 1") == [("integer",)]

    # Where nothing stands on it, it changes.
    small.do("alter table small.steps alter column n type numeric")
    small.write()
    small.run("--select", "steps")
    assert small.ask("select pg_typeof(n)::text from small.steps limit 1") == [("integer",)]


def test_a_build_that_breaks_off_leaves_the_old_rows(small: Small) -> None:
    before = small.ask("select * from small.words order by 1")
    small.write("select *, cast(1 / (n - n) as integer) as late from (" + ROWS + ") as r")
    assert "division by zero" in small.run(expect=1)
    small.write()
    small.do("alter table small.words drop column late")

    # Killed after the rows were deleted: its session ends in the middle of the insert.
    small.write(f"select r.*, pg_terminate_backend(pg_backend_pid()) as killed from ({ROWS}) as r")
    small.run("--select", "words", expect=1)
    assert small.ask("select integration, n, word from small.words order by 1") == before
    small.write()
    small.run()
    assert small.ask("select integration, n, word from small.words order by 1") == before


def test_an_empty_run_changes_columns_and_no_rows(small: Small) -> None:
    before = small.ask("select * from small.words order by 1")
    small.run("--empty")
    assert small.ask("select * from small.words order by 1") == before


def test_a_view_that_has_not_changed_is_left_alone(small: Small) -> None:
    def version() -> list[tuple[Any, ...]]:
        return small.ask("select xmin from pg_class where oid = 'small.live'::regclass")

    before = version()
    with small.database.connect() as reader, reader.transaction():
        reader.execute("select * from small.live")  # would keep a replacement waiting for ever
        small.run("--select", "live")
    assert version() == before


def test_a_second_build_waits_and_sees_what_the_first_one_wrote(small: Small) -> None:
    """Otherwise both delete the same rows, and all are there twice."""
    waiting = "select count(*) from pg_locks where not granted and relation = %s::regclass"
    with small.database.connect() as first, small.database.connect() as look:
        first.execute("begin")
        first.execute("lock table small.words in share row exclusive mode")
        first.execute("delete from small.words")
        first.execute("insert into small.words (integration, n, word) values ('tea', 9, 'first')")

        def release(event: Any) -> None:
            """The first build ends when the second one is at the lock; asked at each statement."""
            if event.info.name == "SQLQuery" and "lock table" in event.info.msg:
                commit.start()

        def wait_and_commit() -> None:
            while not look.execute(waiting, ["small.words"]).fetchone()[0]:
                pass
            first.execute("commit")

        commit = threading.Thread(target=wait_and_commit)
        small.first("--select", "words", callbacks=[release])
        commit.join()
    assert small.ask("select n from small.words order by n") == [(1,), (2,)]


def test_views_that_nothing_stands_on_may_change_their_types(small: Small) -> None:
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        small.do("drop view small.live")  # what mine.live stands on
    small.do("create view small.free as select 1 as n")
    (small.folder / "models" / "free.sql").write_text(
        "{{ config(materialized='view_in_place') }} select cast('one' as text) as n"
    )
    small.run("--select", "free")
    (small.folder / "models" / "free.sql").unlink()
    assert small.ask("select n from small.free") == [("one",)]


FITTED = "select relation, xmin::text from intermediate.fitted_relations order by 1"


@pytest.fixture
def fitted(small: Small) -> Small:
    """Run by the product, which knows the version of its models."""
    small.first(models="one")
    return small


def test_relations_are_looked_at_once_a_version_of_models_and_migrations(fitted: Small) -> None:
    """A build that does not look writes no column that the model has lost and a view keeps."""
    found = fitted.ask(FITTED)
    assert len(found) == 3
    fitted.write("select * from (values ('tea', 1), ('gone', 2)) as rows (integration, n)")
    migrate = "update registry.alembic_version set version_num = 'next'"
    for before, options in ("", []), (migrate, []), ("", ["--full-refresh"]):
        fitted.do(before)
        fitted.first(*options, models="two")
        now = fitted.ask(FITTED)
        assert len({*now, *found}) == 6, (before, options)
        found = now
    fitted.do("update small.words set n = 7")
    fitted.first(models="two")
    assert fitted.ask(FITTED) == found
    assert fitted.ask("select n, word from small.words order by n") == [(1, None), (2, None)]


def test_what_was_changed_by_hand_or_in_the_model_alone_is_looked_at(fitted: Small) -> None:
    fitted.do(
        "alter table small.steps drop column n; drop index small.words_integration_idx;"
        "create or replace view small.live as select integration, n + 1 as n from small.words"
    )
    fitted.first(models="one")
    indexes = "select count(*) from pg_indexes where indexname = 'words_integration_idx'"
    assert fitted.ask(indexes) == [(1,)]
    for changed in ("steps", "live"):
        assert fitted.ask(f"select min(n) from small.{changed}") == [(1,)]
    fitted.do("drop table small.steps")
    fitted.write(live="select integration, n + 1 as n from {{ ref('words') }}")
    fitted.first(models="one")
    assert fitted.ask("select count(*) from small.steps") == [(2,)]
    assert fitted.ask("select min(n) from small.live") == [(2,)]
