"""The command line as a program: pipes, stops, the warehouse gone, `sql`, `doctor`, `dbt`."""

from __future__ import annotations

import io
import json
import re
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cscart_pipelines.cli import doctor, main
from cscart_pipelines.cli.services import up
from cscart_pipelines.cli.services.events import Events
from cscart_pipelines.cli.support import console, formats, tables
from cscart_pipelines.cli.support.environment import dagster_environment, opened
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.secrets import KEY_FILE
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.local_postgres.client import wait_until_stopped
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse.connect import Warehouse, migrate_schema
from cscart_pipelines.warehouse.tables.base import SCHEMAS
from cscart_pipelines_tests.support.database.embedded import SECONDS, Homes, using
from cscart_pipelines_tests.support.database.embedded import homes as homes
from cscart_pipelines_tests.support.database.embedded import template_home as template_home
from cscart_pipelines_tests.support.shop.commands import KEY, Installation, Run, on_a_terminal
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

pytestmark = pytest.mark.begun_first

# --- the schema ----------------------------------------------------------------------------------


def test_migrate_makes_the_tables_that_other_commands_ask_for(
    run: Run, installation: Installation
) -> None:
    assert "the warehouse is at schema" in run("migrate").out
    installation.execute(f"DROP SCHEMA {', '.join(SCHEMAS)} CASCADE")
    refused = run("lists", "--json")
    assert refused.code == 1
    assert "has no tables yet" in refused.err
    assert "cscart-pipelines migrate" in refused.err
    found = {one["check"]: one for one in run("doctor", "--json").json}
    assert not found["database"]["ok"]
    assert "cscart-pipelines migrate" in found["database"]["says"]
    done = run("migrate")
    assert done.code == 0
    assert "the warehouse is migrated to schema" in done.out
    assert run("lists", "--json").json == []


def test_migrate_refuses_the_schema_of_a_newer_release(
    run: Run, installation: Installation
) -> None:
    installation.execute("UPDATE registry.alembic_version SET version_num = '9999'")
    for command in ("migrate", "lists"):
        refused = run(command)
        assert refused.code == 1
        assert "schema 9999 of a newer release" in refused.err


def test_migrate_makes_no_home(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CSCART_PIPELINES_DATABASE_URL")
    assert run("--home", str(tmp_path / "elsewhere"), "migrate").code == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_command_migrates_the_embedded_database_itself(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homes.ready()
    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(home))
    with using(home), opened() as app, app.warehouse.connect() as connection:
        found = connection.execute("SELECT to_regclass('registry.integrations') IS NOT NULL")
        assert found.fetchone() == (True,)


# --- sql -----------------------------------------------------------------------------------------


def test_sql_prints_a_table_or_json(run: Run) -> None:
    query = "SELECT 1.10::numeric AS total, NULL AS nothing, '[red]x[/' AS name, now() AS at"
    done = run("sql", query)
    assert done.code == 0
    assert done.out.split()[:4] == ["total", "nothing", "name", "at"]
    assert "1.10  NULL     [red]x[/" in done.out
    assert "1 row\n" in done.out
    (row,) = run("sql", "--json", query).json
    assert (row["total"], row["nothing"], row["name"]) == ("1.10", None, "[red]x[/")


def test_sql_reads_the_query_from_a_pipe_for_json(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 2 AS b\n"))
    assert run("sql", "--json").json == [{"b": 2}]


def test_sql_loses_no_column_and_no_row(run: Run) -> None:
    query = (
        "SELECT 1 AS a, 2 AS a, 3 AS a_2, NULL AS n, '' AS e, '=1' AS f, 'x,\"y' AS q, true AS b"
    )
    assert run("sql", "--csv", query).out == (
        "a,a_3,a_2,n,e,f,q,b\r\n" + '1,2,3,,"",\'=1,"x,""y",true\r\n'
    )
    assert run("sql", "--json", query).json[0]["a_3"] == 2
    many = run("sql", "SELECT generate_series(1, 1002) AS number").out
    assert ("1002\n" in many, "1,002 rows" in many) == (True, True)
    assert run("sql", "--csv", "--json", query).code == 2


def test_sql_shows_no_control_characters_of_strangers(run: Run) -> None:
    assert "\x1b" not in run("sql", "SELECT E'\\x1b]0;x\\x07' AS name").out


def test_sql_only_reads_unless_told_otherwise(run: Run, installation: Installation) -> None:
    installation.save()
    done = run("sql", "DELETE FROM registry.integrations")
    assert (done.code, "read-only transaction" in done.err) == (2, True)
    assert run("sql", "COMMIT; DELETE FROM registry.integrations").code == 2
    assert len(installation.registry.all()) == 1
    assert "DELETE 1" in run("sql", "--write", "DELETE FROM registry.integrations").out
    assert installation.registry.all() == []


def test_a_query_that_is_none_is_told_in_a_line(run: Run) -> None:
    done = run("sql", "SELEC [1]")
    assert done.code == 2
    assert done.err.startswith('✗ PostgreSQL says: syntax error at or near "SELEC"')
    for time in ("'infinity'::timestamptz", "'0044-03-15 BC'::date"):
        assert "cast the column to text" in run("sql", f"SELECT {time} AS at").err


# --- doctor --------------------------------------------------------------------------------------


def test_doctor_finds_all_well(run: Run, installation: Installation) -> None:
    with SandboxShop("4.20", lambda store: store.add_product("Bag", "1.00")) as shop:
        installation.save_shop(shop)
        installation.save("asleep")
        installation.put("asleep", "disabled")
        done, url = run("doctor", "--json"), shop.url
    found = {one["check"]: one for one in done.json}
    assert (done.code, [one for one in done.json if not one["ok"]]) == (0, [])
    assert set(found) == {
        "python", "packages", "home", "secret key", "dbt project", "database", "integrations",
        "shop", "dagster",
    }  # fmt: skip
    assert found["integrations"]["says"] == "1 disabled, 1 ready"
    assert url in found["shop"]["says"]
    assert "by URL" in found["database"]["says"]
    assert KEY not in str(found)


def test_doctor_names_what_is_wrong_with_each_shop(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "SHOPS_SECONDS", 2.0)
    go_on = threading.Event()
    with SandboxShop("4.20", lambda store: store.add_product("Bag", "1.00")) as shop:
        installation.save("keyless", api_key_reference="env:KEY_THAT_IS_NOT_SET")
        installation.save("closed", url="http://127.0.0.1:1")
        installation.save("silent", shop.api_key, url=shop.url, email=shop.email)

        @shop.before_request
        def keep_waiting(request: Any) -> None:
            go_on.wait(120)

        done = run("doctor")
        go_on.set()
    lines = {line.split()[1]: line for line in done.out.splitlines()}
    assert done.code == 1
    assert lines["keyless"].startswith("✗")
    assert "KEY_THAT_IS_NOT_SET" in lines["keyless"]
    assert lines["closed"].startswith("✗")
    assert "no answer within 2 seconds" in lines["silent"]
    assert lines["database"].startswith("✓")


def test_doctor_names_a_shop_that_falls_behind(run: Run, installation: Installation) -> None:
    with SandboxShop("4.20", lambda store: store.add_product("Bag", "1.00")) as shop:
        installation.save_shop(shop)
        installation.put("shop", "enabled")
        installation.execute(
            "UPDATE registry.integrations SET last_synced_at = now() - interval '3 days'"
        )
        done = run("doctor")
    assert done.code == 1
    assert "was synchronised 3 d ago" in done.out
    assert "cscart-pipelines integration resync shop" in done.out


def test_doctor_names_a_key_that_opens_nothing(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.save()
    other = Fernet.generate_key().decode()
    monkeypatch.setenv("CSCART_PIPELINES_SECRET_KEY", other)
    done = run("doctor")
    assert done.code == 1
    assert re.search("✗ shop +the stored API key was sealed with another secret key", done.out)
    assert other not in done.said


def test_doctor_warns_of_a_key_file_that_others_can_read(
    run: Run, installation: Installation
) -> None:
    installation.save()
    file = installation.settings.home / KEY_FILE
    file.chmod(0o644)
    assert f"chmod 600 {file}" in run("doctor").out


def test_doctor_goes_on_where_the_database_is_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSCART_PIPELINES_DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/x")
    done = run("doctor")
    assert done.code == 1
    assert "✗ database" in done.out
    assert "✓ secret key" in done.out
    assert "geheim" not in done.said


# --- no home -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "lists",
        "lists shop",
        "segments shop",
        "integration list",
        "integration show shop",
        "integration status shop",
        "integration audit",
        "integration export",
        "integration test shop",
        "integration remove shop --yes",
        "fulfilment orders shop",
        "fulfilment journal shop",
        "purge-person a@b.example --yes",
        "sql SELECT+1",
        "doctor",
        "dbt ls",
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_command_in_a_folder_without_a_home_says_so_and_makes_none(
    command: str,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CSCART_PIPELINES_HOME")
    code = main.run([word.replace("+", " ") for word in command.split()] + options)
    said = capsys.readouterr()
    if code == 2 and "No such option" in said.err:
        assert options  # this one has no JSON
        return
    assert code == (1 if command == "doctor" else 2)
    text = said.out + said.err
    for words in (str(tmp_path), "--home DIR", "CSCART_PIPELINES_HOME", "demo", "integration add"):
        assert words in text
    if options and command not in ("doctor", "dbt ls"):
        assert json.loads(said.err)["error"]["code"] == 2
    assert list(tmp_path.iterdir()) == []


# --- the program ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CSCART_PIPELINES_DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/x", "cannot connect"),
        ("CSCART_PIPELINES_DATABASE_URL", "mysql://u:geheim@h/x", "expected postgresql://"),
        ("CSCART_PIPELINES_API_PARALLEL", "many", "expected a number, 1 to 32"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told_without_passwords(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    done = run("integration", "list")
    assert done.code == (1 if "connect" in said else 2)
    assert said in done.err
    assert done.err.count("\n") == 1
    assert "geheim" not in done.said


def test_a_warehouse_that_goes_away_in_the_middle_is_told_in_a_line(
    run: Run, installation: Installation
) -> None:
    """The session is ended by another one while the command waits for its answer."""
    done = run(
        "sql", "--write", "SELECT pg_terminate_backend(pg_backend_pid())"
    )  # fmt: skip
    assert done.code in (1, 2)
    assert "terminating connection" in done.err
    assert run("integration", "list").code == 0


def test_an_operational_error_of_the_driver_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*arguments: object, **options: object) -> None:
        raise psycopg.OperationalError("the connection is closed")

    monkeypatch.setattr(main, "app", gone)
    assert main.run([]) == 1
    assert (
        capsys.readouterr().err
        == "✗ the connection to the database is lost: the connection is closed\n"
    )


def test_a_stop_at_the_keyboard_leaves_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", stopped)
    assert main.run([]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_reader_that_leaves_early_is_no_failure(installation: Installation) -> None:
    """As with `| head -1`: neither a traceback nor an exit code."""
    for arguments in (
        ["sql", "SELECT generate_series(1, 1000), repeat('x', 200)"],
        ["sql", "--json", "SELECT generate_series(1, 100000)"],
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.cli.main", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=installation.environment,
        )
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
        process.stderr.close()
        assert (process.wait(), said) == (0, "")


def test_output_that_is_no_terminal_is_plain_and_not_cut(installation: Installation) -> None:
    environment = {
        k: v for k, v in installation.environment.items() if k not in ("COLUMNS", "FORCE_COLOR")
    }
    name = "a long name " * 8
    installation.save(list_name=name)
    done = installation.command("integration", "list", env=environment)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert name.strip() in done.stdout
    assert done.stderr == ""
    wide = installation.command("sql", "SELECT repeat('x', 500) AS a, 'last' AS b", env=environment)
    assert f"{'x' * 500}  last\n" in wide.stdout


def test_a_script_gets_the_exit_code_and_json_from_the_program(installation: Installation) -> None:
    done = installation.command("integration", "status", "nobody", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert (error["code"], "there is no integration 'nobody'" in error["message"]) == (2, True)


def test_a_terminated_command_dies_of_it(installation: Installation) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "sql", "SELECT pg_sleep(600)"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=installation.environment,
        # Whoever runs the tests in the background may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    waiting = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND right(query, 13) = 'pg_sleep(600)'"
    )
    while not installation.rows(waiting):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.stderr
    with process.stderr:
        assert process.stderr.read() == b"stopped\n"
    assert process.wait() == 130


def test_dbt_is_run_on_the_warehouse_with_its_exit_code(
    installation: Installation, tmp_path: Path
) -> None:
    done = installation.command("dbt", "debug", "--connection", "--log-path", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"database: {installation.database.warehouse.url.database}" in done.stdout
    assert "OK connection ok" in done.stdout
    assert (tmp_path / "dbt.log").exists()
    assert installation.command("dbt", "nonsense").returncode == 2


def test_purge_person_reports_what_was_touched(run: Run, installation: Installation) -> None:
    installation.save("a")
    installation.save("b")
    installation.execute(
        "INSERT INTO cscart.customers (integration, user_id, email, content_hash)"
        " VALUES ('a', 1, 'Ada@Example.com', '')"
    )
    assert run("purge-person", "nobody").code == 2
    assert run("purge-person", "a@b.c", "--integration", "c", "--yes").code == 2
    with installation.lock("b"):
        done = run("purge-person", "ada@example.com", "--yes")
        assert (done.code, "in progress: b" in done.err) == (4, True)
    done = run("purge-person", "ada@example.com", "--integration", "a", "--yes")
    assert (done.code, "1 cscart.customers" in done.out) == (0, True)
    done = run("purge-person", "ada@example.com", "--json", "--yes")
    assert done.json == {"a": {}, "b": {}}


def test_help_names_every_command(run: Run) -> None:
    text = run("--help").out
    for command in ("integration", "lists", "segments", "demo", "up", "sandbox", "sql", "doctor",
                    "dbt", "purge-person"):  # fmt: skip
        assert f"\n  {command} " in text
        if command != "dbt":  # its own help is dbt's
            assert run(command, "--help").code == 0


def test_folders_with_logs_and_runs_are_closed_to_others(settings: Settings) -> None:
    home = Path(dagster_environment(settings)["DAGSTER_HOME"])
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    # A dagster.yaml that somebody has changed is left alone; ours is renewed.
    (home / "dagster.yaml").write_text("theirs: true\n")
    dagster_environment(settings)
    assert (home / "dagster.yaml").read_text() == "theirs: true\n"


# --- words and numbers ---------------------------------------------------------------------------


def test_numbers_and_times_as_a_person_reads_them() -> None:
    assert formats.whole(1234567) == "1,234,567"
    assert formats.money(Decimal("1234.5"), "EUR") == "1,234.50 EUR"
    assert formats.money(Decimal("14.525"), "KWD") == "14.525 KWD"
    assert formats.money(1234, "JPY") == "1,234 JPY"
    assert (formats.whole(None), formats.money(None), formats.share(None)) == ("–",) * 3
    assert formats.share(Decimal("0.1234")) == "12.3 %"
    assert [formats.duration(s) for s in (None, 5, 65, 3700)] == [
        "–",
        "5 s",
        "1 min 5 s",
        "1 h 1 min",
    ]
    assert formats.bar(0, 5) == "" and formats.bar(5, 5, 4) == "████"
    assert len(formats.bar(1, 1000, 4)) == 1


def test_what_others_wrote_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("[red]x[/]", "[/", "a[b]c", "\\[x]", "back\\", ":smile:", "a\x1b[31mb", "Ω]"):
        console.out.print(f"[bold]{formats.plain(text)}[/]|")
        shown = capsys.readouterr().out
        assert shown == f"{text}|\n".replace("\x1b", "�")


# --- up ------------------------------------------------------------------------------------------


def test_up_goes_on_while_the_database_is_away(homes: Homes, tmp_path: Path) -> None:
    home = homes.ready()
    with using(home) as member:
        warehouse = Warehouse(member.url())
        migrate_schema(warehouse)
        events = Events(warehouse, tmp_path / "up.log")
        warehouse.close()
    assert wait_until_stopped(home, SECONDS)
    (away,) = events.new()
    assert "the database does not answer" in away
    assert events.new() == []
    assert events.in_progress() == []
    with using(home):
        assert events.new() == ["the database answers again"]
        warehouse.close()


def test_up_tells_what_happens_in_a_line_each(installation: Installation, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    installation.save("shop")
    events = Events(installation.database.warehouse, log)
    assert events.new() == []
    with acquire(
        installation.database.warehouse, installation.registry, "shop", Action.START
    ) as session:
        assert events.new() == ["shop: first synchronisation started"]
        assert events.in_progress() == ["shop"]
        numbers = {"inserted": 1, "updated": 0, "deleted": 0}
        session.succeed({"entities": {"customers": numbers, "orders": {**numbers, "updated": 2}}})
    (done,) = events.new()
    assert done.startswith("[green]✓[/] shop: first synchronisation done in ")
    assert done.endswith("changed: 1 customer, 3 orders")
    installation.execute(
        "INSERT INTO registry.list_builds (integration, as_of, finished_at)"
        " VALUES ('shop', now(), clock_timestamp())"
    )
    installation.execute(
        "INSERT INTO fulfilment.feeds (integration, kind, source, rows_taken, rows_known,"
        " rows_refused, state) VALUES ('shop', 'stock', '[a].csv', 1, 0, 2, 'taken')"
    )
    log.write_text(
        "2026-01-01 - dagster - DEBUG - shop - STEP_START\n"
        "run 1a of build_lists failed: [no] view\n"
        "run 1b of resync failed: told by its table\n"
        "run 1c of push_stock fai"
    )
    assert events.new() == [
        "[green]✓[/] shop: lists, segments and metrics are built",
        "shop: file \\[a].csv: 1 row taken, [red]2 refused[/]",
        "[red]✗[/] build_lists failed: \\[no] view",
    ]
    with log.open("a") as more:
        more.write("led: the shop is away\n")
    assert events.new() == ["[red]✗[/] push_stock failed: the shop is away"]
    assert (events.new(), events.in_progress()) == ([], [])


@pytest.mark.parametrize("again", [False, True])
def test_up_with_the_sandbox_fills_its_list_by_itself(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    asked: list[tuple[Any, ...]] = []

    def stopped_at_once(*_: object) -> None:
        asked.extend(installation.rows("SELECT integration FROM registry.sync_requests"))
        raise KeyboardInterrupt

    with (
        SandboxShop("4.20", "small") as shop,
        subprocess.Popen([sys.executable, "-c", ""]) as ended,
    ):
        if again:
            installation.save_shop(shop, "demo")
            installation.put("demo", "disabled")
        monkeypatch.setattr(up, "running_sandbox", lambda _: nullcontext(shop.url))
        monkeypatch.setattr(up, "start_collector", lambda *_, **__: (ended, "http://collector"))
        monkeypatch.setattr(up, "start_dagster", stopped_at_once)
        done = run("up", "--sandbox", "--port", "1")
    assert (done.code, asked) == (0, [("demo",)]), done.said
    assert "Stopping" in done.out
    assert [one.status for one in installation.registry.all()] == ["disabled"]  # its shop has ended


# --- tables --------------------------------------------------------------------------------------

CELLS = st.text(alphabet="ab0 _-Ωé漢字\n", max_size=60)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=3),
    width=st.sampled_from([24, 40, 80, 120, console.WIDE]),
    kinds=st.tuples(*[st.sampled_from(["", "right", "text"])] * 3),
)
def test_a_table_shows_every_character_at_every_width(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str, str, str]],
    width: int,
    kinds: tuple[str, ...],
) -> None:
    table = tables.table(*((name, kind) for name, kind in zip("xyz", kinds, strict=True)))  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(formats.plain, row))
    monkeypatch.setattr(console.out, "width", width)
    capsys.readouterr()
    tables.show(table)
    shown = capsys.readouterr().out
    assert Counter(c for row in rows for c in "".join(row) if not c.isspace()) <= Counter(shown)
    assert "…" not in shown
    assert max(map(cell_len, shown.splitlines())) <= width


def test_a_table_that_does_not_fit_lists_its_fields(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    def shown(width: int) -> str:
        table = tables.table("", "order", ("total", "right"), ("reason", "text"))
        table.add_row(
            "✓", "CS1000012-1000012", "10.00", "the shop has no product with the code A-1"
        )
        monkeypatch.setattr(console.out, "width", width)
        tables.show(table)
        return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())

    assert shown(console.WIDE).splitlines()[1] == (
        "✓  CS1000012-1000012  10.00  the shop has no product with the code A-1"
    )
    assert shown(50).splitlines()[1:] == [
        "✓  CS1000012-1000012  10.00  the shop has no",
        "                             product with the code",
        "                             A-1",
    ]
    assert shown(40).splitlines() == [
        "order   ✓ CS1000012-1000012",
        "total   10.00",
        "reason  the shop has no product with the",
        "        code A-1",
    ]


def test_a_narrower_table_names_the_columns_that_it_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full, narrow = tables.table("list", "orders", "value"), tables.table("list", "orders")
    full.add_row("The friends of tea", "1", "10.00")
    narrow.add_row("The friends of tea", "1")
    for width, told in ((40, False), (30, True)):
        monkeypatch.setattr(console.out, "width", width)
        tables.show(full, narrow)
        said = capsys.readouterr().out
        assert ("not shown" in said) is told
        assert "value" in said


@pytest.mark.parametrize(("columns", "environment"), [(80, {}), (40, {"TERM": "dumb"})])
def test_a_terminal_of_few_columns_shows_whole_names(
    installation: Installation, columns: int, environment: dict[str, str]
) -> None:
    """On a real terminal device."""
    name = "The friends of tea and of long names of lists"
    installation.save("a-shop-with-a-long-key", list_name=name)
    without = {
        k: v for k, v in installation.environment.items() if k not in ("COLUMNS", "FORCE_COLOR")
    }
    for words in ("lists", "integration list", "integration show a-shop-with-a-long-key"):
        code, shown = on_a_terminal(
            words.split(), columns, {**without, "TERM": "xterm", **environment}
        )
        assert code == 0
        assert "…" not in shown
        assert set(name.split()) <= set(shown.split())
        assert max(len(line) for line in shown.splitlines()) <= columns
