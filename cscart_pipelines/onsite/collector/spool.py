"""Acknowledged batches on disk while the warehouse is away: bounded, in order, crash-safe.

Segments are files of records with length and checksum, synced (fsync) before the batches are
acknowledged and deleted when they are committed. A record that a kill left half-written was never
acknowledged and is ignored. Every collector has a folder of its own under the common one and takes
over those of collectors that ended. Used by one thread. Not here: when to replay (`writer`).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from cscart_pipelines.onsite.collector.rows import FORMAT, Payload

log = logging.getLogger(__name__)

RECORD = struct.Struct(">IIIB")
"""Length of the text, its CRC-32, events in it, marks."""
SUFFIX = f".v{FORMAT}"
SEGMENT_BYTES = 1024 * 1024
"""One segment is one transaction: others wait for it at most a part of a second."""
MOST_PLACES = 1000


class SpoolFullError(RuntimeError):
    """The spool has no room for these batches; none was kept."""


class Spool:
    """The spool of this process.

    Raises:
        OSError: The disk fails.
    """

    def __init__(self, folder: Path, most: int, segment: int = SEGMENT_BYTES) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._most, self._segment = folder, most, segment
        self._place, self._lock = self._claim()
        self._open: int | None = None
        self._written = 0
        self._last = 0
        self.segments: list[Path] = []
        self.bytes = 0
        self.take_over()

    @property
    def has_room(self) -> bool:
        """Whether more can be kept."""
        return self.bytes < self._most

    def append(self, payloads: Sequence[Payload]) -> None:
        """Keeps these batches durably and in order, all of them or none.

        Raises:
            SpoolFullError: There is no room.
            OSError: The disk fails.
        """
        data = b"".join(
            RECORD.pack(len(one.text), zlib.crc32(one.text), one.events, one.marks) + one.text
            for one in payloads
        )
        if self.bytes + len(data) > self._most:
            raise SpoolFullError("the spool is full")
        if self._open is None:
            self._begin()
        assert self._open is not None
        try:
            _write(self._open, data)
            os.fsync(self._open)
        except OSError:
            # Whatever came to the disk of it was not acknowledged.
            fd, kept = self._open, self._written
            self._open = None
            with contextlib.suppress(OSError):
                os.ftruncate(fd, kept)
            os.close(fd)
            raise
        self._written += len(data)
        self.bytes += len(data)
        if self._written >= self._segment:
            self._end()

    def oldest(self) -> tuple[Path, list[Payload]] | None:
        """The segment to replay next; it is not written to any more."""
        if not self.segments:
            return None
        path = self.segments[0]
        if len(self.segments) == 1:
            self._end()
        return path, list(_records(path))

    def remove(self, path: Path) -> None:
        """Deletes a segment that is committed."""
        size = path.stat().st_size
        path.unlink()
        _sync_folder(self._place)
        self.segments.remove(path)
        self.bytes = max(0, self.bytes - size) if self.segments else 0

    def pass_over(self, path: Path) -> None:
        """Leaves out a segment that cannot be read or deleted until the next `take_over`."""
        self.segments.remove(path)

    def take_over(self) -> int:
        """Takes over the segments of collectors that ended; their number."""
        taken = 0
        for place in sorted(self._folder.iterdir()):
            if place == self._place or not place.is_dir() or not any(place.glob(f"*{SUFFIX}")):
                continue
            try:
                taken += self._take_place(place)
            except OSError as error:  # one that cannot be taken must not keep the others
                log.error("the spool %s cannot be taken over: %s", place.name, error.strerror)
        self._look()
        return taken

    def _take_place(self, place: Path) -> int:
        lock = _try_lock(place)
        if lock is None:
            return 0
        try:
            paths = sorted(place.glob(f"*{SUFFIX}"))
            for path in paths:
                path.rename(self._place / f"{path.name.split('.')[0]}-{place.name}{SUFFIX}")
            _sync_folder(self._place)
            _sync_folder(place)
        finally:
            os.close(lock)
        return len(paths)

    def close(self) -> None:
        """Ends the open segment and releases the folder."""
        self._end()
        os.close(self._lock)

    # --- segments --------------------------------------------------------------------------------

    def _claim(self) -> tuple[Path, int]:
        for number in range(1, MOST_PLACES):
            place = self._folder / str(number)
            place.mkdir(mode=0o700, exist_ok=True)
            lock = _try_lock(place)
            if lock is not None:
                return place, lock
        raise SpoolFullError(f"{self._folder}: every place is taken")

    def _look(self) -> None:
        writing = self.segments[-1] if self._open is not None else None
        found = sorted(self._place.glob(f"*{SUFFIX}"))
        # What is being written stays last; what was taken over may have a later name.
        self.segments = [path for path in found if path != writing] + ([writing] if writing else [])
        self.bytes = sum(path.stat().st_size for path in self.segments)

    def _begin(self) -> None:
        self._last = max(self._last + 1, time.time_ns())
        path = self._place / f"{self._last:020d}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _sync_folder(self._place)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        self._open, self._written = descriptor, 0
        self.segments.append(path)

    def _end(self) -> None:
        if self._open is not None:
            os.close(self._open)
            self._open = None


def _records(path: Path) -> Iterator[Payload]:
    data = path.read_bytes()
    place = 0
    while place + RECORD.size <= len(data):
        length, checksum, events, marks = RECORD.unpack_from(data, place)
        text = data[place + RECORD.size : place + RECORD.size + length]
        if len(text) < length:
            break
        place += RECORD.size + length
        if zlib.crc32(text) == checksum:
            yield Payload(text, events, marks)
        elif place < len(data):  # at the very end a kill explains it, here only a damaged disk
            log.error("a record of the spool is damaged and left out: %d events", events)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _try_lock(place: Path) -> int | None:
    fd = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
