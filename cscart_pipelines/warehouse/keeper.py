"""The process that owns one embedded PostgreSQL: starts it, and stops it when nobody uses it.

Every process that uses the server holds a shared lock on `users.lock`. The keeper waits for the
exclusive one: the kernel grants it when the last user is gone, however it went, so a crash or
kill -9 of a user never leaves a server behind. If the keeper itself is killed, the kernel tells
PostgreSQL to stop (Linux), or the next keeper does.

Run as `python -m cscart_pipelines.warehouse.keeper PLACE.json`; prints one line, `ready` or
`failed: why`. Imports nothing heavy: it lives as long as the server does. Not here: who may use the
server and how it is found (`embedded`, `place`).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

SUPERUSER = "cscart_pipelines"
START_SECONDS = 60.0
LOG_BYTES = 5_000_000
_LIBC = ctypes.CDLL(None)  # loaded here, because little is safe between fork and exec

CONFIGURATION = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 120
shared_buffers = 128MB
work_mem = 16MB
maintenance_work_mem = 128MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 1GB
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
log_line_prefix = '%m [%p] %u@%d '
"""


class StartError(RuntimeError):
    """PostgreSQL did not come up; the message is for the person who waited for it."""


def main() -> None:
    place = json.loads(Path(sys.argv[1]).read_text())
    control = Path(place["control"])
    # Held for life: whoever finds it taken knows that a keeper is there.
    alive = os.open(control / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _answer("ready")  # somebody else keeps it already
        return
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    server = Server(place)
    try:
        server.start()
    except (StartError, OSError, subprocess.SubprocessError) as error:
        _answer(f"failed: {error}")
        return
    _answer("ready")
    users = os.open(control / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    threading.Thread(target=_end_with_server, args=(server,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: _stop(server, alive))
    while True:
        with contextlib.suppress(InterruptedError):
            fcntl.flock(users, fcntl.LOCK_EX)  # returns when the last user has gone
            _stop(server, alive)


def _answer(line: str) -> None:
    """Tells the waiting starter, which may be gone already, and lets go of its pipe."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def _stop(server: Server, alive: int) -> NoReturn:
    server.stop()
    # In this order: whoever is waiting for users.lock (released by the exit) must find no keeper.
    fcntl.flock(alive, fcntl.LOCK_UN)
    os._exit(0)


def _end_with_server(server: Server) -> None:
    """A server that died (out of memory, killed) is started again; failing that, give up."""
    deaths = 0
    while True:
        server.wait()
        if server.stopping:
            return
        deaths += 1
        try:
            if deaths > 5:
                raise StartError("it stopped again and again")
            server.start()
        except (StartError, OSError, subprocess.SubprocessError) as error:
            server.log(f"keeper gives up: {error}")
            os._exit(1)


class Server:
    """One PostgreSQL data folder and the postmaster on it, as a child of this process."""

    def __init__(self, place: dict[str, str | None]) -> None:
        self._data = Path(place["data"] or "")
        self._socket = str(place["socket"])
        self._binaries = Path(place["binaries"] or "")
        self._owner = str(place["owner"])
        self._account = place["account"]
        self._log = Path(place["control"] or "") / "server.log"
        self._child: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def start(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._clear_predecessor()
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._data), "-k", self._socket],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **self._identity(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"PostgreSQL did not start; the end of its log: {self._tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is kept."""
        self.stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
            try:
                self._child.wait(60)
            except subprocess.TimeoutExpired:
                self._child.send_signal(signal.SIGQUIT)
                self._child.wait(10)

    def wait(self) -> None:
        if self._child is not None:
            self._child.wait()

    def log(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{line}\n")

    def _initialise(self) -> None:
        """A new cluster appears whole or not at all: made beside its place, then renamed."""
        scratch = self._data.with_name("data.new")
        shutil.rmtree(scratch, ignore_errors=True)
        done = subprocess.run(
            [str(self._binaries / "initdb"), "-D", str(scratch), "-U", SUPERUSER,
             "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
             "--auth-local=peer", "--auth-host=reject"],
            capture_output=True, text=True, check=False, cwd="/",
            **self._identity(),
        )  # fmt: skip
        if done.returncode:
            raise StartError((done.stderr or done.stdout).strip().splitlines()[-1])
        uid, gid = scratch.stat().st_uid, scratch.stat().st_gid
        quoted = self._owner.replace('"', '""')
        for name, text in (
            # Only the person this home belongs to may connect, whoever reaches the socket.
            ("pg_hba.conf", "local all all peer map=owner\n"),
            ("pg_ident.conf", f'owner "{quoted}" {SUPERUSER}\nowner "{quoted}" analyst\n'),
            ("conf.d.cscart-pipelines.conf", CONFIGURATION),
        ):
            path = scratch / name
            path.write_text(text)
            os.chown(path, uid, gid)
            path.chmod(0o600)
        with (scratch / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude 'conf.d.cscart-pipelines.conf'\n")
        scratch.rename(self._data)

    def _clear_predecessor(self) -> None:
        """Stops a server whose keeper was killed; a second one on the same data cannot start."""
        pid = self._postmaster_pid()
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + START_SECONDS
        while self._postmaster_pid() is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _postmaster_pid(self) -> int | None:
        """The pid of a live postmaster of this data folder (a recycled pid does not count)."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        command = Path(f"/proc/{pid}/cmdline")
        if command.parent.parent.joinpath("self").exists():
            try:
                arguments = command.read_bytes().split(b"\0")
            except OSError:
                return None
            return pid if os.fsencode(self._data) in arguments else None
        return pid

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return (
            len(lines) > 7 and lines[7].strip() == "ready"
            and self._child is not None and lines[0] == str(self._child.pid)
        )  # fmt: skip

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        return " / ".join(lines) or "empty"

    def _identity(self) -> dict[str, Any]:
        environment = {
            k: v for k, v in os.environ.items() if k in ("PATH", "TZDIR", "LD_LIBRARY_PATH")
        }
        identity: dict[str, Any] = {"env": {**environment, "LC_ALL": "C"}, "umask": 0o077}
        if self._account is not None:
            entry = pwd.getpwnam(self._account)
            identity |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return identity


def _die_with_parent() -> None:
    """Linux: fast shutdown when the keeper dies. Runs after the change of user, which resets it."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    main()
