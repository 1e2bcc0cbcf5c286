"""What a push refused, beside the file it came from, where what was refused on its way in is too.

Files in `done/` may have the same name (the second is `levels.20240131T150000.csv`): a refusal goes
to the newest in which its line names what was refused. Rows that came another way have no file
there, and files go after a while; the inbox keeps every reason. Not here: refusing (`tracking`,
`stock`), the folders (`watched_places`).
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

from cscart_pipelines.fulfilment import watched_places as places
from cscart_pipelines.fulfilment.feed_text import UnreadableFileError, lines_of, plain
from cscart_pipelines.fulfilment.report import PushReport, Refusal
from cscart_pipelines.settings import Settings

_AGAIN = re.compile(r"\.\d{8}T\d{6}(\.\d+)?$")
"""What `watched_places.free_name` puts behind a stem that is taken."""


def file_late(settings: Settings, report: PushReport) -> None:
    """Adds the push's refusals to the files beside those in `done/`, each once.

    For whoever has the turn to write to this shop. Raises nothing for trouble with files: it is
    noted in the report.
    """
    if report.dry_run:
        return
    by_name: dict[str, dict[int, Refusal]] = {}
    for refusal in report.refusals:
        name, _, line = (refusal.source or "").rpartition(":")
        if name and line.isdecimal():
            by_name.setdefault(name, {})[int(line)] = refusal
    if not by_name:
        return
    try:
        rooms = dict(places.existing(settings, report.integration))
        if report.kind in rooms:
            _file(rooms[report.kind] / "done", by_name)
    except OSError as error:
        reason = error.strerror or str(error)
        report.notes.append(f"refusals could not be written beside their files: {reason}")


def _file(room: Path, by_name: dict[str, dict[int, Refusal]]) -> None:
    for path in _newest_first(room):
        refusals = by_name.get(_name_before(path))
        if not refusals:
            continue
        with contextlib.suppress(UnreadableFileError):
            lines = lines_of(places.read(path)[0])
            found = {
                number: refusal
                for number, refusal in refusals.items()
                if number <= len(lines) and _names(plain(lines[number - 1]), refusal)
            }
            if found:
                _add(path.with_name(f"{path.name}.refused.csv"), found, lines)
                for number in found:
                    del refusals[number]


def _newest_first(room: Path) -> list[Path]:
    """Moving a file here has set its ctime."""
    if not places.is_folder(room):
        return []
    with os.scandir(room) as entries:
        found = [
            (entry.stat(follow_symlinks=False).st_ctime_ns, room / entry.name)
            for entry in entries
            if not entry.name.endswith(places.BESIDE[1:])
        ]
    return [path for _, path in sorted(found, reverse=True)]


def _name_before(path: Path) -> str:
    """As the file was called when it was put into the folder."""
    return plain(_AGAIN.sub("", path.stem) + path.suffix)


def _names(line: str, refusal: Refusal) -> bool:
    """The first word is the order's number or the SKU; a SKU may have blanks in it."""
    return refusal.target in line or refusal.target.partition(" ")[0] in line


def _add(path: Path, refusals: dict[int, Refusal], lines: Sequence[str]) -> None:
    rows: list[list[str]] = []
    with contextlib.suppress(FileNotFoundError):
        text = places.read(path)[0].decode("utf-8", "surrogateescape")
        rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    known = {tuple(row[:2]) for row in rows}
    for number, refusal in sorted(refusals.items()):
        if (str(number), refusal.reason) not in known:
            rows.append([str(number), refusal.reason, lines[number - 1]])
    places.write_refused(path, rows)
