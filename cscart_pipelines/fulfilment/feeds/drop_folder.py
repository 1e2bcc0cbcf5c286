"""The watched folder: files that a fulfilment system puts there are taken into the inboxes.

A file is moved into `taking/`, read, taken in (committed), and only then moved to `done/`. A
process that dies in between leaves it in `taking/`, where the next one takes it in again: the inbox
knows what it has. One process at a time per integration. Not here: the folders (`watched_places`),
reading (`feed_files`), the inbox (`intake`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from cscart_pipelines.fulfilment.feeds import drop_folder_paths as places
from cscart_pipelines.fulfilment.feeds.drop_folder_paths import folder
from cscart_pipelines.fulfilment.feeds.ingest import (
    FeedKind,
    IngestResult,
    ingest,
    record_unreadable,
)
from cscart_pipelines.fulfilment.feeds.parse import (
    Parsed,
    UnreadableFileError,
    read_shipments,
    read_stock,
)
from cscart_pipelines.fulfilment.feeds.text import plain
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

__all__ = ["folder", "ingest_files", "owner", "waiting_files"]

SUFFIXES = (".csv", ".txt", ".jsonl", ".ndjson", ".json")
SETTLED = 5.0
"""Seconds after the last change from which on a file counts as written completely."""
LEFT_BEHIND = 12
"""Times as long a file lies in `taking/` before its process is thought to be dead."""


def waiting_files(settings: Settings, keys: Iterable[str], *, age: float = SETTLED) -> list[Path]:
    """Files that `take_files` would take, without touching them; `owner` says whose they are.

    `age`: seconds since the last change. Those that a dead process has left in `taking/` are among
    them; a folder that cannot be looked into stands for its files.
    """
    found: list[Path] = []
    for key in keys:
        for _, room in places.existing(settings, key):
            try:
                found += _settled(room / "taking", age * LEFT_BEHIND, moved=True)
                found += _settled(room, age)
            except OSError:
                found.append(room)  # `take_files` tells the trouble
    return found


def owner(settings: Settings, path: Path) -> tuple[str, str]:
    """Integration and kind, of a path of `waiting_files`."""
    key, kind = path.relative_to(settings.home / "inbox").parts[:2]
    return key, kind


def ingest_files(
    connection: psycopg.Connection[Any],
    settings: Settings,
    integration: Integration,
    *,
    age: float = SETTLED,
    kept: float = places.KEPT_SECONDS,
) -> list[IngestResult]:
    """Takes in what waits, oldest first. Nothing if somebody else is doing so.

    The connection must be in autocommit mode. Troubles with a file (no permission, a full disk)
    leave it where it is and are told by its receipt: a `reason`, or a note if it was taken in and
    could not be moved. Raises psycopg.Error; the file is then taken in by the next call.
    """
    if not connection.autocommit:
        raise ValueError("files are moved after the commit; the connection must be in autocommit")
    key = integration.key
    if not advisory.try_lock_session(connection, Lock.DROP_FOLDER, key):
        return []
    try:
        receipts: list[IngestResult] = []
        for kind in ("shipments", "stock"):
            receipts += _take_kind(connection, settings, integration, kind, age, kept)
        return receipts
    finally:
        advisory.unlock(connection, Lock.DROP_FOLDER, key)


def _take_kind(
    connection: psycopg.Connection[Any],
    settings: Settings,
    integration: Integration,
    kind: FeedKind,
    age: float,
    kept: float,
) -> Iterator[IngestResult]:
    try:
        room = folder(settings, integration.key) / kind
        for name in places.ROOMS:
            places.make(room / name)
            if not os.access(room / name, os.W_OK | os.X_OK):
                raise PermissionError(f"{kind}/{name} cannot be written to")
        places.sweep(room / "done", kept)
        # With the lock held, whatever is in `taking/` was left by a process that died.
        left, new = _settled(room / "taking", 0.0, moved=True), _settled(room, age)
    except OSError as error:
        yield _trouble(kind, kind, f"the watched folder cannot be used: {_said(error)}")
        return
    for path in left:
        yield _take_file(connection, integration, kind, room, path)
    for path in new:
        try:
            moved = places.move(path, room / "taking")
        except FileNotFoundError:  # its owner has thought better of it
            continue
        except OSError as error:
            yield _trouble(kind, path.name, f"cannot be moved, so it stays: {_said(error)}")
            continue
        yield _take_file(connection, integration, kind, room, moved)


def _take_file(
    connection: psycopg.Connection[Any],
    integration: Integration,
    kind: FeedKind,
    room: Path,
    path: Path,
) -> IngestResult:
    source, key = plain(path.name), integration.key
    parsed: Parsed[Any] | None = None
    unreadable = None
    try:
        data, state = places.read(path)
        try:
            parsed = _parsed(kind, data, path.name, state, integration.settings.zone)
        except UnreadableFileError as error:
            unreadable = str(error)
            if not places.same_state(path, state):
                places.move(path, room)
                return _trouble(kind, source, "is still being written; it waits again")
    except OSError as error:
        return _trouble(kind, source, f"cannot be read, so it stays in taking/: {_said(error)}")
    if parsed is None:
        receipt = record_unreadable(connection, key, kind, source, str(unreadable))
        return _file_away(receipt, path, room, None)
    receipt = ingest(connection, key, kind, source, parsed)
    try:
        if not places.same_state(path, state):
            # Its writer has gone on in the moved file. It waits again, until it has settled.
            places.move(path, room)
            receipt.notes.append("was still being written; it will be taken in again")
            return receipt
    except OSError as error:
        receipt.notes.append(f"was read and stays in taking/: {_said(error)}")
        return receipt
    return _file_away(receipt, path, room, parsed)


def _parsed(
    kind: FeedKind, data: bytes, name: str, state: os.stat_result, zone: ZoneInfo
) -> Parsed[Any]:
    if kind == "shipments":
        return read_shipments(data, name, zone)
    # What was not counted at a time of its own was counted when the file was written: so a file
    # that is taken in again says the same again.
    written = min(datetime.fromtimestamp(state.st_mtime, UTC), datetime.now(UTC))
    return read_stock(data, name, zone, as_of=written)


def _file_away(
    receipt: IngestResult,
    path: Path,
    room: Path,
    parsed: Parsed[ShipmentRow] | Parsed[StockRow] | None,
) -> IngestResult:
    """After the commit. A held feed goes where somebody looks: nothing of it was taken in."""
    try:
        if parsed is None or receipt.state == "held":
            places.file_refused(path, room / "refused", receipt.reason or "")
        else:
            places.file_done(path, room / "done", receipt.refusals, parsed)
    except OSError as error:
        receipt.notes.append(f"was read and stays in taking/: {_said(error)}")
    return receipt


def _settled(room: Path, age: float, *, moved: bool = False) -> list[Path]:
    """The files to take, oldest content first. `moved`: age since they were moved here."""
    found: list[tuple[int, str, Path]] = []
    try:
        with os.scandir(room) as entries:
            for entry in entries if places.is_folder(room) else ():
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # taken away just now
                    continue
                if _wanted(entry.name, state) and _seconds_since(state, moved) >= age:
                    found.append((state.st_mtime_ns, entry.name, room / entry.name))
    except FileNotFoundError:  # no such folder yet
        pass
    return [path for _, _, path in sorted(found)]


def _wanted(name: str, state: os.stat_result) -> bool:
    # Names like .part, .tmp and .filepart are of uploads under way: not among the suffixes.
    return (
        stat.S_ISREG(state.st_mode)
        and not name.startswith((".", "~"))
        and Path(name).suffix.lower() in SUFFIXES
    )


def _seconds_since(state: os.stat_result, moved: bool) -> float:
    """A content time in the future tells nothing; the time of the last change of any kind does."""
    now = time.time()
    known = moved or state.st_mtime > now
    return max(0.0, now - (state.st_ctime if known else state.st_mtime))


def _trouble(kind: FeedKind, source: str, reason: str) -> IngestResult:
    """Not recorded among the feeds: it would be, again and again, until somebody mends it."""
    return IngestResult(
        None, 0, 0, [], "refused", f"{plain(source)}: {reason}", kind, plain(source)
    )


def _said(error: OSError) -> str:
    return error.strerror or str(error)
