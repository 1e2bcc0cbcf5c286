"""The spool: in order, bounded, and true after any kill."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.onsite.collector.rows import Payload
from cscart_pipelines.onsite.collector.spool import RECORD, Spool, SpoolFullError
from cscart_pipelines_tests.support.database.embedded import environment

ROOM = 1_000_000


def payload(number: int) -> Payload:
    return Payload(f"row {number}\n".encode(), 1, number % 8)


def drained(spool: Spool) -> list[Payload]:
    found = []
    while (oldest := spool.oldest()) is not None:
        path, payloads = oldest
        found += payloads
        spool.remove(path)
    assert spool.bytes == 0
    return found


def test_what_was_kept_comes_back_in_order_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", ROOM, segment=100)
    groups = [[payload(number), payload(number + 100)] for number in range(20)]
    for group in groups:
        spool.append(group)
    assert len(spool.segments) > 5
    spool.close()
    again = Spool(tmp_path / "spool", ROOM, segment=100)
    assert again.bytes == spool.bytes
    assert drained(again) == [one for group in groups for one in group]
    again.close()
    assert drained(Spool(tmp_path / "spool", ROOM)) == []


def test_what_is_kept_during_a_replay_is_not_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", ROOM)
    spool.append([payload(1)])
    oldest = spool.oldest()
    assert oldest is not None
    spool.append([payload(2)])
    spool.remove(oldest[0])
    assert drained(spool) == [payload(2)]


def test_a_full_spool_keeps_nothing_of_what_does_not_fit(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 100)
    spool.append([payload(1)])
    with pytest.raises(SpoolFullError):
        spool.append([payload(number) for number in range(10)])
    assert spool.has_room
    spool.append([payload(2)])
    assert drained(spool) == [payload(1), payload(2)]
    spool.append([payload(3)])


def test_a_place_that_nobody_can_take_does_not_keep_the_others(tmp_path: Path) -> None:
    gone = [Spool(tmp_path, ROOM) for _ in range(2)]
    for number, each in enumerate(gone, 2):
        each.append([payload(number)])
    for each in gone:
        each.close()
    (tmp_path / "2").rename(tmp_path / "3")
    (tmp_path / "1").rename(tmp_path / "2")
    (tmp_path / "2" / "lock").unlink()
    (tmp_path / "2" / "lock").mkdir()
    spool = Spool(tmp_path, ROOM)
    assert drained(spool) == [payload(3)]
    assert spool.take_over() == 0


def test_a_segment_that_could_not_be_begun_is_no_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, ROOM)
    with monkeypatch.context() as patch:

        def fails(_: Path) -> None:
            raise OSError(5, "Input/output error")

        patch.setattr("cscart_pipelines.onsite.collector.spool._sync_folder", fails)
        with pytest.raises(OSError, match="Input/output"):
            spool.append([payload(1)])
    assert spool.segments == []
    spool.append([payload(2)])
    assert drained(spool) == [payload(2)]


def test_others_cannot_read_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", ROOM)
    spool.append([payload(1)])
    for path in (tmp_path / "spool", *(tmp_path / "spool").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@given(cut=st.integers(0, 200), rubbish=st.binary(max_size=40))
def test_a_torn_end_costs_only_what_was_never_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    spool = Spool(folder, ROOM)
    for number in range(5):
        spool.append([payload(number)])
    (path,) = spool.segments
    spool.close()
    size = RECORD.size + len(payload(0).text)
    data = path.read_bytes()
    whole = max(0, len(data) - cut) // size
    # A torn record is a beginning of a true one; what the disk adds (zeros, old blocks) is not.
    path.write_bytes(data[: max(0, len(data) - cut)] + (rubbish if cut % size == 0 else b""))
    again = Spool(folder, ROOM)
    assert drained(again)[:whole] == [payload(number) for number in range(whole)]
    again.close()


def test_a_damaged_record_costs_only_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOM)
    for number in range(3):
        spool.append([payload(number)])
    (path,) = spool.segments
    data = bytearray(path.read_bytes())
    data[RECORD.size * 2 + len(payload(0).text) + 2] ^= 1
    path.write_bytes(bytes(data))
    assert drained(spool) == [payload(0), payload(2)]


def test_a_disk_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, ROOM)
    spool.append([payload(1)])
    real = os.fsync

    def broken(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        spool.append([payload(2)])
    monkeypatch.setattr(os, "fsync", real)
    spool.append([payload(3)])
    assert drained(spool) == [payload(1), payload(3)]


def test_the_spool_of_a_dead_collector_is_taken_over_a_living_ones_is_not(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from cscart_pipelines.onsite.collector.spool import Spool\n"
        "from cscart_pipelines.onsite.collector.rows import Payload\n"
        "spool = Spool(Path(sys.argv[1]), 10**6)\n"
        "spool.append([Payload(b'theirs', 1, 0)])\n"
        "print('kept', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with other:
        assert other.stdout is not None and other.stdout.readline() == b"kept\n"
        spool = Spool(tmp_path, ROOM)
        spool.append([payload(1)])
        assert spool.take_over() == 0
        other.kill()
    assert spool.take_over() == 1
    spool.append([payload(2)])
    assert sorted(one.text for one in drained(spool)) == [b"row 1\n", b"row 2\n", b"theirs"]
