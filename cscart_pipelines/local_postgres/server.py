"""One PostgreSQL data folder and the postmaster on it, as a child of this process.

Standard library only, since the supervisor imports this. Not here: when the server is stopped
(`supervisor`), where its files lie (`paths`), what a killed server left behind (`cleanup`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cscart_pipelines.local_postgres import cleanup

SUPERUSER = "cscart_pipelines"
START_SECONDS = 600.0
"""After a power cut the server may have a gigabyte of its journal to replay."""
STOP_SECONDS = 60.0
LOG_BYTES = 5_000_000
LITTLE_SHARED_MEMORY = 256 * 2**20
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
# Statements that fail may have customers' data in them.
log_min_error_statement = panic
"""


class StartError(RuntimeError):
    """PostgreSQL did not come up; the message is for the person who waited for it."""


class Server:
    """Starts and stops one postmaster. `start` and `stop` may be called from several threads."""

    def __init__(self, paths: dict[str, str | None]) -> None:
        self._data = Path(paths["data"] or "")
        self._socket = Path(paths["socket"] or "")
        self._binaries = Path(paths["binaries"] or "")
        self._owner = str(paths["owner"])
        self._account = paths["account"]
        self._log = Path(paths["control"] or "") / "server.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self.stopping = False

    def start(self) -> None:
        """Starts the server and waits until it accepts connections.

        Raises:
            StartError: It did not come up within START_SECONDS, or ended before.
            OSError: A file or program cannot be used.
        """
        with self._turn:
            if not (self._data / "PG_VERSION").exists():
                self._initialise()
            cleanup.clear(self._data, self._socket)
            if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
                self._log.replace(self._log.with_suffix(".log.1"))
            log = open_log(self._log)
            try:
                before = os.fstat(log).st_size
                self._child = subprocess.Popen(
                    [str(self._binaries / "postgres"), "-D", str(self._data), *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_end_with_supervisor(signal.SIGINT),
                    **self._identity(),
                )
            finally:
                os.close(log)
            deadline = time.monotonic() + START_SECONDS
            while not self._ready():
                if self._child.poll() is not None or time.monotonic() > deadline or self.stopping:
                    self._end_child()
                    raise StartError(f"PostgreSQL did not start: {self._log_since(before)}")
                time.sleep(0.02)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is kept."""
        self.stopping = True
        with self._turn:
            self._end_child()

    def wait(self) -> None:
        """Returns when the postmaster has ended."""
        if self._child is not None:
            self._child.wait()

    def log(self, line: str) -> None:
        """Appends a line to the server's log."""
        log = open_log(self._log)
        os.write(log, f"{line}\n".encode())
        os.close(log)

    def _end_child(self) -> None:
        if self._child is None:
            return
        for name in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self._child.send_signal(name)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(STOP_SECONDS)
                return

    def _options(self) -> list[str]:
        # A list of folders: the quotes keep one with a comma together.
        quoted = str(self._socket).replace('"', '""')
        options = ["-k", f'"{quoted}"']
        with contextlib.suppress(OSError):
            # Containers often have 64 MB there, less than one parallel join may ask for.
            if shutil.disk_usage("/dev/shm").free < LITTLE_SHARED_MEMORY:  # noqa: S108
                options += ["-c", "dynamic_shared_memory_type=mmap"]
        return options

    def _initialise(self) -> None:
        """A new cluster appears whole or not at all: made beside its place, then renamed."""
        for abandoned in self._data.parent.glob(f"{self._data.name}.new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        scratch = self._data.with_name(f"{self._data.name}.new-{os.getpid()}")
        done = subprocess.run(
            [str(self._binaries / "initdb"), "-D", str(scratch), "-U", SUPERUSER,
             "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
             "--auth-local=peer", "--auth-host=reject"],
            capture_output=True, text=True, errors="replace", check=False, cwd="/",
            preexec_fn=_end_with_supervisor(signal.SIGKILL),
            **self._identity(),
        )  # fmt: skip
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            # The last lines only tell that it cleans up.
            wrong = [line for line in lines if "error:" in line or "FATAL:" in line]
            raise StartError(f"a new database could not be made: {(wrong or lines[-1:])[0]}")
        uid, gid = scratch.stat().st_uid, scratch.stat().st_gid
        quoted = self._owner.replace('"', '""')
        for name, text in (
            # Only the owner of this home may connect, even if others reach the socket.
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

    def _ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return (
            len(lines) > 7 and lines[7].strip() == "ready"
            and self._child is not None and lines[0] == str(self._child.pid)
        )  # fmt: skip

    def _log_since(self, offset: int) -> str:
        with self._log.open("rb") as log:
            log.seek(offset)
            lines = log.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def _identity(self) -> dict[str, Any]:
        environment = {
            k: v for k, v in os.environ.items() if k in ("PATH", "TZDIR", "LD_LIBRARY_PATH")
        }
        identity: dict[str, Any] = {"env": {**environment, "LC_ALL": "C"}, "umask": 0o077}
        if self._account is not None:
            entry = pwd.getpwnam(self._account)
            identity |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        return identity


def open_log(path: Path) -> int:
    """Opens a log for appending; private, because messages may quote rows of the tables."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _end_with_supervisor(name: signal.Signals) -> Callable[[], None]:
    """Returns what asks Linux to send this signal to the child when its supervisor dies.

    It runs in the child, after the change of user, which would reset the request.
    """
    return partial(_ask_for_signal, name, os.getpid())


def _ask_for_signal(name: signal.Signals, supervisor: int) -> None:
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)  # it must not get lost before PostgreSQL handles it
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if sys.platform == "linux":
        _LIBC.prctl(1, name)  # PR_SET_PDEATHSIG
        if os.getppid() != supervisor:  # it died before we could ask
            os._exit(1)
