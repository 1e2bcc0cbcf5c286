"""Where the embedded server's files lie.

An ordinary user: everything lies in the project's home, private to that user. Root: the server runs
as a service account (`service_account`). It keeps its data in the home if that account can reach
it, otherwise in a folder of its own below /var/lib; that is decided once and kept. Nothing that
existed before has its mode or owner changed. Not here: starting and stopping (`client`,
`supervisor`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cscart_pipelines.local_postgres import file_locks
from cscart_pipelines.local_postgres.service_account import (
    SERVICE_ACCOUNT,
    SERVICE_ROOT,
    UnusableHomeError,
    account_name,
    ensure_service_account,
    reachable_binaries,
    reaches,
    wheel_binaries,
)

__all__ = [
    "ServerPaths",
    "UnusableHomeError",
    "control_folder",
    "find_paths",
    "remove_files",
    "resolved",
]

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel allows 107 on Linux and 103 on macOS."""


@dataclass(frozen=True)
class ServerPaths:
    """Resolved paths of one embedded server. `account` is None unless root drops to it."""

    control: Path
    """Lock files and log; owned by the account that uses the project."""
    data: Path
    socket: Path
    """The folder of the socket, private to the account that runs the server."""
    binaries: Path
    account: str | None

    @property
    def owner(self) -> str:
        """The operating system account that may connect."""
        return account_name(os.geteuid())

    @property
    def server_account(self) -> str:
        """The operating system account that answers; clients may insist on it."""
        return self.account or self.owner


def control_folder(home: Path) -> Path:
    """Creates the home and the folder in it that holds the locks.

    Raises:
        UnusableHomeError: The path is no text, belongs to another account, or cannot be written.
    """
    with resolved(home):
        home = _resolve(home)
        if "\n" in str(home) or not _is_text(home):
            raise UnusableHomeError("the path of CSCART_PIPELINES_HOME is not a line of plain text")
        # Others may pass through a home made by root (to reach the data), never list it.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        _make(home, mode)
        control = home / "postgres"
        _make(control, mode)
        # Both ends of a link: the owner of either could lead the server elsewhere.
        for uid in (control.lstat().st_uid, control.stat().st_uid):
            if uid != os.geteuid():
                raise UnusableHomeError(
                    f"{control} belongs to uid {uid}, and this is uid {os.geteuid()}; run as the "
                    "account that made it, or choose another CSCART_PIPELINES_HOME"
                )
        return control


def find_paths(home: Path) -> ServerPaths:
    """Resolves and creates the folders of the embedded server that belongs to `home`.

    The same home always has the same paths.

    Raises:
        UnusableHomeError: The home, or the account, cannot hold a server.
    """
    control = control_folder(home)
    with resolved(control.parent):
        if os.geteuid() != 0:
            account_name(os.geteuid())
            socket = _socket_folder(control / "run", control, None)
            return ServerPaths(control, control / "data", socket, wheel_binaries(), None)
        ensure_service_account()
        _make(SERVICE_ROOT, 0o755)
        base = _base(control)
        socket = _socket_folder(base / "run", control, SERVICE_ACCOUNT)
        return ServerPaths(control, base / "data", socket, reachable_binaries(), SERVICE_ACCOUNT)


def remove_files(home: Path) -> bool:
    """Deletes the server's data for good, also where it lies outside the home.

    Returns:
        False, and nothing is deleted, while the server is in use or stopping.
    """
    control = home.resolve() / "postgres"
    try:
        return _remove_under_lock(home, control)
    except FileNotFoundError:  # never made, or removed by another process meanwhile
        return True


def _remove_under_lock(home: Path, control: Path) -> bool:
    with file_locks.exclusive(control / file_locks.START):
        users = file_locks.open_lock(control / file_locks.USERS)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file_locks.taken(control / file_locks.SUPERVISOR):
                return False
            paths = find_paths(home)
            shutil.rmtree(paths.socket, ignore_errors=True)
            if paths.account is not None:
                shutil.rmtree(paths.data.parent, ignore_errors=True)
                _home_note(paths.data.parent).unlink(missing_ok=True)
            shutil.rmtree(control, ignore_errors=True)
        except BlockingIOError:
            return False
        finally:
            os.close(users)
    return True


# --- root: inside the home or outside ------------------------------------------------------------


def _base(control: Path) -> Path:
    """Returns the service account's folder for this home, as it was decided at the first start."""
    inside, note = control / "server", control / "place"
    if not note.exists():
        if reaches(control):
            _make(inside, 0o700, owner=SERVICE_ACCOUNT)
            return inside
        if (inside / "data").exists():
            raise UnusableHomeError(
                f"the account {SERVICE_ACCOUNT} can no longer reach its data in {inside}; let "
                "others pass through the folders above it again (chmod o+x), or choose another "
                "CSCART_PIPELINES_HOME"
            )
        _write_once(note, secrets.token_hex(6))
    base = SERVICE_ROOT / f"server-{note.read_text().strip()}"
    sign = _home_note(base)  # tells operators whose folder this is; detects copies of the home
    claimed = Path(sign.read_text().rstrip("\n")) if sign.exists() else control.parent
    if claimed != control.parent and _reads_same(claimed / "postgres" / "place", note):
        raise UnusableHomeError(
            f"{control.parent} is a copy of {claimed} and names the same data; delete "
            f"{note} to start with an empty database"
        )
    _make(base, 0o700, owner=SERVICE_ACCOUNT)
    if claimed != control.parent or not sign.exists():
        sign.write_text(f"{control.parent}\n")
    return base


def _home_note(base: Path) -> Path:
    return base.with_name(f"{base.name}.home")


def _reads_same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return not one.samefile(other) and one.read_text() == other.read_text()
    return False


def _write_once(path: Path, text: str) -> None:
    """Creates a file with its text, whole; the first of several processes wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    draft.write_text(text)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


# --- folders -------------------------------------------------------------------------------------


@contextlib.contextmanager
def resolved(home: Path) -> Iterator[None]:
    """Raises UnusableHomeError for what the system refuses: rights, a full or read-only disk."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise UnusableHomeError(
            f"the embedded PostgreSQL cannot use the home {home}: {error.strerror}{where}; choose "
            "another CSCART_PIPELINES_HOME, or set CSCART_PIPELINES_DATABASE_URL"
        ) from None


def _resolve(home: Path) -> Path:
    try:
        return home.resolve()
    except RuntimeError:  # raised by Python before 3.13 for links in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(home)) from None


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:  # bytes that mean nothing in UTF-8
        return False
    return True


def _make(folder: Path, mode: int, owner: str | None = None) -> None:
    """Creates a folder; it appears with its mode and owner. One that exists is left as it is."""
    if folder.is_dir():
        return
    for parent in reversed(folder.parents):
        if not parent.is_dir():
            parent.mkdir(mode=0o755, exist_ok=True)  # a umask of 0 must not open it to writers
    draft = folder.with_name(f".{secrets.token_hex(6)}.new")
    draft.mkdir(mode=0o700)
    try:
        draft.chmod(mode)  # against a umask that took bits away
        if owner is not None:
            entry = pwd.getpwnam(owner)
            os.chown(draft, entry.pw_uid, entry.pw_gid)
        draft.rename(folder)
    except OSError:
        with contextlib.suppress(OSError):
            draft.rmdir()
        if not folder.is_dir():  # otherwise another process was faster
            raise


def _socket_folder(wanted: Path, control: Path, owner: str | None) -> Path:
    """`wanted`, or a private folder with a short name when clients could not use that one.

    The answer must not depend on the environment: other processes have to find the same folder.
    """
    name = os.fsencode(wanted / SOCKET_NAME)
    # Clients read a comma as the end of one host name; not every driver takes raw bytes.
    if len(name) < LONGEST_SOCKET_PATH and re.fullmatch(rb"[ -+\--~]*", name):
        _make(wanted, 0o700, owner)
        return wanted
    tag = hashlib.sha256(os.fsencode(control)).hexdigest()[:12]
    if owner is not None:
        folder = SERVICE_ROOT / f"run-{tag}"
    else:
        folder = Path(f"/tmp/cscart-pipelines-{os.geteuid()}-{tag}")  # noqa: S108 - checked below
    try:
        _make(folder, 0o700, owner)
    except OSError:
        if not os.path.lexists(folder):  # otherwise another account has the name: see below
            raise
    found = folder.lstat()
    uid = pwd.getpwnam(owner).pw_uid if owner else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise UnusableHomeError(
            f"{folder} belongs to another account or is open to others; remove it, or choose a "
            "shorter CSCART_PIPELINES_HOME"
        )
    return folder
