"""`integration …`: what each command prints, its JSON, its exit code; never the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cscart_pipelines.cli import main as cli
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.dagster.launching import launched_here as launched_here
from cscart_pipelines_tests.support.database.locks import wait_until_free
from cscart_pipelines_tests.support.shop.commands import (
    KEY,
    Installation,
    Result,
    Run,
    on_a_terminal,
)
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

pytestmark = pytest.mark.begun_first

COMMANDS = (
    "add", "test", "start", "resync", "list", "show", "status", "edit", "disable", "enable",
    "remove", "tracking-file", "apply", "export", "audit",
)  # fmt: skip


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxShop]:
    with SandboxShop("4.20", "small", api_key=KEY) as made:
        monkeypatch.setenv("SHOP_KEY", KEY)
        yield made


def add(run: Run, shop: SandboxShop, key: str = "shop", *more: str) -> Result:
    return run("integration", "add", key, "--url", shop.url, "--email", shop.email,
               "--api-key-env", "SHOP_KEY", *more)  # fmt: skip


# --- add -----------------------------------------------------------------------------------------


def test_add_tests_saves_and_says_what_is_next(
    run: Run, installation: Installation, shop: SandboxShop
) -> None:
    done = add(run, shop, "shop", "--list-name", "Friends [bold]of[/] tea")
    assert done.code == 0
    assert "✓ connected: CS-Cart 4.16 or newer, API 2.1, 0 orders" in done.out
    assert "shop is saved: list “Friends [bold]of[/] tea”, status ready." in done.out
    assert "integration start shop" in done.out
    assert KEY not in done.said
    assert installation.status() == "ready"
    assert installation.rows("SELECT list_name, status, subscribers FROM analytics.lists") == [
        ("Friends [bold]of[/] tea", "ready", 0)
    ]


def test_add_and_apply_tell_words_that_are_no_country(
    run: Run, installation: Installation, shop: SandboxShop, tmp_path: Path
) -> None:
    done = add(run, shop, "shop", "--countries", "GB,Grmany,Zzzz", "--companies", "1")
    said = "! --countries: no country is called Grmany (did you mean Germany?), Zzzz: no order"
    assert (done.code, done.err.count(said), "is saved" in done.out) == (0, 1, True)
    entry = {"integration": "other", "url": shop.url, "email": shop.email,
             "api_key": "env:SHOP_KEY", "companies": 2, "countries": ["Grmany", "Zzzz"],
            }  # fmt: skip
    file = tmp_path / "integrations.yaml"
    for options, countries in ((["--dry-run"], 1), (["--yes"], 1), (["--yes"], 0)):
        file.write_text(json.dumps({"integrations": [entry]}))
        done = run("integration", "apply", "-f", str(file), *options)
        assert (done.code, done.err.count(said)) == (0, countries)
    entry["countries"] = ["Greece", "Europe"]
    file.write_text(json.dumps({"integrations": [entry]}))
    done = run("integration", "apply", "-f", str(file), "--yes")
    assert "--countries: EU is an entry of the shop's list" in done.err
    assert "no country" not in add(run, shop, "third", "--countries", "France,UK").err


def test_every_wrong_setting_is_told_at_once_with_its_option(run: Run) -> None:
    done = run("integration", "add", "Shop", "--url", "nowhere", "--email", "x",
               "--currency", "E", "--update-stock", "perhaps",
               "--api-key-env", "NOT_SET")  # fmt: skip
    assert done.code == 2
    assert done.err.startswith("✗ these settings cannot be used:\n")
    told = [line.split()[0] for line in done.err.splitlines()[1:]]
    assert sorted(told) == ["--currency", "--email", "--update-stock", "--url", "API", "KEY"]


def test_a_failed_test_saves_nothing(
    run: Run, installation: Installation, shop: SandboxShop
) -> None:
    shop.api_user.api_key = "replaced"
    done = add(run, shop)
    assert done.code == 3
    assert "refused the credentials (401)" in done.err
    assert KEY not in done.said
    assert installation.registry.all() == []


def test_a_key_or_a_list_that_exists_is_refused_before_the_shop_is_asked(
    run: Run, shop: SandboxShop
) -> None:
    add(run, shop)
    shop.requests.clear()
    assert "KEY 'shop' exists already" in add(run, shop, "shop", "--list-name", "other").err
    taken = add(run, shop, "other", "--list-name", "shop")
    assert (taken.code, "--list-name the list 'shop' exists already" in taken.err) == (2, True)
    assert len(shop.requests) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "without a terminal to ask on, expected --api-key-env or --api-key-file"),
        (["--api-key-env", "A", "--api-key-file", "b"], "from one place, not several"),
        (["--api-key-env", KEY], "is not set or empty"),
        (["--api-key-file", "/not/there"], "/not/there cannot be read"),
        (["--api-key-ref", KEY], "expected env:NAME or file:/path"),
        (["--api-key-ref", "env:NOT_SET"], "the environment variable NOT_SET is not set"),
    ],
)
def test_where_the_key_comes_from(
    run: Run, shop: SandboxShop, options: list[str], said: str
) -> None:
    done = run("integration", "add", "shop", "--url", shop.url, "--email", shop.email, *options)
    assert (done.code, said in done.err) == (2, True), done.err
    assert KEY not in done.said


def test_a_reference_is_kept_instead_of_the_key(
    run: Run, installation: Installation, shop: SandboxShop
) -> None:
    done = run("integration", "add", "shop", "--url", shop.url, "--email", shop.email,
               "--api-key-ref", "env:SHOP_KEY")  # fmt: skip
    assert done.code == 0
    assert installation.registry.get("shop").settings.api_key_reference == "env:SHOP_KEY"
    assert installation.rows("SELECT api_key_sealed FROM registry.integrations") == [(None,)]


# --- looking -------------------------------------------------------------------------------------


def test_the_board_shows_status_age_and_what_is_wrong(run: Run, installation: Installation) -> None:
    assert "No integrations yet" in run("integration", "list").out
    installation.save("tea", list_name="[red]Tea[/")
    installation.save("hats")
    installation.put("hats", "failed")
    installation.execute("UPDATE registry.integrations SET attempts = 3 WHERE integration = 'hats'")
    installation.put("tea", "enabled")
    board = run("integration", "list").out.splitlines()
    assert board[0] == "1 enabled  1 failed"
    hats, tea = (line.split() for line in board[2:])
    assert hats == ["hats", "hats", "failed", "just", "now", "https://hats.example",
                    "it", "broke", "(3", "times)"]  # fmt: skip
    assert tea == ["tea", "[red]Tea[/", "enabled", "just", "now", "https://tea.example"]
    listed = run("integration", "list", "--json").json
    assert [(one["integration"], one["status"], one["attempts"]) for one in listed] == [
        ("hats", "failed", 3),
        ("tea", "enabled", 0),
    ]
    assert listed[0]["progress"] is None


def test_show_tells_every_setting_and_masks_the_key(run: Run, installation: Installation) -> None:
    installation.save(countries="GB,Greece,[/]", user_id="C7")
    done = run("integration", "show", "shop")
    assert done.code == 0
    lines = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()[1:]}
    assert lines["countries"] == ["GB,", "Greece,", "[/]"]
    assert lines["user_id"] == ["C7"]
    assert lines["api_key"] == ["••••••••"]
    shown = run("integration", "show", "shop", "--json").json
    assert shown["settings"]["api_key"] == "••••••••"
    assert shown["settings"]["countries"] == ["GB", "Greece", "[/]"]
    assert "api_key_sealed" not in str(shown)


def test_progress_is_seen_by_any_process_while_another_synchronises(
    run: Run, installation: Installation
) -> None:
    installation.save("shop")
    with acquire(
        installation.database.warehouse, installation.registry, "shop", Action.START
    ) as session:
        session.progress("customers", 200, 4000)
        installation.execute(
            "UPDATE registry.sync_runs SET phase_started_at = now() - interval '10 seconds'"
        )
        session.progress("customers", 1200, 4000)
        done = run("integration", "status", "shop")
        assert "shop  syncing  since just now" in done.out
        assert "customers  ███████░░░" in done.out
        assert "30 %  1,200 of 4,000 rows" in done.out
        progress = run("integration", "status", "shop", "--json").json["progress"]
        assert (progress["phase"], progress["percent"]) == ("customers", 30)
        assert (progress["rows_done"], progress["rows_total"]) == (1200, 4000)
        assert progress["rows_per_second"] == pytest.approx(100, rel=0.2)
        assert progress["seconds_left"] == pytest.approx(28, rel=0.2)
        assert f"{progress['rows_per_second']:,.0f} rows/s" in done.out
        # The table of lists says the same.
        ((listed,),) = installation.rows("SELECT to_jsonb(l) FROM analytics.lists AS l")
        assert {name: listed[name] for name in progress} == progress
        assert " syncing customers 30 % " in run("integration", "list").out
        session.progress("orders", 500, None)
        said = run("integration", "status", "shop")
        assert "500 of ? rows" in said.out
        progress = run("integration", "list", "--json").json[0]["progress"]
        assert (progress["percent"], progress["seconds_left"]) == (None, None)
        session.progress("orders", 100, 900)  # the next list of the phase: a speed of its own
        progress = run("integration", "status", "shop", "--json").json["progress"]
        assert (progress["rows_per_second"], progress["seconds_left"]) in ((None, None), (0, None))
        session.succeed({})
    assert run("integration", "status", "shop", "--json").json["progress"] is None
    assert installation.rows("SELECT phase, percent, seconds_left FROM analytics.lists") == [
        (None, None, None)
    ]


def test_status_tells_the_reason_and_the_last_runs(run: Run, installation: Installation) -> None:
    installation.save("shop")
    session = acquire(installation.database.warehouse, installation.registry, "shop", Action.START)
    session.fail("the shop said [no]", permanent=False)
    done = run("integration", "status", "shop")
    assert "shop  failed  since just now  · synchronised never" in done.out
    assert "  the shop said [no]" in done.out
    assert "first  failed, 0 s: the shop said [no]" in done.out
    told = run("integration", "status", "shop", "--json").json
    assert (told["status"], told["reason"], told["attempts"]) == (
        "failed",
        "the shop said [no]",
        1,
    )
    assert told["runs"][0]["error"] == "the shop said [no]"


def test_a_run_that_died_is_found_out_by_the_next_command(
    run: Run, installation: Installation
) -> None:
    installation.save("shop")
    acquire(
        installation.database.warehouse, installation.registry, "shop", Action.START
    ).connection.close()
    wait_until_free(installation.database.warehouse, Lock.SYNC, "shop")
    told = run("integration", "status", "shop", "--json").json
    assert (told["status"], told["runs"][0]["state"]) == ("failed", "failed")
    assert "was killed" in told["reason"]


@pytest.mark.parametrize(
    "command",
    ["test", "start", "resync", "show", "status", "edit", "disable", "enable", "remove",
     "tracking-file"],
)  # fmt: skip
def test_an_unknown_key_is_wrong_usage_with_advice(run: Run, command: str) -> None:
    done = run("integration", command, "nobody")
    assert done.code == 2
    assert "there is no integration 'nobody'; `cscart-pipelines integration list`" in done.err


# --- changing ------------------------------------------------------------------------------------


def test_test_records_what_it_found(
    run: Run, installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop)
    assert run("integration", "test", "shop", "--json").json["family"] == "4.16 or newer"
    shop.api_user.api_key = "replaced"
    done = run("integration", "test", "shop")
    assert (done.code, KEY in done.said) == (3, False)
    shop.router.rewrite = "api.php"


def test_an_edit_shows_what_changes(
    run: Run, installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop, settled_statuses="P")
    done = run("integration", "edit", "shop", "--timezone", "Asia/Tokyo", "--settled-statuses", "",
               "--api-key-env", "SHOP_KEY", "--update-stock", "yes", "--stock-schedule",
               "0 * * * *", "--user-id", "x", "--countries", "[x]")  # fmt: skip
    assert done.code == 0
    assert "timezone: UTC → Asia/Tokyo" in done.out
    assert "settled_statuses: P → –" in done.out
    assert "user_id: – → x" in done.out
    assert "countries: – → [x]" in done.out
    assert "api_key: •••• → changed" in done.out
    assert "✓ connected" in done.out
    assert KEY not in done.said
    assert "Nothing to change." in run("integration", "edit", "shop").out


def test_a_limit_is_set_shown_and_overlaps_are_told(
    run: Run, installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop, "whole")
    arguments = ("--url", shop.url, "--email", shop.email, "--api-key-env", "SHOP_KEY")
    done = run("integration", "add", "part", *arguments, "--companies", "2, 1")
    assert (done.code, "whole reads the same shop" in done.err) == (0, True)
    assert run("integration", "show", "part", "--json").json["settings"]["companies"] == [1, 2]
    assert "1, 2" in run("integration", "show", "part").out
    assert run("integration", "status", "part", "--json").json["warnings"]
    done = run("integration", "edit", "part", "--companies", "2", "--order-prefix", "P")
    assert "companies: 1, 2 → 2" in done.out
    assert "the next synchronisation is a full one" in done.out
    done = run("integration", "edit", "whole", "--companies", "1")
    assert (done.code, done.err) == (0, "")
    done = run("integration", "edit", "whole", "--companies", "", "--order-prefix", "W")
    assert (done.code, "the integration 'part' reads" in done.err) == (2, True)
    assert run("integration", "edit", "part", "--storefronts", "two").code == 2


def test_statuses_are_given_by_letter_or_name_and_kept_as_letters(
    run: Run, installation: Installation, shop: SandboxShop, tmp_path: Path
) -> None:
    where = ("--url", shop.url, "--email", shop.email, "--api-key-env", "SHOP_KEY")
    words = ("--settled-statuses", "paid,c", "--refund-statuses", "Cancelled",
             "--order-statuses", "Incomplete,open", "--shipped-status", "complete")  # fmt: skip
    done = run("integration", "add", "tea", *where, *words)
    assert done.code == 0, done.said

    def kept(key: str = "tea") -> list[Any]:
        one = installation.registry.get(key).settings
        return [one.settled_statuses, one.refund_statuses, one.order_statuses, one.shipped_status]

    assert kept() == [("P", "C"), ("I",), ("N", "O"), "C"]
    for wrong in (("--settled-statuses", "P,Z"), ("--shipped-status", "Shippd"),
                  ("--refund-statuses", "Payd")):  # fmt: skip
        done = run("integration", "edit", "tea", *wrong)
        assert (done.code, "the shop has no status" in done.err) == (2, True)
    assert "did you mean Paid?" in " ".join(done.err.split())
    assert run("integration", "add", "hats", *where, "--settled-statuses", "Payd").code == 2
    assert run("integration", "edit", "tea", "--settled-statuses", "Open,Backordered").code == 0
    assert kept()[0] == ("O", "B")
    file = tmp_path / "integrations.yaml"
    file.write_text(
        f"integrations: [{{integration: tea, url: '{shop.url}', email: {shop.email},"
        " api_key: 'env:SHOP_KEY', settled_statuses: [Paid, Complete]}]"
    )
    assert run("integration", "apply", "-f", str(file), "--yes").code == 0
    assert kept()[0] == ("P", "C")
    assert "Nothing to change." in run("integration", "apply", "-f", str(file), "--yes").out


def test_where_the_shop_cannot_be_asked_letters_and_usual_names_are_taken(
    run: Run, installation: Installation
) -> None:
    installation.save(url="http://127.0.0.1:9")
    assert run("integration", "edit", "shop", "--settled-statuses", "Paid,Z").code == 0
    assert installation.registry.get("shop").settings.settled_statuses == ("P", "Z")
    done = run("integration", "edit", "shop", "--settled-statuses", "Versandt")
    assert (done.code, "could not be read" in done.err) == (2, True)
    assert run("integration", "edit", "shop", "--order-statuses", "Versandt").code == 0


def test_an_edit_tells_words_that_the_shop_does_not_know(
    run: Run, installation: Installation
) -> None:
    installation.save()
    edit = ("integration", "edit", "shop", "--shipped-status", "Shiped", "--countries")
    done = run(*edit, "Narnia,GB")
    assert (done.code, "knows no" in done.err) == (0, False)  # nothing was synchronised yet
    assert "--countries: no country is called Narnia: no order" in done.err
    with installation.database.connect() as connection:
        connection.execute(
            "INSERT INTO cscart.statuses (integration, status, type, description, content_hash)"
            " VALUES ('shop', 'C', 'O', 'Complete', '')"
        )
    done = run(*edit, "Narnia,GB,Erewhon")
    assert (done.code, "is saved" in done.out) == (0, True)
    assert "--shipped-status: the shop knows no Shiped" in done.err
    assert "--countries: no country is called Narnia, Erewhon" in done.err
    assert "knows no" not in run("integration", "edit", "shop", "--shipped-status", "complete").err


def test_an_edit_tells_all_mistakes_and_the_advice_for_fixed_fields(
    run: Run, installation: Installation
) -> None:
    installation.save()
    done = run("integration", "edit", "shop", "--currency", "E", "--update-stock", "perhaps")
    assert (done.code, "--currency" in done.err, "--update-stock" in done.err) == (2, True, True)
    done = run("integration", "edit", "shop", "--list-name", "x", "--url", "https://x.example")
    assert done.code == 2
    assert done.err.count("remove the integration and create a new one in its place") == 2


def test_what_the_status_does_not_allow_leaves_with_4(run: Run, installation: Installation) -> None:
    installation.save()
    for command, said in {
        "resync": "it has not been started yet; use start",
        "enable": "it is not disabled; use start",
        "tracking-file": "it has not been started yet; use start",
    }.items():
        done = run("integration", command, "shop")
        assert (done.code, done.err.strip()) == (
            4,
            f"✗ {command} is not allowed: {said}",
        )
    with acquire(
        installation.database.warehouse, installation.registry, "shop", Action.START
    ) as session:
        for command, *options in (
            ["start"], ["resync"], ["edit", "--currency", "USD"], ["disable"], ["remove", "--yes"],
            ["start", "--background"],
        ):  # fmt: skip
            done = run("integration", command, "shop", *options)
            assert done.code == 4, command
            assert "sync" in done.err
        session.succeed({})


def test_an_untested_change_leaves_with_4(
    run: Run, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "a" * 32)
    installation.save(api_key="a" * 32, api_key_reference="env:SHOP_KEY")
    monkeypatch.setenv("SHOP_KEY", KEY)
    done = run("integration", "start", "shop")
    assert (done.code, "use test first" in done.err) == (4, True)


def test_start_and_resync_in_the_background_are_left_to_the_daemon(
    run: Run, installation: Installation
) -> None:
    installation.save()
    assert "The daemon starts it" in run("integration", "start", "shop", "--background").out
    assert installation.rows("SELECT integration, whole FROM registry.sync_requests") == [
        ("shop", False)
    ]
    installation.put("shop", "enabled")
    for options in (["shop", "--full"], ["--all"]):  # the later one takes nothing away
        run("integration", "resync", *options, "--background")
        assert installation.rows("SELECT integration, whole FROM registry.sync_requests") == [
            ("shop", True)
        ]


def test_several_are_asked_of_the_daemon_at_once(run: Run, installation: Installation) -> None:
    for key, status in (("a", "enabled"), ("b", "failed"), ("c", "disabled"), ("d", "enabled")):
        installation.save(key)
        installation.put(key, status)
    asked = "SELECT array_agg(integration ORDER BY 1), count(DISTINCT requested_at)"
    asked += " FROM registry.sync_requests"
    done = run("integration", "resync", "--all", "--background")
    assert (done.code, installation.rows(asked)) == (0, [(["a", "b", "d"], 1)])
    assert "c is not synchronised: it is disabled; use enable first" in done.out
    installation.execute("DELETE FROM registry.sync_requests")
    done = run("integration", "resync", "c", "a", "--background")
    assert (done.code, installation.rows(asked)) == (4, [(["a"], 1)])
    assert "c is not synchronised: it is disabled" in done.out
    installation.execute("DELETE FROM registry.sync_requests")
    for wrong in (("a", "nobody"), (), ("--all", "a")):
        assert run("integration", "resync", *wrong, "--background").code == 2
    assert installation.rows(asked) == [(None, 0)]


# dagster_dbt asks the context as it was called before.
@pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated")
@pytest.mark.usefixtures("launched_here")
def test_several_are_read_by_one_run_each_for_itself(run: Run, installation: Installation) -> None:
    """One refuses the key; the other has its list, and the screen tells both."""
    with SandboxShop(catalogue="small") as good, SandboxShop(catalogue="small") as other:
        good.store.place_order(lines=[(1, 1)])
        installation.save_shop(good, "good")
        installation.save("wrong", KEY, url=other.url, email=other.email)
        for key in ("good", "wrong"):
            installation.put(key, "enabled")
        done = run("integration", "resync", "good", "wrong")
    assert done.code == 3, done.err
    assert "good is synchronised; changed: 0 customers, 1 order" in done.out
    assert "wrong: 127.0.0.1" in done.out
    assert "1 of 2 integrations failed" in done.err
    assert installation.rows("SELECT count(DISTINCT run_id) FROM registry.sync_runs") == [(1,)]
    assert installation.rows(
        "SELECT purchases FROM analytics.list_metrics WHERE integration = 'good'"
    )


def test_the_log_of_the_last_run(run: Run, installation: Installation) -> None:
    """Of a run over two shops, which the schedule started: what concerns the one that is named."""

    @dg.op
    def read_shop(context):  # type: ignore[no-untyped-def]
        context.log.warning("the shop was slow")
        for key in ("shop", "other"):
            context.log_event(dg.AssetMaterialization(["orders_of", key], partition=key))
        raise dg.Failure("1 of 2 failed: shop. shop: no such key")

    @dg.job
    def resync() -> None:
        read_shop()

    installation.save("shop")
    assert "shop has had no run yet." in run("integration", "logs", "shop").out
    with dg.DagsterInstance.from_config(str(installation.settings.home / "dagster")) as instance:
        run_id = resync.execute_in_process(
            instance=instance,
            tags={"dagster/schedule_name": "hourly_resync"},
            raise_on_error=False,
        ).run_id
    installation.execute(
        "INSERT INTO registry.sync_runs (integration, run_id, kind, state)"
        " VALUES ('shop', %s, 'resync', 'failed')",
        run_id,
    )
    said = run("integration", "logs", "shop").out
    for words in ("resync, failure", "hourly_resync", f"run {run_id}", "the shop was slow",
                  "orders_of/shop is stored", "shop: no such key"):  # fmt: skip
        assert words in said
    assert "orders_of/other" not in said
    assert said.count("no such key") == 1  # the end of the run does not repeat it
    found = run("integration", "logs", "shop", "--run", run_id[:8], "--json").json
    assert (found["run_id"], found["state"]) == (run_id, "failure")
    assert {"level": "warning", "text": "the shop was slow"}.items() <= found["log"][2].items()
    assert run("integration", "logs", "shop", "--run", "nothing").code == 2


def test_disable_enable_and_the_gate_of_the_tracking_file(
    run: Run, installation: Installation
) -> None:
    installation.save()
    installation.put("shop", "enabled")
    assert run("integration", "tracking-file", "shop").code == 0
    done = run("integration", "disable", "shop")
    assert "shop is disabled" in done.out
    assert "delete it there too" in done.out
    done = run("integration", "tracking-file", "shop")
    assert (done.code, "it is disabled; use enable first" in done.err) == (4, True)
    assert "shop is enabled" in run("integration", "enable", "shop").out
    installation.put("shop", "failed")
    run("integration", "disable", "shop")
    done = run("integration", "enable", "shop")
    assert (done.code, "It is failed, as before: it broke" in done.out) == (0, True)
    assert "integration resync shop" in done.out


DESTROYING = (
    "integration remove shop", "integration remove shop --purge-data --force",
    "purge-person ada@example.com", "integration apply -f {file}",
    "integration onsite shop --retention-days 7", "fulfilment undo shop abcdef",
    "fulfilment stock shop --release", "integration tracking-file shop --new-key",
)  # fmt: skip


@pytest.mark.parametrize("command", DESTROYING)
def test_what_destroys_or_sends_does_nothing_without_an_answer(
    run: Run, installation: Installation, tmp_path: Path, command: str
) -> None:
    """Without a terminal to ask on it is refused, and says what it would do."""
    installation.save(update_stock=True, stock_schedule="0 * * * *", update_tracking_number=True)
    installation.put("shop", "enabled")
    if "apply" in command:
        text = run("integration", "export").out
        (tmp_path / "i.yaml").write_text(f"{text}  currency: USD\n")
    words = command.format(file=tmp_path / "i.yaml").split()
    before = installation.state()
    done = run(*words)
    assert (done.code, "needs --yes" in done.err) == (2, True), done.said
    assert "Nothing was changed" in done.err
    assert installation.state() == before


@pytest.mark.parametrize(("answer", "code"), [("\n", 2), ("\x04", 2), ("\x03", 130), ("y\n", 0)])
def test_on_a_terminal_only_a_yes_goes_on(
    installation: Installation, answer: str, code: int
) -> None:
    """Not the default, the end of the input, or a stop."""
    installation.save()
    environment = {**installation.environment, "TERM": "xterm"}
    words = ["integration", "remove", "shop"]
    ended, shown = on_a_terminal(words, 80, environment, answer)
    assert (ended, "Go on? [y/n] (n)" in shown, "Traceback" in shown) == (code, True, False)
    assert len(installation.registry.all()) == bool(code)


def test_with_quiet_only_results_are_printed(run: Run, installation: Installation) -> None:
    installation.save()
    installation.put("shop", "enabled")
    assert run("integration", "disable", "shop", "--quiet").said == ""
    assert "disabled" in run("--quiet", "integration", "status", "shop").out
    assert "is enabled" in run("integration", "enable", "shop").out


def test_remove_says_what_is_gone_what_stays_and_the_advice(
    run: Run, installation: Installation
) -> None:
    category = (
        "INSERT INTO cscart.categories (integration, category_id, content_hash)"
        " VALUES ('shop', 1, '')"
    )
    installation.save()
    installation.execute(category)
    done = run("integration", "remove", "shop", "--yes")
    assert done.code == 0
    assert "shop is removed; its settings and its API key are deleted" in done.out
    assert "Its data stays" in done.out
    assert "Google Tag Manager" in done.out
    installation.save()
    installation.execute(category)
    assert (
        "1 row of cscart.categories"
        in run("integration", "remove", "shop", "--purge-data", "--yes").out
    )
    assert installation.registry.all() == []


# --- as a file, and the trail --------------------------------------------------------------------


def test_apply_shows_the_difference_first_and_twice_is_as_once(
    run: Run, installation: Installation, shop: SandboxShop, tmp_path: Path
) -> None:
    file = tmp_path / "integrations.yaml"
    entry = {"integration": "shop", "url": shop.url, "email": shop.email, "api_key": "env:SHOP_KEY"}
    file.write_text(json.dumps({"integrations": [entry]}))
    done = run("integration", "apply", "-f", str(file), "--dry-run")
    assert (done.code, done.out.startswith(f"+ shop  {shop.url}")) == (0, True)
    assert installation.registry.all() == []
    assert "✓ shop" in run("integration", "apply", "-f", str(file), "--yes").out
    assert "Nothing to change." in run("integration", "apply", "-f", str(file), "--yes").out
    file.write_text(json.dumps({"integrations": [{**entry, "timezone": "Asia/Tokyo"}]}))
    done = run("integration", "apply", "-f", str(file), "--yes")
    assert "~ shop" in done.out
    assert "timezone: UTC → Asia/Tokyo" in done.out
    assert installation.registry.get("shop").settings.timezone == "Asia/Tokyo"
    exported = run("integration", "export").out
    assert "api_key: env:SHOP_KEY" in exported
    assert KEY not in exported
    file.write_text(exported)
    assert "Nothing to change." in run("integration", "apply", "-f", str(file), "--yes").out


def test_apply_goes_on_after_a_failure_and_says_so(
    run: Run,
    installation: Installation,
    shop: SandboxShop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WRONG", "wrong")
    entry = {"url": shop.url, "email": shop.email}
    file = tmp_path / "integrations.yaml"
    entries = [
        {**entry, "integration": "bad", "api_key": "env:WRONG"},
        {**entry, "integration": "good", "api_key": "env:SHOP_KEY"},
    ]
    file.write_text(json.dumps({"integrations": entries}))
    done = run("integration", "apply", "-f", str(file), "--yes")
    assert done.code == 3
    assert "✗ bad: " in done.err
    assert "✗ 1 of 2 changes failed" in done.err
    assert [one.key for one in installation.registry.all()] == ["good"]


def test_a_file_with_mistakes_is_told_entry_by_entry(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "integrations.yaml"
    file.write_text(f"integrations: [{{integration: tea, url: x, api_key: {KEY}}}]")
    done = run("integration", "apply", "-f", str(file), "--yes")
    assert done.code == 2
    assert "tea.api_key expected env:NAME or file:/path; the key itself has no place" in done.err
    assert KEY not in done.said
    done = run("integration", "apply", "-f", str(tmp_path / "none.yaml"))
    assert (done.code, "No such file" in done.err) == (2, True)


def test_an_export_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    done = run("integration", "export", "-o", str(tmp_path / "no" / "file.yaml"))
    assert (done.code, "No such file or directory" in done.err) == (2, True)
    assert run("integration", "export", "-o", str(tmp_path / "all.yaml")).code == 0
    assert (tmp_path / "all.yaml").read_text().endswith("\nintegrations: []\n")


def test_the_trail_is_shown_in_the_order_of_events(run: Run, installation: Installation) -> None:
    installation.save("a")
    installation.save("b")
    installation.put("a", "enabled")
    lines = run("integration", "audit", "a").out.splitlines()[1:]
    expected = ("added", "status syncing", "status enabled")
    assert [word for word, line in zip(expected, lines, strict=True) if word in line] == [*expected]
    rows = run("integration", "audit", "--json", "--limit", "2").json
    assert [row["act"] for row in rows] == ["status enabled", "status syncing"]
    run("integration", "edit", "a", "--start-date", "01/02/2024", "--notify-customer", "yes")
    trail = " ".join(run("integration", "audit", "a").out.split())
    assert "start_date: – → 2024-02-01" in trail and "notify_customer: no → yes" in trail
    assert KEY not in str(rows)


# --- help ----------------------------------------------------------------------------------------


def test_help_names_every_command_and_where_the_key_is_found(run: Run) -> None:
    text = run("integration", "--help").out
    for command in COMMANDS:
        assert f" {command} " in text
        assert run("integration", command, "--help").code == 0
    text = " ".join(run("integration", "add", "--help").out.replace("│", " ").split())
    assert "Customers > Administrators" in text
    assert "API access" in text
    assert "docs/connect-a-shop.md" in text
    for option in (
        "--list-name", "--api-key-env", "--api-key-file", "--api-key-ref", "--timezone",
        "--settled-statuses", "--stock-schedule", "--notify-customer", "--start",
    ):  # fmt: skip
        assert option in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["integration", "add"],
        ["integration", "nonsense"],
        ["nonsense"],
        ["integration", "list", "-x"],
        ["integration", "audit", "--limit", "many"],
    ],
)
def test_wrong_usage_leaves_with_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert "Usage" in done.err


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.run(["integration", "list"])
