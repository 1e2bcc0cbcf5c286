"""The drop folder: what is taken and what is not, where it goes, and whom it outlives."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cscart_pipelines.fulfilment.feeds import drop_folder, drop_folder_paths
from cscart_pipelines.fulfilment.feeds.drop_folder import (
    folder,
    ingest_files,
    owner_of,
    waiting_files,
)
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult, ingest
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import ADVISORY

Connection = psycopg.Connection[Any]
GOOD = "order_number,tracking_number\nCS1,T1\nCS2,T2\n"
OTHER = "order_number,tracking_number\nCS3,T3\n"
LOCKS = f"SELECT FROM {ADVISORY}"
STOCK = "sku,quantity\nA,1\nB,2\n"


def integration(key: str = "one") -> Integration:
    made = check(
        {"integration": key, "list_name": key, "url": "https://shop.example",
         "email": "a@shop.example", "timezone": "Europe/Athens"}
    )  # fmt: skip
    now = datetime.now(UTC)
    return Integration(made, Status.ENABLED, None, now, 0, False, None, None, None, None, None, now)


@dataclass
class DropFolder:
    """One integration's folder and its inbox."""

    database: Database
    settings: Settings
    connection: Connection

    @property
    def path(self) -> Path:
        return folder(self.settings, "one") / "shipments"

    def put(self, name: str, text: str | bytes = GOOD, kind: str = "shipments") -> Path:
        path = folder(self.settings, "one") / kind / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def take(self, age: float = 0, **more: Any) -> list[IngestResult]:
        return ingest_files(self.connection, self.settings, integration(), age=age, **more)

    def waiting(self, age: float = 0) -> list[str]:
        return [path.name for path in waiting_files(self.settings, ["one", "two"], age=age)]

    def files(self, kind: str = "shipments") -> list[str]:
        """All below the folder of the kind."""
        base = folder(self.settings, "one") / kind
        return sorted(str(p.relative_to(base)) for p in base.rglob("*") if not p.is_dir())

    def said(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode()).fetchall()

    def orders(self) -> list[str]:
        return [
            row[0] for row in self.said("SELECT order_number FROM fulfilment.shipments ORDER BY 1")
        ]


@pytest.fixture
def drops(warehouse_database: Database, settings: Settings) -> Iterator[DropFolder]:
    with closing(warehouse_database.open_session()) as connection:
        yield DropFolder(warehouse_database, settings, connection)


# --- which files ---------------------------------------------------------------------------------


def test_the_folders_are_made_on_demand_and_private(settings: Settings) -> None:
    assert waiting_files(settings, ["one"]) == [] and not (settings.home / "inbox").exists()
    base = folder(settings, "one")
    assert base == settings.home / "inbox" / "one"
    assert [path.name for path in sorted(base.iterdir())] == ["shipments", "stock"]
    for path in (base.parent, base, base / "shipments", base / "stock"):
        assert path.stat().st_mode & 0o777 == 0o700
    for key in ("../one", "", "a/b", ".."):
        with pytest.raises(ValueError, match="key"):
            folder(settings, key)


def test_files_are_taken_and_filed(drops: DropFolder) -> None:
    drops.put("a.csv")
    drops.put("levels.TXT", STOCK, "stock")
    assert drops.waiting() == ["a.csv", "levels.TXT"]
    shipments, stock = drops.take()
    assert (shipments.kind, shipments.source, shipments.taken) == ("shipments", "a.csv", 2)
    assert (stock.kind, stock.source, stock.taken, stock.state) == (
        "stock",
        "levels.TXT",
        2,
        "taken",
    )
    assert drops.files() == ["done/a.csv"] and drops.files("stock") == ["done/levels.TXT"]
    assert drops.orders() == ["CS1", "CS2"] and drops.waiting() == [] and drops.take() == []
    assert (drops.path / "done").stat().st_mode & 0o777 == 0o700


def test_what_is_no_finished_file_of_ours_stays(drops: DropFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(GOOD)
    for name in (".hidden.csv", "~$a.csv", "a.csv.part", "a.tmp", "a.csv.filepart", "a.xlsx", "a"):
        drops.put(name)
    (drops.path / "link.csv").symlink_to(outside)
    (drops.path / "folder.csv").mkdir()
    os.mkfifo(drops.path / "pipe.csv")
    before = drops.files()
    assert drops.waiting() == [] and drops.take() == []
    assert drops.files() == before and outside.read_text() == GOOD
    assert drops.said("SELECT FROM fulfilment.feeds") == []


def test_a_file_that_is_still_being_written_waits(drops: DropFolder) -> None:
    path = drops.put("a.csv")
    assert drops.waiting(3600) == [] and drops.take(3600) == [] and drops.files() == ["a.csv"]
    # A time of content in the future says nothing; that of the last change does.
    os.utime(path, (time.time() + 1e6, time.time() + 1e6))
    assert drops.take(3600) == []
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert drops.waiting(3600) == ["a.csv"]
    assert [receipt.taken for receipt in drops.take(3600)] == [2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_half_a_file_whose_writer_rests_is_not_taken(drops: DropFolder, encoding: str) -> None:
    """Of a last line `…,MUG,12` the 1 may be there."""
    half, whole = GOOD.rstrip("\n")[:-1], GOOD
    path = drops.put("a.csv", half.encode(encoding))
    later = drops.put("b.csv", OTHER)
    os.utime(path, (time.time() - 400, time.time() - 400))
    os.utime(later, (time.time() - 390, time.time() - 390))
    assert drops.waiting(60) == [] and drops.take(60) == []
    path.write_bytes(whole.encode(encoding))
    os.utime(path, (time.time() - 400, time.time() - 400))
    assert drops.waiting(60) == ["a.csv", "b.csv"]
    path.write_bytes(half.encode(encoding))
    os.utime(path, (time.time() - 900, time.time() - 900))
    assert [receipt.source for receipt in drops.take(60)] == ["a.csv", "b.csv"]


@pytest.mark.parametrize("text", [GOOD, "order_number,trac"])
def test_a_file_whose_writer_goes_on_after_it_was_moved_is_taken_again(
    drops: DropFolder, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = drops.put("a.csv", text)
    read = drop_folder_paths.read

    with path.open("a") as writer:

        def read_and_go_on(path: Path) -> Any:
            found = read(path)
            writer.write("king_number\n" if text != GOOD else "")
            writer.write("CS3,T3\n")
            writer.flush()
            return found

        monkeypatch.setattr(drop_folder_paths, "read", read_and_go_on)
        (receipt,) = drops.take()
        assert "still being written" in " ".join([*receipt.notes, receipt.reason or ""])
    monkeypatch.undo()
    assert drops.files() == ["a.csv"]
    assert [receipt.taken for receipt in drops.take()] == [1]
    assert drops.files() == ["done/a.csv"] and "CS3" in drops.orders()


def test_files_are_taken_in_the_order_they_were_written(drops: DropFolder) -> None:
    for name, pieces, seconds in (("b.csv", 1, 300), ("a.csv", 2, 200), ("c.csv", 3, 100)):
        path = drops.put(name, f"sku,quantity\nA,{pieces}\n", "stock")
        os.utime(path, (time.time() - seconds, time.time() - seconds))
    assert [receipt.source for receipt in drops.take()] == ["b.csv", "a.csv", "c.csv"]
    assert drops.said("SELECT quantity FROM fulfilment.stock_levels") == [(3,)]


def test_levels_without_a_time_were_counted_when_the_file_was_written(drops: DropFolder) -> None:
    path = drops.put("a.csv", STOCK, "stock")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    drops.take()
    assert drops.said("SELECT DISTINCT as_of FROM fulfilment.stock_levels") == [
        (datetime.fromtimestamp(1_700_000_000, UTC),)
    ]


@pytest.mark.parametrize("no_time", [0, 315_532_800])
def test_levels_of_a_place_that_keeps_no_times_are_counted_now(
    drops: DropFolder, no_time: int
) -> None:
    """Not in 1970: what was ordered since the count would be taken off, and that is everything."""
    path = drops.put("a.csv", STOCK, "stock")
    os.utime(path, (no_time, no_time))
    drops.take()
    recent = "SELECT min(as_of) > now() - interval '1 hour' FROM fulfilment.stock_levels"
    assert drops.said(recent) == [(True,)]


# --- where they go -------------------------------------------------------------------------------


def test_refused_lines_lie_beside_the_file_as_they_were(drops: DropFolder) -> None:
    lines = ["order_number,tracking_number,carrier", 'CS1,,"x, ""y""', 'z"', "CS2,T2,\xe9", ""]
    drops.put("a.csv", "\n".join(lines).encode("latin-1"))
    drops.put("b.csv", "order_number,tracking_number,carrier\nCS9,T9,\n")
    drops.take()
    assert drops.files() == ["done/a.csv", "done/a.csv.refused.csv", "done/b.csv"]
    path = drops.path / "done/a.csv.refused.csv"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        assert list(csv.reader(stream)) == [
            ["line", "reason", "original"],
            ["2", "tracking_number is empty", 'CS1,,"x, ""y""\nz"'],
            ["4", "not UTF-8; save the file as CSV (UTF-8)", "CS2,T2,\udce9"],
        ]


def test_a_refused_line_is_run_by_no_spreadsheet(drops: DropFolder) -> None:
    drops.put("a.csv", "tracking_number;order_number\n=cmd|' /C calc'!A0;=1+1\n=\"T1\";CS1\n")
    (receipt,) = drops.take()
    assert (receipt.taken, len(receipt.refusals)) == (1, 1)
    with (drops.path / "done/a.csv.refused.csv").open(newline="") as stream:
        assert list(csv.reader(stream))[1][2] == "'=cmd|' /C calc'!A0;'=1+1"


def test_unreadable_and_held_files_are_set_aside_with_the_reason(drops: DropFolder) -> None:
    drops.put("a.csv", b"PK\x03\x04...")
    drops.put("empty.csv", "sku,quantity\n", "stock")
    unreadable, held = drops.take()
    assert unreadable.state == "refused" and unreadable.feed_id is not None
    assert held.state == "held"
    assert drops.files() == ["refused/a.csv", "refused/a.csv.reason.txt"]
    assert "Excel" in (drops.path / "refused/a.csv.reason.txt").read_text()
    assert drops.files("stock") == ["refused/empty.csv", "refused/empty.csv.reason.txt"]
    assert drops.waiting() == [] and drops.take() == []


def test_a_name_that_is_there_already_is_not_overwritten(drops: DropFolder) -> None:
    for number in range(4):
        drops.put("a.csv", f"{GOOD}bad{number}\n")
        assert len(drops.take()) == 1
    done = [name for name in drops.files() if not name.endswith(".refused.csv")]
    assert len(done) == 4 and len(drops.files()) == 8
    texts = {(drops.path / name).read_text().splitlines()[-1] for name in done}
    assert texts == {"bad0", "bad1", "bad2", "bad3"}
    name = "ä" * 125 + ".csv"
    drops.put(name, f"{GOOD}bad\n")
    drops.take()
    assert len(drops.files()) == 10


def test_done_is_kept_for_its_time(drops: DropFolder) -> None:
    path = drops.put("a.csv", f"{GOOD}bad\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))  # old content, just moved: kept
    drops.take()
    (drops.path / "done/link.csv").symlink_to(path)
    drops.take()
    assert drops.files() == ["done/a.csv", "done/a.csv.refused.csv", "done/link.csv"]
    drops.take(kept=-1)
    assert drops.files() == ["done/link.csv"]


# --- troubles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", drop_folder_paths.SUBFOLDERS)
def test_a_folder_that_is_something_else_is_reported_and_not_followed(
    drops: DropFolder, tmp_path: Path, name: str
) -> None:
    drops.put("a.csv")
    drops.put("levels.csv", STOCK, "stock")
    (drops.path / name).symlink_to(tmp_path)
    trouble, stock = drops.take()
    assert trouble.feed_id is None and trouble.state == "refused"
    assert f"{name} is not a folder" in (trouble.reason or "")
    assert stock.taken == 2
    assert "a.csv" in drops.files() and list(tmp_path.glob("*.csv")) == []


def test_what_replaces_a_file_after_the_look_is_not_read_through(drops: DropFolder) -> None:
    """Between listing a folder and opening its file, another can be put in its place."""
    target = drops.put("a.csv")
    link, pipe = drops.path / "link.csv", drops.path / "pipe.csv"
    link.symlink_to(target)
    os.mkfifo(pipe)
    for path in (link, pipe):
        with pytest.raises(OSError):
            drop_folder_paths.read(path)
    assert drop_folder_paths.read(target)[0] == GOOD.encode()


def test_linked_folders_are_not_followed(
    drops: DropFolder, settings: Settings, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.csv").write_text(GOOD)
    drops.path.rmdir()
    (settings.home / "inbox/one/shipments").symlink_to(outside)
    assert drops.waiting() == []
    with pytest.raises(OSError, match="shipments is not a folder"):
        folder(settings, "one")
    assert all(receipt.feed_id is None and receipt.reason for receipt in drops.take())
    assert [path.name for path in outside.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"),
                                   OSError(28, "No space left on device")])  # fmt: skip
def test_a_file_that_cannot_be_moved_stays_and_is_reported_each_time(
    drops: DropFolder, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    drops.put("a.csv")
    drops.put("b.csv", OTHER)
    rename = Path.rename

    def fail(self: Path, target: Any) -> Path:
        if self.name == "a.csv":
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    for _ in range(2):
        assert [r.reason for r in drops.take() if r.reason] == [
            f"a.csv: cannot be moved, so it stays: {error.strerror}"
        ]
    assert drops.files() == ["a.csv", "done/b.csv"] and drops.orders() == ["CS3"]
    monkeypatch.undo()
    assert [receipt.taken for receipt in drops.take()] == [2]


def test_a_file_that_cannot_be_filed_stays_in_taking_and_is_filed_later(
    drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops.put("a.csv", f"{GOOD}bad\n")

    def fail(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drop_folder_paths, "_write", fail)
    (receipt,) = drops.take()
    assert receipt.taken == 2 and "No space left" in receipt.notes[0]
    assert drops.files() == ["taking/a.csv"]
    monkeypatch.undo()
    assert drops.waiting() == ["a.csv"] and drops.waiting(3600) == []
    (receipt,) = drops.take(3600)
    assert (receipt.taken, receipt.known, len(receipt.refusals)) == (0, 2, 1)
    assert drops.files() == ["done/a.csv", "done/a.csv.refused.csv"]


def test_a_refused_row_file_is_written_whole_or_not_at_all(
    drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fail(self: Path, target: Any) -> Path:
        if self.name.startswith("."):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    drops.put("a.csv", f"{GOOD}bad\n")
    monkeypatch.setattr(Path, "rename", fail)
    drops.take()
    assert drops.files() == ["taking/a.csv"]


def test_an_owner_is_told_of_each_file_that_waits(drops: DropFolder) -> None:
    drops.put("a.csv")
    (drops.path / "taking").mkdir()
    (drops.path / "taking/b.csv").write_text(GOOD)
    drops.put("levels.csv", STOCK, "stock")
    found = waiting_files(drops.settings, ["one"], age=0)
    assert [owner_of(drops.settings, path) for path in found] == [
        ("one", "shipments"), ("one", "shipments"), ("one", "stock"),
    ]  # fmt: skip
    assert [path.name for path in found] == ["b.csv", "a.csv", "levels.csv"]


def test_a_connection_that_would_not_commit_is_not_accepted(drops: DropFolder) -> None:
    with (
        closing(drops.database.warehouse.open_session()) as connection,
        pytest.raises(ValueError, match="autocommit"),
    ):
        ingest_files(connection, drops.settings, integration())


# --- several at once, and deaths ------------------------------------------------------------------


def test_of_two_workers_one_takes_a_file(
    drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops.put("a.csv")
    reached, go_on = threading.Event(), threading.Event()

    def slowly(*args: Any) -> IngestResult:
        reached.set()
        assert go_on.wait(60)
        return ingest(*args)

    monkeypatch.setattr(drop_folder, "ingest", slowly)
    receipts: list[IngestResult] = []

    def work() -> None:
        with closing(drops.database.open_session()) as connection:
            receipts.extend(ingest_files(connection, drops.settings, integration(), age=0))

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(60)
    drops.put("b.csv", OTHER)
    assert drops.take() == []
    assert drops.files() == ["b.csv", "taking/a.csv"]
    go_on.set()
    thread.join()
    assert [receipt.taken for receipt in receipts] == [2]
    assert [receipt.source for receipt in drops.take()] == ["b.csv"]
    assert drops.orders() == ["CS1", "CS2", "CS3"]


def test_many_workers_take_each_file_once(drops: DropFolder) -> None:
    for number in range(20):
        drops.put(f"{number}.csv", f"order_number,tracking_number\nCS{number},T\n")
    receipts: list[IngestResult] = []

    def work() -> None:
        with closing(drops.database.open_session()) as connection:
            for _ in range(5):
                receipts.extend(ingest_files(connection, drops.settings, integration(), age=0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    receipts += drops.take()
    assert sorted(receipt.source for receipt in receipts) == sorted(f"{n}.csv" for n in range(20))
    assert all(receipt.taken == 1 and not receipt.notes for receipt in receipts)
    assert len(drops.files()) == 20 and len(drops.orders()) == 20


PROGRAM = """
import os, signal, sys
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.settings import read_settings
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines_tests.integration.fulfilment.feeds.test_drop_folder import integration

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(drop_folder, sys.argv[1], die)
settings = read_settings()
connection = Warehouse(settings.sqlalchemy_url()).open_session(autocommit=True)
drop_folder.ingest_files(connection, settings, integration(), age=0)
"""


@pytest.mark.parametrize(
    ("dies_before", "committed"), [("_parsed", False), ("ingest", False), ("_move_ingested", True)]
)
def test_a_killed_process_loses_and_doubles_nothing(
    drops: DropFolder, dies_before: str, committed: bool
) -> None:
    drops.put("a.csv", f"{GOOD}bad\n")
    environment = {
        **os.environ,
        **drops.database.settings_env,
        "CSCART_PIPELINES_HOME": str(drops.settings.home),
    }
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, dies_before],
        env=environment,
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    assert drops.files() == ["taking/a.csv"] and drops.waiting() == ["a.csv"]
    assert drops.orders() == (["CS1", "CS2"] if committed else [])
    before = drops.said("SELECT * FROM fulfilment.shipments")
    _until(lambda: drops.said(LOCKS) == [])
    (receipt,) = drops.take(3600)
    assert (receipt.taken, receipt.known) == ((0, 2) if committed else (2, 0))
    assert len(receipt.refusals) == 1
    assert not committed or drops.said("SELECT * FROM fulfilment.shipments") == before
    assert drops.orders() == ["CS1", "CS2"]
    assert drops.files() == ["done/a.csv", "done/a.csv.refused.csv"]


def test_a_file_without_times_that_is_taken_in_again_after_a_death_changes_nothing(
    drops: DropFolder,
) -> None:
    path = drops.put("levels.csv", STOCK, "stock")
    drops.take()
    drops.connection.execute("UPDATE fulfilment.stock_levels SET state = 'done'")
    before = drops.said("SELECT * FROM fulfilment.stock_levels ORDER BY sku")
    (path.parent / "done/levels.csv").rename(path.parent / "taking/levels.csv")
    (receipt,) = drops.take(3600)
    assert (receipt.taken, receipt.known) == (0, 2)
    assert drops.said("SELECT * FROM fulfilment.stock_levels ORDER BY sku") == before


def test_a_lost_connection_leaves_the_file_to_the_next(
    drops: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drops.put("a.csv")

    def lose(connection: Connection, *args: Any) -> IngestResult:
        drops.connection.execute(
            "SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid]
        )
        return ingest(connection, *args)

    monkeypatch.setattr(drop_folder, "ingest", lose)
    with closing(drops.database.open_session()) as doomed, pytest.raises(psycopg.Error):
        ingest_files(doomed, drops.settings, integration(), age=0)
    monkeypatch.undo()
    assert drops.files() == ["taking/a.csv"] and drops.orders() == []
    assert [receipt.taken for receipt in drops.take(3600)] == [2]


def _until(true: Callable[[], bool]) -> None:
    """The server notices the end of a killed process in its own time."""
    while not true():
        pass


def test_the_environment_decides_where_the_folder_is(tmp_path: Path) -> None:
    made = read_settings({"CSCART_PIPELINES_HOME": str(tmp_path / "x")})
    assert folder(made, "one") == tmp_path / "x/inbox/one"
