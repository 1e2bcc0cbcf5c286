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
import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cscart_pipelines.fulfilment.feeds import drop_folder_paths as places
from cscart_pipelines.fulfilment.feeds.csv_reader import SEPARATORS
from cscart_pipelines.fulfilment.feeds.fields import clean
from cscart_pipelines.fulfilment.feeds.text import UnreadableFileError, lines_of, plain
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.settings import Settings
from cscart_pipelines.spreadsheets import unguarded

_AGAIN = re.compile(r"\.\d{8}T\d{6}(\.\d+)?$")
"""What `watched_places.free_name` puts behind a stem that is taken."""
_JSON_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+')


def write_late_rejections(settings: Settings, report: PushReport) -> None:
    """Adds the push's refusals to the files beside those in `done/`, each once.

    For whoever has the turn to write to this shop. Raises nothing for trouble with files: it is
    noted in the report.
    """
    if report.dry_run:
        return
    by_name: dict[str, dict[int, RefusedRow]] = {}
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


def _file(room: Path, by_name: dict[str, dict[int, RefusedRow]]) -> None:
    for path in _newest_first(room):
        # A name that ends like our stamp may be the file's own.
        names = dict.fromkeys([plain(path.name), _name_before(path)])
        named = [by_name[name] for name in names if by_name.get(name)]
        if not named:
            continue
        with contextlib.suppress(UnreadableFileError):
            lines = lines_of(places.read(path)[0])
            for refusals in named:
                found = {
                    number: refusal
                    for number, refusal in refusals.items()
                    if number <= len(lines) and _names(lines[number - 1], refusal)
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


def _names(line: str, refusal: RefusedRow) -> bool:
    """Whether the target is made of whole cells of the line: an order's number and a tracking
    number, or a SKU. Any of them may have blanks in it."""
    words = _shown(refusal.target).split()
    return any(_made_of(words, cells) for cells in _readings(line))


def _made_of(words: Sequence[str], cells: Collection[str]) -> bool:
    reached = {0}  # so many words are whole cells
    for end in range(1, len(words) + 1):
        if any(" ".join(words[start:end]) in cells for start in reached):
            reached.add(end)
    return len(words) in reached


def _readings(line: str) -> Iterator[set[str]]:
    """The cells of a line, for each of the ways in which its file may be written."""
    for separator in SEPARATORS:
        with contextlib.suppress(csv.Error):
            for cells in csv.reader([line], delimiter=separator, skipinitialspace=True):
                yield {_shown(form) for cell in cells for form in (cell, _meant(cell))}
    words = set()
    for token in _JSON_VALUE.findall(line):
        with contextlib.suppress(ValueError):
            cell = str(json.loads(token))
            words |= {_shown(cell), _shown(_meant(cell))}
    yield words


def _meant(cell: str) -> str:
    """As it lies in the inbox, without the marks around it."""
    return clean(cell, "tracking_number")


def _shown(text: str) -> str:
    """As it stands in a report, with single blanks."""
    return plain(" ".join(text.split()))


def _add(path: Path, refusals: dict[int, RefusedRow], lines: Sequence[str]) -> None:
    rows: list[list[str]] = []
    with contextlib.suppress(FileNotFoundError):
        text = places.read(path)[0].decode("utf-8", "surrogateescape")
        lines_before = csv.reader(io.StringIO(text, newline=""))
        rows = [[unguarded(cell) for cell in row] for row in lines_before][1:]
    known = {tuple(row[:2]) for row in rows}
    for number, refusal in sorted(refusals.items()):
        if (str(number), refusal.reason) not in known:
            rows.append([str(number), refusal.reason, lines[number - 1]])
    places.write_refused(path, rows)
