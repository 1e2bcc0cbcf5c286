"""The drop folder: files that a fulfilment system puts there are ingested into the inboxes.

A file is moved into `taking/`, read, ingested (committed), and only then moved to `done/`. A
process that dies in between leaves it in `taking/`, where the next one ingests it again: the inbox
knows its rows. One process at a time per integration. Not here: the folders (`drop_folder_paths`),
reading a file (`parse`), the inbox (`ingest`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from cscart_pipelines.fulfilment.feeds import drop_folder_paths as paths
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
from cscart_pipelines.fulfilment.feeds.text import printable
from cscart_pipelines.fulfilment.feeds.time_fields import file_time
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

__all__ = ["folder", "ingest_files", "owner_of", "waiting_files"]

SUFFIXES = (".csv", ".txt", ".jsonl", ".ndjson", ".json")
SETTLED_SECONDS = 5.0
"""Seconds after the last change from which on a file counts as written completely."""
UNENDED_FACTOR = 12
"""Times as long for a file without an end: half of its last line may still be on its way."""
ABANDONED_FACTOR = 12
"""Times as long a file lies in `taking/` before its process is thought to be dead."""


def waiting_files(
    settings: Settings, keys: Iterable[str], *, age: float = SETTLED_SECONDS
) -> list[Path]:
    """Returns the files that `ingest_files` would take, without touching them.

    Those that a dead process has left in `taking/` are among them; a folder that cannot be read
    stands for its files.

    Args:
        settings: with the home of the installation.
        keys: of the integrations.
        age: seconds since the last change.
    """
    found: list[Path] = []
    for key in keys:
        for _, directory in paths.existing(settings, key):
            try:
                found += _settled(directory / "taking", age * ABANDONED_FACTOR, moved=True)
                found += _settled(directory, age)
            except OSError:
                found.append(directory)  # `ingest_files` reports the error
    return found


def owner_of(settings: Settings, path: Path) -> tuple[str, str]:
    """Returns integration and kind of a path of `waiting_files`."""
    key, kind = path.relative_to(settings.home / "inbox").parts[:2]
    return key, kind


def ingest_files(
    connection: psycopg.Connection[Any],
    settings: Settings,
    integration: Integration,
    *,
    age: float = SETTLED_SECONDS,
    kept: float = paths.RETENTION_SECONDS,
) -> list[IngestResult]:
    """Ingests the files that wait, oldest first; none if another process is doing so.

    A file that cannot be read or moved (no permission, a full disk) stays where it is; its result
    has a `reason`, or a note if it was ingested and could not be moved.

    Args:
        connection: in autocommit mode.
        settings: with the home of the installation.
        integration: whose files.
        age: seconds since the last change.
        kept: seconds for which files stay in `done/`.

    Raises:
        psycopg.Error: the file is then ingested by the next call.
    """
    if not connection.autocommit:
        raise ValueError("files are moved after the commit; the connection must be in autocommit")
    key = integration.key
    if not advisory.try_lock_session(connection, Lock.DROP_FOLDER, key):
        return []
    try:
        results: list[IngestResult] = []
        for kind in ("shipments", "stock"):
            results += _ingest_kind(connection, settings, integration, kind, age, kept)
        return results
    finally:
        advisory.unlock(connection, Lock.DROP_FOLDER, key)


def _ingest_kind(
    connection: psycopg.Connection[Any],
    settings: Settings,
    integration: Integration,
    kind: FeedKind,
    age: float,
    kept: float,
) -> Iterator[IngestResult]:
    try:
        directory = folder(settings, integration.key) / kind
        for name in paths.SUBFOLDERS:
            paths.make(directory / name)
            if not os.access(directory / name, os.W_OK | os.X_OK):
                raise PermissionError(f"{kind}/{name} cannot be written to")
        paths.delete_expired(directory / "done", kept)
        # With the lock held, whatever is in `taking/` was left by a process that died.
        left, new = _settled(directory / "taking", 0.0, moved=True), _settled(directory, age)
    except OSError as error:
        yield _not_ingested(kind, kind, f"the watched folder cannot be used: {_os_message(error)}")
        return
    for path in left:
        yield _ingest_file(connection, integration, kind, directory, path)
    for path in new:
        try:
            moved = paths.move(path, directory / "taking")
        except FileNotFoundError:  # removed by its sender meanwhile
            continue
        except OSError as error:
            yield _not_ingested(
                kind, path.name, f"cannot be moved, so it stays: {_os_message(error)}"
            )
            continue
        yield _ingest_file(connection, integration, kind, directory, moved)


def _ingest_file(
    connection: psycopg.Connection[Any],
    integration: Integration,
    kind: FeedKind,
    directory: Path,
    path: Path,
) -> IngestResult:
    source, key = printable(path.name), integration.key
    parsed: Parsed[Any] | None = None
    unreadable = None
    try:
        data, state = paths.read(path)
        try:
            parsed = _parsed(kind, data, path.name, state, integration.settings.zone)
        except UnreadableFileError as error:
            unreadable = str(error)
            if not paths.same_state(path, state):
                paths.move(path, directory)
                return _not_ingested(kind, source, "is still being written; it waits again")
    except OSError as error:
        return _not_ingested(
            kind, source, f"cannot be read, so it stays in taking/: {_os_message(error)}"
        )
    if parsed is None:
        result = record_unreadable(connection, key, kind, source, str(unreadable))
        return _move_ingested(result, path, directory, None)
    result = ingest(connection, key, kind, source, parsed)
    try:
        if not paths.same_state(path, state):
            # Its writer has continued in the moved file: it waits until it is complete.
            paths.move(path, directory)
            result.notes.append("was still being written; it will be taken in again")
            return result
    except OSError as error:
        result.notes.append(f"was read and stays in taking/: {_os_message(error)}")
        return result
    return _move_ingested(result, path, directory, parsed)


def _parsed(
    kind: FeedKind, data: bytes, name: str, state: os.stat_result, zone: ZoneInfo
) -> Parsed[Any]:
    if kind == "shipments":
        return read_shipments(data, name, zone)
    # Counts without a time were made when the file was written; the file's time is the same
    # whenever it is ingested.
    return read_stock(data, name, zone, as_of=file_time(state.st_mtime))


def _move_ingested(
    result: IngestResult,
    path: Path,
    directory: Path,
    parsed: Parsed[ShipmentRow] | Parsed[StockRow] | None,
) -> IngestResult:
    """Moves a file after the commit. A held feed goes to `refused/`: nothing was ingested."""
    try:
        if parsed is None or result.state == "held":
            paths.move_to_refused(path, directory / "refused", result.reason or "")
        else:
            paths.move_to_done(path, directory / "done", result.refusals, parsed)
    except OSError as error:
        result.notes.append(f"was read and stays in taking/: {_os_message(error)}")
    return result


def _settled(directory: Path, age: float, *, moved: bool = False) -> list[Path]:
    """Returns the files to take, oldest content first. `moved`: by their age in this folder."""
    found: list[tuple[int, str, Path]] = []
    first_unended = None
    try:
        with os.scandir(directory) as entries:
            for entry in entries if paths.is_folder(directory) else ():
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed meanwhile
                    continue
                path, seconds = directory / entry.name, _seconds_since(state, moved)
                if not _is_feed_file(entry.name, state) or seconds < age:
                    continue
                file = (state.st_mtime_ns, entry.name, path)
                if not moved and seconds < age * UNENDED_FACTOR and not paths.has_end(path):
                    first_unended = min(file, first_unended or file)
                else:
                    found.append(file)
    except FileNotFoundError:  # no such folder yet
        pass
    # What came after one that waits may correct it.
    return [file[2] for file in sorted(found) if first_unended is None or file < first_unended]


def _is_feed_file(name: str, state: os.stat_result) -> bool:
    # Names like .part, .tmp and .filepart are of uploads under way: not among the suffixes.
    return (
        stat.S_ISREG(state.st_mode)
        and not name.startswith((".", "~"))
        and Path(name).suffix.lower() in SUFFIXES
    )


def _seconds_since(state: os.stat_result, moved: bool) -> float:
    """Returns the age of the content; if its time is in the future, of any last change."""
    now = time.time()
    known = moved or state.st_mtime > now
    return max(0.0, now - (state.st_ctime if known else state.st_mtime))


def _not_ingested(kind: FeedKind, source: str, reason: str) -> IngestResult:
    """Returns a result that is not stored: every call would store one while the cause exists."""
    return IngestResult(
        None, 0, 0, [], "refused", f"{printable(source)}: {reason}", kind, printable(source)
    )


def _os_message(error: OSError) -> str:
    return error.strerror or str(error)
