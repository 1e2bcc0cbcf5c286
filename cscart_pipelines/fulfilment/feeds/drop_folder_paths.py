"""The folders of the drop folder: names, moves, and the files that are written beside a feed.

inbox/KEY/shipments/ (and stock/) with taking/ (being ingested), done/ (ingested; kept 30 days, with
NAME.refused.csv) and refused/ (nothing of it was ingested; with NAME.reason.txt). No link is
followed. Not here: which files are ingested (`drop_folder`).
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
from typing import BinaryIO

from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.feeds.text import MAX_BYTES
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.fulfilment.report import RefusedRow
from cscart_pipelines.integrations.settings import KEY
from cscart_pipelines.settings import Settings
from cscart_pipelines.spreadsheets import Table

KINDS = ("shipments", "stock")
SUBFOLDERS = ("taking", "done", "refused")
RETENTION_SECONDS = 30 * 24 * 3600
COMPANION_SUFFIXES = ("", ".refused.csv", ".reason.txt")
MAX_NAME_BYTES = 200
"""Bytes; leaves directory for what is appended, below the 255 of most file systems."""


def folder(settings: Settings, key: str) -> Path:
    """Returns the folder of an integration; it and those of both kinds are created if missing.

    Raises:
        OSError: also if something else is in its place.
    """
    path = _path(settings, key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (path, *(path / kind for kind in KINDS)):
        make(each)
    return path


def make(path: Path) -> None:
    """Creates a folder that only its owner may read. Raises OSError if it is a link or a file."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not is_folder(path):
        raise NotADirectoryError(f"{path.name} is not a folder (links are not followed)")


def existing(settings: Settings, key: str) -> Iterator[tuple[str, Path]]:
    """Yields kind and folder, of those that exist."""
    base = _path(settings, key)
    if is_folder(base):
        for kind in KINDS:
            if is_folder(base / kind):
                yield kind, base / kind


def is_folder(path: Path) -> bool:
    """Returns True for a folder that is not a link."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def read(path: Path) -> tuple[bytes, os.stat_result]:
    """Reads a regular file and its state before it was read. Raises OSError."""
    with _open(path) as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path.name} is not a regular file")
        return stream.read(MAX_BYTES + 1), state  # one more, so that it is found too large


def has_end(path: Path) -> bool:
    """Returns False if the last line has no line end and closes no JSON, as of half a file.

    True for a file that cannot be read: reading it reports why.
    """
    try:
        with _open(path) as stream:
            stream.seek(-min(os.fstat(stream.fileno()).st_size, 64), os.SEEK_END)
            last = stream.read().replace(b"\0", b"").rstrip(b" \t")  # UTF-16 has zeros
    except OSError:
        return True
    return last.endswith((b"\n", b"\r", b"}", b"]"))


def _open(path: Path) -> BinaryIO:
    # Without O_NONBLOCK, a pipe put in its place would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return open(descriptor, "rb")  # noqa: PTH123 (a descriptor)


def same_state(path: Path, state: os.stat_result) -> bool:
    """Returns True if the file was not written to since."""
    now = path.lstat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (
        state.st_ino, state.st_size, state.st_mtime_ns,
    )  # fmt: skip


def move(path: Path, directory: Path) -> Path:
    """Moves a file under a name that is free there, also for what is written beside it."""
    target = directory / free_name(directory, path.name)
    path.rename(target)
    return target


def free_name(directory: Path, name: str) -> str:
    """Returns `levels.csv`, else `levels.20240131T150000.csv`, else with a number.

    The caller holds the integration's folder lock.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    while len(os.fsencode(stem)) + len(os.fsencode(suffix)) > MAX_NAME_BYTES:
        stem = stem[:-1]
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    endings = itertools.chain(("", f".{stamp}"), (f".{stamp}.{n}" for n in itertools.count(2)))
    return next(
        candidate
        for candidate in (f"{stem}{ending}{suffix}" for ending in endings)
        if not any(os.path.lexists(directory / f"{candidate}{more}") for more in COMPANION_SUFFIXES)
    )


def move_to_done(
    path: Path,
    directory: Path,
    refusals: Sequence[RefusedRow],
    parsed: Parsed[ShipmentRow] | Parsed[StockRow],
) -> Path:
    """Moves an ingested file, and writes what was refused of it beside it. Raises OSError."""
    name = free_name(directory, path.name)
    if refusals:
        rows = [
            [
                (refusal.source or "").rpartition(":")[2],
                refusal.reason,
                parsed.original(refusal.source),
            ]
            for refusal in refusals
        ]
        write_refused(directory / f"{name}.refused.csv", rows)
    path.rename(directory / name)
    return directory / name


def write_refused(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Writes the table beside a file: line, reason, original; guarded against spreadsheets.

    Raises:
        OSError: it could not be written.
    """
    text = io.StringIO(newline="")
    table = Table(text)
    table.row(["line", "reason", "original"])
    table.rows(rows)
    _write(path, text.getvalue())


def move_to_refused(path: Path, directory: Path, reason: str) -> Path:
    """Moves a file of which nothing was ingested, with the reason beside it. Raises OSError."""
    name = free_name(directory, path.name)
    _write(directory / f"{name}.reason.txt", f"{reason}\n")
    path.rename(directory / name)
    return directory / name


def delete_expired(directory: Path, kept: float) -> None:
    """Deletes files that have been in the folder for longer than `kept` seconds."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                # Moving a file here has set its ctime; its mtime is as old as its content.
                if stat.S_ISREG(found.st_mode) and time.time() - found.st_ctime > kept:
                    Path(entry.path).unlink()


def _write(path: Path, text: str) -> None:
    """Writes the whole file or nothing. Bytes that were no text are written unchanged."""
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
