"""What the tests of the command line and of integrations share: saved shops, and commands.

Commands run in this process where they only talk to the warehouse and the shop; real processes
where something is to be killed, raced or watched.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from cscart_pipelines.cli import main as cli
from cscart_pipelines.cli.support import console
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.conftest import Database

PROJECT = PROJECT_ROOT
PASSED = {"style": "rewrite", "orders_with_details": True, "updated_at_filter": True,
          "user_type_required": True, "orders_seen": True}  # fmt: skip
KEY = "3f2a9c01d4e5b6a7978812345678abcd"
"""An API key that must never be seen again."""


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Installation:
    """One warehouse with its integrations, and the commands that act on them."""

    database: Database
    settings: Settings

    @property
    def registry(self) -> Registry:
        return Registry(self.database.warehouse, self.settings)

    @property
    def service(self) -> IntegrationService:
        return IntegrationService(self.database.warehouse, self.registry, self.settings)

    def save(self, key: str = "shop", api_key: str = KEY, **values: Any) -> None:
        """Saves an integration as after a passed test; nobody is asked."""
        settings = check(
            {"integration": key, "list_name": key, "url": f"https://{key}.example",
             "email": "admin@shop.example", **values}
        )  # fmt: skip
        self.registry.add(settings, SecretStr(api_key), PASSED)

    def save_shop(self, shop: SandboxShop, key: str = "shop", **values: Any) -> None:
        self.save(key, shop.api_key, url=shop.url, email=shop.email, **values)

    def put(self, key: str, status: str, *, permanent: bool = False) -> None:
        """Brings an integration into a status by the way it takes."""
        self.execute(
            "UPDATE registry.integrations SET status = 'syncing' WHERE integration = %s", key
        )
        if status == "syncing":
            return
        to = "failed" if status == "failed" else "enabled"
        self.execute(
            "UPDATE registry.integrations SET status = %s, status_reason = %s,"
            " failure_permanent = %s, attempts = %s,"
            " first_synced_at = CASE WHEN %s THEN now() END, last_synced_at = now()"
            " WHERE integration = %s",
            to, "it broke" if to == "failed" else None, permanent, int(to == "failed"),
            to == "enabled", key,
        )  # fmt: skip
        if status == "disabled":
            self.execute(
                "UPDATE registry.integrations SET status = 'disabled' WHERE integration = %s", key
            )

    def status(self, key: str = "shop") -> str:
        return str(self.registry.get(key).status)

    def state(self) -> list[tuple[Any, ...]]:
        """What a command may have changed: settings, keys, the trail."""
        return [
            *self.rows("SELECT to_jsonb(i)::text FROM registry.integrations AS i ORDER BY 1"),
            *self.rows("SELECT to_jsonb(s)::text FROM onsite.sites AS s ORDER BY 1"),
            *self.rows("SELECT write_key, retired_at FROM onsite.keys ORDER BY 1"),
            *self.rows("SELECT count(*) FROM registry.audit"),
            *self.rows("SELECT count(*) FROM registry.suppressed_people"),
        ]

    def execute(self, query: str, *arguments: Any) -> None:
        with self.database.connect() as connection:
            connection.execute(query.encode(), arguments)

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query.encode(), arguments).fetchall()

    def lock(self, key: str = "shop") -> psycopg.Connection[Any]:
        """A live run's lock; closing the connection frees it."""
        connection = self.database.open_session()
        advisory.wait_for_session(connection, Lock.SYNC, key, reason="its end")
        return connection

    def process(self, code: str, **options: Any) -> subprocess.Popen[str]:
        """A process of its own that has `service`; it waits on its standard input."""
        head = (
            "import sys\n"
            "from cscart_pipelines.integrations.service import IntegrationService\n"
            "from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError\n"
            "from cscart_pipelines.integrations.sync_runs.lock import acquire\n"
            "from cscart_pipelines.integrations.registry import Registry\n"
            "from cscart_pipelines.integrations.settings import InvalidSettingsError, check\n"
            "from cscart_pipelines.settings import read_settings\n"
            "from cscart_pipelines.warehouse.connect import Warehouse\n"
            "from pydantic import SecretStr\n"
            "settings = read_settings()\n"
            "warehouse = Warehouse(settings.sqlalchemy_url())\n"
            "registry = Registry(warehouse, settings)\n"
            "service = IntegrationService(warehouse, registry, settings)\n"
            "print('ready', flush=True)\n"
        )
        made = subprocess.Popen(
            [sys.executable, "-c", head + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
            **options,
        )
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        return made

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CSCART_PIPELINES_HOME": str(self.settings.home),
            **self.database.settings_env,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command as a process that is to be killed or watched."""
        return subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.cli.main", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """A command as a process; its output is no terminal."""
        options.setdefault("env", self.environment)
        return subprocess.run(
            [sys.executable, "-m", "cscart_pipelines.cli.main", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )


def on_a_terminal(
    arguments: Sequence[str], columns: int, environment: Mapping[str, str], answer: str = ""
) -> tuple[int, str]:
    """A command on a terminal of its own: its exit code, and all that it shows, without colours.

    `answer` is typed when the command asks something, and again while nothing follows: what is
    typed between the question and the first read is lost when the terminal changes its mode.
    """
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (40, columns))
    process = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.cli.main", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    shown, answered = b"", 0
    with contextlib.suppress(OSError):  # the end, on Linux
        while True:
            if select.select([leader], [], [], 1)[0]:
                data = os.read(leader, 65536)
                if not data:
                    break
                shown += data
            elif answer and b"[y/n]" in shown and answered in (0, len(shown)):
                os.write(leader, answer.encode())
                answered = len(shown)
    os.close(leader)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))
    return process.wait(), plain.replace("\r\n", "\n")


@pytest.fixture
def installation(warehouse_database: Database, settings: Settings) -> Installation:
    return Installation(warehouse_database, settings)


Run = Callable[..., Result]


@pytest.fixture
def run(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """A command in this process, on the installation's warehouse."""
    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(installation.settings.home))
    for stream in (console.out, console.err):
        monkeypatch.setattr(stream, "width", console.WIDE)  # whatever the test runner's terminal
    for name, value in installation.database.settings_env.items():
        monkeypatch.setenv(name, value)

    def run_command(*arguments: str) -> Result:
        capsys.readouterr()
        code = cli.run(list(arguments))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Result(code, said.out, said.err)

    yield run_command
