"""The folders of the watched folder, and where a file goes: names, moves, what is written beside.

Nothing here follows a link: a folder or file that is one is refused. Not here: which files are
taken and what is read from them (`watched_folder`).

    inbox/KEY/shipments/            files are put here
    inbox/KEY/shipments/taking/     being taken in; left over only if a process died
    inbox/KEY/shipments/done/       taken in; kept 30 days, with NAME.refused.csv: what was
                                    refused on its way in, or by a push (`watched_late`)
    inbox/KEY/shipments/refused/    nothing of it was taken in; with NAME.reason.txt
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.feeds.text import MOST_BYTES
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.fulfilment.report import RefusedRow
from cscart_pipelines.integrations.settings import KEY
from cscart_pipelines.settings import Settings
from cscart_pipelines.spreadsheets import Table

KINDS = ("shipments", "stock")
ROOMS = ("taking", "done", "refused")
KEPT_SECONDS = 30 * 24 * 3600
BESIDE = ("", ".refused.csv", ".reason.txt")
LONGEST_NAME = 200
"""Bytes; leaves room for what is appended, below the 255 of most file systems."""


def folder(settings: Settings, key: str) -> Path:
    """The folder of an integration, made if it is not there, with those of both kinds.

    Raises OSError, also if something else is in its place.
    """
    path = _path(settings, key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (path, *(path / kind for kind in KINDS)):
        make(each)
    return path


def make(path: Path) -> None:
    """A folder that only its owner may look into. Raises OSError if it is a link or a file."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not is_folder(path):
        raise NotADirectoryError(f"{path.name} is not a folder (links are not followed)")


def existing(settings: Settings, key: str) -> Iterator[tuple[str, Path]]:
    """Kind and folder, of those that are there."""
    base = _path(settings, key)
    if is_folder(base):
        for kind in KINDS:
            if is_folder(base / kind):
                yield kind, base / kind


def is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def read(path: Path) -> tuple[bytes, os.stat_result]:
    """A regular file and its state before it was read. Raises OSError."""
    # Without O_NONBLOCK, a pipe put in its place would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:  # noqa: PTH123 (a descriptor)
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path.name} is not a regular file")
        return stream.read(MOST_BYTES + 1), state  # one more, so that it is found too large


def same_state(path: Path, state: os.stat_result) -> bool:
    """Nobody has written to it since."""
    now = path.lstat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (
        state.st_ino, state.st_size, state.st_mtime_ns,
    )  # fmt: skip


def move(path: Path, room: Path) -> Path:
    """Into the room, under a name that is free there, also for what is written beside it."""
    target = room / free_name(room, path.name)
    path.rename(target)
    return target


def free_name(room: Path, name: str) -> str:
    """`levels.csv`, else `levels.20240131T150000.csv`, else with a number. Whoever moves files
    holds the lock of the integration."""
    stem, suffix = Path(name).stem, Path(name).suffix
    while len(os.fsencode(stem)) + len(os.fsencode(suffix)) > LONGEST_NAME:
        stem = stem[:-1]
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    endings = itertools.chain(("", f".{stamp}"), (f".{stamp}.{n}" for n in itertools.count(2)))
    return next(
        candidate
        for candidate in (f"{stem}{ending}{suffix}" for ending in endings)
        if not any(os.path.lexists(room / f"{candidate}{more}") for more in BESIDE)
    )


def file_done(
    path: Path,
    room: Path,
    refusals: Sequence[RefusedRow],
    parsed: Parsed[ShipmentRow] | Parsed[StockRow],
) -> Path:
    """The file among those done, what was refused of it beside it. Raises OSError."""
    name = free_name(room, path.name)
    if refusals:
        rows = [
            [
                (refusal.source or "").rpartition(":")[2],
                refusal.reason,
                parsed.original(refusal.source),
            ]
            for refusal in refusals
        ]
        write_refused(room / f"{name}.refused.csv", rows)
    path.rename(room / name)
    return room / name


def write_refused(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """The table beside a file: line, reason, original; with guards, since people open it.

    Raises OSError.
    """
    text = io.StringIO(newline="")
    table = Table(text)
    table.row(["line", "reason", "original"])
    table.rows(rows)
    _write(path, text.getvalue())


def file_refused(path: Path, room: Path, reason: str) -> Path:
    """The file among those of which nothing was taken, with the reason. Raises OSError."""
    name = free_name(room, path.name)
    _write(room / f"{name}.reason.txt", f"{reason}\n")
    path.rename(room / name)
    return room / name


def sweep(room: Path, kept: float) -> None:
    """Removes what has been in the room for longer than `kept` seconds."""
    with contextlib.suppress(OSError), os.scandir(room) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                # Moving a file here has set its ctime; its mtime is as old as its content.
                if stat.S_ISREG(found.st_mode) and time.time() - found.st_ctime > kept:
                    Path(entry.path).unlink()


def _write(path: Path, text: str) -> None:
    """Whole or not at all. Bytes that were no text come out as they went in."""
    unfinished = path.with_name(f".{path.name[-60:]}.tmp")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 (a descriptor)
            stream.write(text.encode("utf-8", "surrogateescape"))
        unfinished.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _path(settings: Settings, key: str) -> Path:
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not the key of an integration")
    return settings.home / "inbox" / key
