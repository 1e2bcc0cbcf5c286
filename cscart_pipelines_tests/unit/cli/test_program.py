"""The command line as users of command lines expect it: help, common options, errors, messages.

Nothing here opens a warehouse.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from cscart_pipelines import __version__
from cscart_pipelines.cli import commands, reference
from cscart_pipelines.cli import main as cli
from cscart_pipelines.cli.fulfilment import push_run
from cscart_pipelines.cli.fulfilment.display import distinct, print_push
from cscart_pipelines.cli.integration import status
from cscart_pipelines.cli.support import exit_codes, run_process, sync_run
from cscart_pipelines.cscart.errors import CredentialsRefusedError, UnreachableError
from cscart_pipelines.fulfilment.pushes.batch import PushOutcome
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.support.shop.commands import Result

PROJECT = PROJECT_ROOT
COMMANDS = dict(commands.all_commands(commands.app))
ARGUMENT = re.compile(r"-[\w-]+(?:/--[\w-]+|=\S*)?")
"""A text that is nothing but an option: an argument of some program, no message."""


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def command(*arguments: str) -> Result:
        capsys.readouterr()
        code = cli.run(list(arguments))
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    monkeypatch.setenv("CSCART_PIPELINES_HOME", "unused")  # restored, whatever --home sets
    return command


def test_every_option_and_argument_has_a_help_text() -> None:
    without = [
        f"{' '.join(names)} {parameter.opts[0]}"
        for names, command in COMMANDS.items()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert without == []
    assert [names for names, command in COMMANDS.items() if not command.help] == []


@pytest.mark.parametrize("names", [(), ("integration",), ("fulfilment",)], ids=" ".join)
def test_no_command_s_summary_is_cut_at_80_columns(
    say: Any, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = say(*names, "--help").out.partition("Commands:")[2]
    assert text
    assert [line for line in text.splitlines() if "..." in line] == []


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_h_is_help_everywhere(say: Any, names: tuple[str, ...]) -> None:
    if names != ("dbt",):  # its own help is dbt's
        done = say(*names, "-h")
        assert (done.code, done.out) == (0, say(*names, "--help").out)


def test_version(say: Any) -> None:
    assert say("--version").out == f"cscart-pipelines {__version__}\n"
    pyproject = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{__version__}"\n' in pyproject


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands_and_options(shell: str) -> None:
    script = _program("--show-completion", shell)
    assert "_CSCART_PIPELINES_COMPLETE" in script.stdout
    words = {"COMP_WORDS": "cscart-pipelines integration tra", "COMP_CWORD": "2"}
    args = {"_TYPER_COMPLETE_ARGS": "cscart-pipelines integration tra"}
    mode = {"_CSCART_PIPELINES_COMPLETE": f"complete_{shell}"}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "tracking-file" in _program(**words, **args, **mode, **action).stdout


@pytest.mark.parametrize("after", [True, False])
def test_home_stands_before_or_after_the_command(say: Any, tmp_path: Path, after: bool) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for place, words in ((tmp_path / "new", "nothing there"), (file, "is a file")):
        given, command = ["--home", str(place)], ["sandbox", "--catalogue", "none"]
        done = say(*command, *given) if after else say(*given, *command)
        assert done.code == exit_codes.WRONG_USAGE
        if words == "is a file":
            assert words in done.err
        else:
            assert os.environ["CSCART_PIPELINES_HOME"] == str(place)


def _program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cscart_pipelines.cli.main", *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", **environment},
    )  # fmt: skip


def test_the_page_about_the_command_line_is_current() -> None:
    page = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference.page(), "docs/cli.md is not what `make docs` writes"


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lists", "--json", "--nonsense"], "--nonsense"),
        (["fulfilment", "journal", "--json"], "KEY"),
        (["fulfilment", "journal", "a", "--json", "--limit", "x"], "--limit"),
        (["fulfilment", "orders", "a", "--format=json", "--since", "x"], "--since"),
        (["purge-person", "--json", "\udce9@x.gr"], "not text in the encoding"),
        (["fulfilment", "rules", "a", "--json", "--cap", "x"], "x"),
        (["purge-person", "--json", "nobody"], "PERSON"),
        (["fulfilment", "ship", "a", "--json", "--queue", "--dry-run"], "--dry-run"),
    ],
)
def test_with_json_wrong_usage_is_json_too(say: Any, arguments: list[str], says: str) -> None:
    done = say(*arguments)
    assert (done.code, done.out) == (exit_codes.WRONG_USAGE, "")
    error = json.loads(done.err.splitlines()[-1])["error"]
    assert error["code"] == exit_codes.WRONG_USAGE
    assert says in error["message"] + str(error["problems"])


def test_with_json_each_wrong_setting_is_told_by_its_option(say: Any) -> None:
    done = say("integration", "onsite", "a", "--json", "--raw-email", "perhaps", "--origin", "x")
    error = json.loads(done.err)["error"]
    assert error["problems"].keys() == {"--raw-email", "--origin"}


@pytest.mark.parametrize(
    "arguments", [("orders", "a", "--format", "table"), ("journal", "a", "--limit", "x")]
)
def test_a_wrong_value_is_told_in_plain_words(say: Any, arguments: tuple[str, ...]) -> None:
    told = say("fulfilment", *arguments).err
    assert f"Invalid value for '{arguments[-2]}'" in told
    assert "Value error" not in told


def test_an_error_is_told_with_quiet_too(say: Any) -> None:
    for place in ((), ("purge-person",)):
        words = [*place, "--quiet", *([] if place else ["purge-person"]), "nobody"]
        assert "PERSON" in say(*words).err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_the_characters_gets_others(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "purge-person", "Ωδή", "--quiet"],
        capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    text = done.stderr.decode(encoding)
    assert (done.returncode, "Traceback" in text) == (exit_codes.WRONG_USAGE, False)
    assert ("Ωδή" if encoding == "utf-8" else "x PERSON: '???'") in text


# --- messages ------------------------------------------------------------------------------------


def _messages() -> list[tuple[str, str]]:
    """Texts of the program that may reach a screen, with where they stand; no docstrings."""
    found = []
    for path in sorted((PROJECT / "cscart_pipelines").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        found += [
            (f"{path.relative_to(PROJECT)}:{node.lineno}", node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
            and not ARGUMENT.fullmatch(node.value)
        ]
    return found


def test_messages_name_options_and_commands_that_exist() -> None:
    options = commands.option_names()
    wrong = []
    for place, text in _messages():
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text):
            if option.rstrip("-") not in options:
                wrong.append(f"{place}: {option}")
        for group, name in re.findall(
            r"\b(integration|fulfilment) ([a-z-]+)(?= (?:KEY|\{|my-))", text
        ):
            if (group, name) not in COMMANDS:
                wrong.append(f"{place}: {group} {name}")
    fields = (*IntegrationSettings.model_fields, "api_key")
    wrong += [name for name in map(cli._option, fields) if name[:2] == "--" and name not in options]
    assert wrong == []


# --- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreachableError("no answer"), exit_codes.SHOP_UNREACHABLE),
        (CredentialsRefusedError("401"), exit_codes.SHOP_UNREACHABLE),
        (NotAllowedError("disabled"), exit_codes.NOT_ALLOWED),
        (ShopWriteLockedError("another run is writing"), exit_codes.NOT_ALLOWED),
        (ValueError("unforeseen"), exit_codes.RUN_FAILED),
        (None, exit_codes.RUN_FAILED),
    ],
)
def test_a_push_that_never_began_ends_with_the_code_of_its_reason(
    error: Exception | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = PushOutcome()
    outcome.failures["shop"] = "the reason"
    if error is not None:
        outcome.kinds["shop"] = type(error).__name__
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(sys.argv[1])",
         json.dumps({"event": "report", "reports": outcome.to_json()})],
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        run = run_process.RunProcess(process, tmp_path / "log")
        monkeypatch.setattr(push_run, "start_runs", lambda *_: run)
        monkeypatch.setattr(push_run, "_watch", lambda *_: process.wait())
        with pytest.raises(exit_codes.CommandError) as raised:
            push_run.run_push(None, "shop", "stock", limit=None)  # type: ignore[arg-type]
    assert raised.value.code == code
    assert str(raised.value).startswith("shop: the reason. ")


# --- what is counted -----------------------------------------------------------------------------


def test_a_bar_counts_a_row_once_that_two_pages_have_shown() -> None:
    numbers = {"rows": 2840, "inserted": 2340, "updated": 0, "unchanged": 0, "rejected": 0}
    assert sync_run.rows_of(numbers) == 2340
    assert sync_run.rows_of({"rows": 7, "inserted": 1, "updated": 2, "unchanged": 9}) == 7
    assert sync_run.rows_of({"rows": 8}) == 8


def test_a_bar_does_not_outlive_its_failure() -> None:
    progress = Progress()
    done, broken = progress.add_task("customers", total=2), progress.add_task("orders", total=None)
    progress.update(done, completed=2)
    run_process.drop_unfinished(progress)
    assert (progress.task_ids, broken) == ([done], 1)


def test_a_phase_that_was_not_seen_is_not_complete_with_0_rows() -> None:
    progress = Progress()
    names = ("products", "customers", "orders")
    bars = {name: progress.add_task(name, total=None, start=False) for name in names}
    sync_run.advance(progress, bars, "products", 60, 120)
    sync_run.advance(progress, bars, "orders", 1, 7)
    shown = {task.description: (task.completed, task.total) for task in progress.tasks}
    assert shown == {"products": (120, 120), "customers": (0, None), "orders": (1, 7)}
    assert [task.finished for task in progress.tasks] == [True, False, False]


def test_a_run_that_counts_no_rows_says_nothing_of_changes() -> None:
    now = datetime.now(UTC)
    run = {"started_at": now, "finished_at": now, "state": "succeeded", "stats": {"events": 3}}
    assert status._run_line({**run, "kind": "onsite"}).endswith("onsite succeeded, 0 s")
    changes = {"customers": {"inserted": 1, "updated": 0, "deleted": 0}}
    told = status._run_line({**run, "kind": "first", "stats": {"entities": changes}})
    assert told.endswith("; changed: 1 customer")


def test_a_refusal_is_listed_once_with_the_line_where_it_stands() -> None:
    in_push, in_file = (
        RefusedRow("CS1 A1", "no such order"),
        RefusedRow("CS1 A1", "no such order", "f:2"),
    )
    assert distinct([in_push, in_file, in_push]) == [in_file]
    other = RefusedRow("CS1 A1", "no such order", "f:3")
    assert distinct([in_file, other]) == [in_file, other]


def test_a_push_with_refused_rows_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    """It leaves with 1: a green tick would say the opposite."""
    report = PushReport("shop", "shipments")
    print_push(report, refused=1, run_id=None)
    assert capsys.readouterr().out.startswith("! shop: 0 written, 1 refused")
    print_push(report, refused=0, run_id=None)
    assert capsys.readouterr().out.startswith("✓ shop: 0 written")
