"""The embedded server's files: always the same place, private, and never somebody else's folder."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cscart_pipelines.local_postgres import paths, service_account
from cscart_pipelines.local_postgres.paths import (
    SOCKET_NAME,
    ServerPaths,
    UnusableHomeError,
    control_folder,
    find_paths,
    remove_files,
)
from cscart_pipelines.local_postgres.service_account import SERVICE_ACCOUNT, SERVICE_ROOT
from cscart_pipelines_tests.support.database.embedded import (
    Homes,
    as_account,
    needs_root,
    nobody,
    using,
)
from cscart_pipelines_tests.support.database.embedded import homes as homes
from cscart_pipelines_tests.support.database.embedded import template_home as template_home

LONG = "x" * 220


@pytest.fixture
def of_nobody(homes: Homes) -> Path:
    """A folder that belongs to an ordinary account; skips where that cannot reach the wheel."""
    folder = homes.base / "nobody"
    folder.mkdir()
    os.chown(folder, nobody(), nobody())
    try:
        as_account(nobody(), service_account.wheel_binaries)
    except UnusableHomeError:
        pytest.skip("the wheel is where other accounts cannot reach it")
    return folder


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A home in a folder that only its owner may enter."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    yield folder / "home"
    folder.chmod(0o700)
    assert remove_files(folder / "home")


def test_the_place_is_the_same_every_time_and_for_every_spelling(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homes.fresh(LONG)
    found = find_paths(home)
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, str(homes.base))
    (homes.base / "link").symlink_to(home)
    monkeypatch.chdir(homes.base)
    assert find_paths(home) == found
    assert find_paths(homes.base / "link") == found
    assert find_paths(Path(LONG)) == found


def test_a_long_home_has_its_socket_in_a_short_private_folder_of_its_own(homes: Homes) -> None:
    one, two = (find_paths(homes.fresh(LONG + end)) for end in "ab")
    assert one.socket != two.socket
    for found in (one, two):
        assert len(os.fsencode(found.socket / SOCKET_NAME)) < 104
        assert stat.S_IMODE(found.socket.stat().st_mode) == 0o700
        assert not found.socket.is_relative_to(homes.base)


@pytest.mark.parametrize("name", ["a,b", "Ελληνικά", LONG])
def test_a_socket_goes_elsewhere_when_a_client_could_not_name_it(homes: Homes, name: str) -> None:
    socket = find_paths(homes.fresh(name)).socket
    assert socket.is_dir()
    assert str(socket).isascii()
    assert "," not in str(socket)


@needs_root
@pytest.mark.parametrize("trick", ["folder of another", "link", "file", "open to others"])
def test_a_squatted_socket_folder_is_refused(of_nobody: Path, trick: str) -> None:
    home = of_nobody / LONG
    folder = as_account(nobody(), lambda: find_paths(home)).socket
    assert str(folder).startswith("/tmp/cscart-pipelines-")
    folder.rmdir()
    target = of_nobody / "target"
    target.mkdir(mode=0o700)
    os.chown(target, nobody(), nobody())
    if trick == "folder of another":
        folder.mkdir(mode=0o700)
    elif trick == "link":
        folder.symlink_to(target)
    elif trick == "file":
        folder.touch()
    else:
        folder.mkdir()
        os.chown(folder, nobody(), nobody())
        folder.chmod(0o701)
    try:
        with pytest.raises(
            UnusableHomeError, match="belongs to another account or is open to others"
        ):
            as_account(nobody(), lambda: find_paths(home))
    finally:
        folder.rmdir() if folder.is_dir() and not folder.is_symlink() else folder.unlink()


@needs_root
def test_an_account_without_a_name_is_told_to_use_a_url(homes: Homes) -> None:
    home = homes.base / "nameless"
    home.mkdir()
    os.chown(home, 54321, 54321)
    with pytest.raises(
        UnusableHomeError, match="uid 54321 has none; set CSCART_PIPELINES_DATABASE_URL"
    ):
        as_account(54321, lambda: find_paths(home))


@needs_root
def test_a_home_that_cannot_be_written_is_named_with_the_reason(homes: Homes) -> None:
    with pytest.raises(
        UnusableHomeError, match=r"cannot use the home .*/locked: Permission denied"
    ):
        as_account(nobody(), lambda: find_paths(homes.base / "locked"))


@pytest.mark.parametrize("name", ["file", "file/home", "loop", "two\nlines", "\udcff"])
def test_a_home_that_cannot_be_a_folder_is_refused_plainly(homes: Homes, name: str) -> None:
    (homes.base / "file").touch()
    (homes.base / "loop").symlink_to(homes.base / "loop")
    with pytest.raises(UnusableHomeError, match="CSCART_PIPELINES_HOME"):
        find_paths(homes.base / name)
    assert sorted(path.name for path in homes.base.iterdir()) == ["file", "loop"]


@needs_root
def test_a_home_of_another_account_is_refused_before_anything_is_written(homes: Homes) -> None:
    home = homes.base / "mixed"
    (home / "postgres").mkdir(parents=True)
    os.chown(home / "postgres", nobody(), nobody())
    with pytest.raises(UnusableHomeError, match=f"belongs to uid {nobody()}, and this is uid 0"):
        find_paths(home)
    (home / "postgres").rmdir()
    (home / "postgres").symlink_to("/etc")  # planted by another account, aimed at root's folder
    os.chown(home / "postgres", nobody(), nobody(), follow_symlinks=False)
    with pytest.raises(UnusableHomeError, match="belongs to uid"):
        find_paths(home)
    assert not Path("/etc/run").exists()


def test_existing_folders_keep_their_mode(homes: Homes) -> None:
    home = homes.fresh()
    home.mkdir()
    home.chmod(0o755)
    before = home.stat()
    find_paths(home)
    assert home.stat().st_mode == before.st_mode


# --- root ----------------------------------------------------------------------------------------


@needs_root
def test_data_of_a_closed_home_goes_below_var_lib_and_stays_there(closed: Path) -> None:
    found = find_paths(closed)
    assert found.data.parent.parent == SERVICE_ROOT
    assert stat.S_IMODE(found.data.parent.stat().st_mode) == 0o700
    assert found.data.parent.owner() == SERVICE_ACCOUNT
    assert SERVICE_ROOT.stat().st_uid == 0
    folders = [closed, *closed.parents]
    for folder in folders:  # somebody opens the way later
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o711)
    assert service_account.reaches(closed)
    assert find_paths(closed) == found


@needs_root
def test_data_in_a_home_that_was_closed_later_is_not_silently_replaced(homes: Homes) -> None:
    home = homes.fresh("above/home")
    found = find_paths(home)
    assert found.data.is_relative_to(home)
    found.data.mkdir()
    home.parent.chmod(0o700)
    with pytest.raises(UnusableHomeError, match=r"no longer reach its data.*chmod o\+x"):
        find_paths(home)
    home.parent.chmod(0o755)
    assert find_paths(home) == found


@needs_root
def test_processes_that_come_at_once_find_one_place(closed: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cscart_pipelines.local_postgres import paths;"
        "print('here', flush=True); input(); print(paths.find_paths(Path(sys.argv[1])).data)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, closed],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda p: p.communicate("go\n")[0], processes))
    assert len(set(answers)) == 1
    assert answers[0].startswith(str(SERVICE_ROOT))
    assert [path.name for path in (closed / "postgres").iterdir()] == ["place"]


@needs_root
def test_a_copied_home_does_not_take_the_data_of_the_first(closed: Path) -> None:
    found = find_paths(closed)
    copy = closed.with_name("copy")
    shutil.copytree(closed, copy)
    with pytest.raises(UnusableHomeError, match="is a copy of"):
        find_paths(copy)
    (copy / "postgres" / "place").unlink()
    own = find_paths(copy)
    assert own.data != found.data
    assert find_paths(closed) == found
    assert remove_files(copy)


@needs_root
def test_a_moved_home_keeps_its_data(closed: Path) -> None:
    found = find_paths(closed)
    moved = closed.rename(closed.with_name("moved"))
    assert find_paths(moved).data == found.data
    assert remove_files(moved)


@needs_root
def test_binaries_that_the_service_account_cannot_reach_are_copied(
    homes: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = service_account.wheel_binaries()
    package = shipped.parents[1]
    hidden = tmp_path / "site-packages"  # pytest's folders are closed to others
    hidden.mkdir(mode=0o700)
    shutil.copytree(shipped.parent, hidden / package.name / shipped.parent.name)
    with contextlib.suppress(FileNotFoundError):
        shutil.copytree(package.with_name(f"{package.name}.libs"), hidden / f"{package.name}.libs")
    there = hidden / package.name / shipped.parent.name / "bin"
    assert not service_account.reaches(there)
    monkeypatch.setattr(service_account, "wheel_binaries", lambda: there)
    monkeypatch.setattr(service_account, "SERVICE_ROOT", homes.base)
    copy = service_account.reachable_binaries()
    assert copy.is_relative_to(homes.base)
    assert service_account.reaches(copy, "postgres")
    assert service_account.reachable_binaries() == copy
    assert len(list(homes.base.iterdir())) == 1
    assert all(path.stat().st_mode & 0o022 == 0 for path in homes.base.rglob("*"))


def test_folders_appear_with_their_mode_and_owner_or_not_at_all(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UnusableHomeError):
        control_folder(homes.base / "home")
    assert list(homes.base.iterdir()) == []


# --- removal -------------------------------------------------------------------------------------


def test_a_server_in_use_is_not_removed(homes: Homes) -> None:
    home = homes.ready()
    with using(home) as member:
        assert not remove_files(home)
        assert (member.paths.data / "PG_VERSION").exists()


def test_removal_leaves_nothing_of_the_server_and_everything_else(homes: Homes) -> None:
    for name in ("home", "postgres", LONG):
        home = homes.fresh(name)
        found: ServerPaths = find_paths(home)
        (home / "key").touch()
        assert remove_files(home)
        assert [path.name for path in home.iterdir()] == ["key"]
        assert not found.socket.exists()
        assert not found.data.parent.exists() or found.data.parent == home


def test_removing_what_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    assert remove_files(tmp_path / "never")
    assert not (tmp_path / "never").exists()
    assert paths.SOCKET_NAME.endswith(str(paths.PORT))


@needs_root
def test_a_look_that_was_cut_short_is_no_answer(homes: Homes) -> None:
    """A "no" would send the data elsewhere."""
    program = homes.base / "postgres"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    assert service_account.reaches(homes.base)
    with pytest.raises(UnusableHomeError, match="cut short by signal 9; try again"):
        service_account.reaches(homes.base, program.name)


LOOK_AND_COUNT = """
import ctypes, os, sys
from pathlib import Path
from cscart_pipelines.local_postgres import service_account
forks = []
note = ctypes.CFUNCTYPE(None)(lambda: forks.append(1))
register = getattr(ctypes.CDLL(None), "__register_atfork")
register(note, None, None, None)
service_account.reaches(Path(sys.argv[1]), "true")
print(len(forks))
if os.fork() == 0:
    os._exit(0)
print(len(forks))
"""


@needs_root
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="its symbol is glibc's")
def test_a_look_runs_no_librarys_part_of_a_fork(homes: Homes) -> None:
    """That of gRPC crashes when Dagster's code server asks."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK_AND_COUNT, str(homes.base)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["0", "1"]), done.stderr
