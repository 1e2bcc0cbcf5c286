"""Homes for embedded servers of a test's own, and real processes that use them.

What any test needs of a database is in conftest; here is what is needed to break a server.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
import pytest

from cscart_pipelines.local_postgres.client import Client, connect, wait_until_stopped
from cscart_pipelines.local_postgres.paths import remove_files
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines_tests import PROJECT_ROOT

PROJECT = PROJECT_ROOT
SECONDS = 60
"""How long an event may take before a test gives up on it."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the account needs root")
T = TypeVar("T")

USER = """
import sys
from pathlib import Path
from cscart_pipelines.local_postgres.client import connect
member = connect(Path(sys.argv[1]))
print(member.paths.data, flush=True)
"""


def environment(**more: str) -> dict[str, str]:
    """For a process that imports what this one can import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]), **more}


class User:
    """A process of its own that joins the server of a home and then waits for its end."""

    def __init__(self, home: Path, then: str = "sys.stdin.read()", **options: Any) -> None:
        options.setdefault("env", environment())
        self.process = subprocess.Popen(
            [options.pop("python", sys.executable), "-c", USER + then, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **options,
        )

    def line(self) -> str:
        """Waits for the next line it prints; its first one tells that it has joined."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().strip()
        assert line, f"ended with {self.process.wait()} instead of a line"
        return line

    def disconnect(self) -> None:
        with self.process:
            pass

    def kill(self) -> None:
        self.process.kill()
        self.disconnect()


class Homes:
    """Homes in a folder that every account may pass through; removed with their servers."""

    def __init__(self, base: Path, template: Path) -> None:
        self.base = base
        self._template = template
        self._made: list[Path] = []

    def fresh(self, name: str = "home") -> Path:
        home = self.base / name
        self._made.append(home)
        return home

    def ready(self, name: str = "home") -> Path:
        """A home whose database has been made already, which saves the second that takes."""
        home = self.fresh(name)
        home.mkdir(mode=0o711)
        subprocess.run(["cp", "-a", self._template / "postgres", home / "postgres"], check=True)
        return home

    def end(self) -> None:
        for home in self._made:
            assert wait_until_stopped(home, SECONDS), f"the server of {home} still runs"
            if (home / "postgres").is_dir():
                assert remove_files(home)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="cp-"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def template_home() -> Iterator[Path]:
    base = _folder()
    home = base / "home"
    connect(home).disconnect()
    assert wait_until_stopped(home, SECONDS)
    yield home
    assert remove_files(home)
    shutil.rmtree(base)


@pytest.fixture
def homes(template_home: Path) -> Iterator[Homes]:
    made = Homes(_folder(), template_home)
    yield made
    made.end()
    shutil.rmtree(made.base)


@contextlib.contextmanager
def using(home: Path) -> Iterator[Client]:
    """This process as a user."""
    member = connect(home)
    try:
        yield member
    finally:
        member.disconnect()


def ask(member: Client, query: str) -> Any:
    with Warehouse(member.url()).connect(autocommit=True) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster(member: Client) -> psutil.Process:
    text = (member.paths.data / "postmaster.pid").read_text()
    return psutil.Process(int(text.split("\n", 1)[0]))


def supervisor(member: Client) -> psutil.Process:
    parent = postmaster(member).parent()
    assert parent is not None
    return parent


def until(condition: Callable[[], T]) -> T:
    """For what the system has no event for: another process's state."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
    return found


def answers(member: Client) -> bool:
    with contextlib.suppress(Exception):
        return bool(ask(member, "SELECT true"))
    return False


def as_account(uid: int, work: Callable[[], T]) -> T:
    """What `work` returns or raises when a forked child does it under another account."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            try:
                answer = (True, work())
            except Exception as error:
                answer = (False, error)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(child, 0)
    good, result = pickle.loads(raw)
    if not good:
        raise result
    return result


def nobody() -> int:
    return pwd.getpwnam("nobody").pw_uid


def knock(socket: Path, user: str, **options: Any) -> str:
    """What a connection attempt to the socket's folder ends with."""
    try:
        psycopg.connect(
            host=str(socket), port=5432, user=user, dbname="postgres", connect_timeout=10, **options
        ).close()
    except psycopg.OperationalError as error:
        return str(error)
    return "let in"


def python_for_others() -> str | None:
    """An interpreter of this version that any account can run, if this machine has one."""
    name = f"python3.{sys.version_info.minor}"
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [path, "-c", "import psycopg, sqlalchemy, cscart_pipelines"],
                user=nobody(), extra_groups=[], cwd="/", env=environment_for_others(),
                capture_output=True, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                return path
    return None


def environment_for_others() -> dict[str, str]:
    packages = Path(psycopg.__file__).parents[1]
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{PROJECT}{os.pathsep}{packages}"}
