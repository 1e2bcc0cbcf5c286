"""Writes the refusals of a push beside the files in `done/` that the rows came from.

Files in `done/` may have the same name (the second is `levels.20240131T150000.csv`): a refusal goes
to the newest in which its line names the target. The inbox keeps every reason, also of rows
without a file. Not here: refusing rows, the folders (`drop_folder_paths`).
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

from cscart_pipelines.fulfilment.feeds import drop_folder_paths as paths
from cscart_pipelines.fulfilment.feeds.csv_reader import SEPARATORS
from cscart_pipelines.fulfilment.feeds.fields import clean
from cscart_pipelines.fulfilment.feeds.text import UnreadableFileError, lines_of, printable
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.settings import Settings
from cscart_pipelines.spreadsheets import unguarded

_STAMP = re.compile(r"\.\d{8}T\d{6}(\.\d+)?$")
"""What `drop_folder_paths.free_name` puts behind a stem that is taken."""
_JSON_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+')


def write_late_rejections(settings: Settings, report: PushReport) -> None:
    """Adds the push's refusals to the files beside those in `done/`, each once.

    The caller holds the shop's write lock. An error with a file becomes a note of the report.
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
        folders = dict(paths.existing(settings, report.integration))
        if report.kind in folders:
            _write_beside_files(folders[report.kind] / "done", by_name)
    except OSError as error:
        reason = error.strerror or str(error)
        report.notes.append(f"refusals could not be written beside their files: {reason}")


def _write_beside_files(directory: Path, by_name: dict[str, dict[int, RefusedRow]]) -> None:
    for path in _newest_first(directory):
        # A name that ends like our stamp may be the file's own.
        names = dict.fromkeys([printable(path.name), _name_before(path)])
        named = [by_name[name] for name in names if by_name.get(name)]
        if not named:
            continue
        with contextlib.suppress(UnreadableFileError):
            lines = lines_of(paths.read(path)[0])
            for refusals in named:
                found = {
                    number: refusal
                    for number, refusal in refusals.items()
                    if number <= len(lines) and _line_has_target(lines[number - 1], refusal)
                }
                if found:
                    _append(path.with_name(f"{path.name}.refused.csv"), found, lines)
                    for number in found:
                        del refusals[number]


def _newest_first(directory: Path) -> list[Path]:
    """Returns files, the newest first, by the ctime that their move has set."""
    if not paths.is_folder(directory):
        return []
    with os.scandir(directory) as entries:
        found = [
            (entry.stat(follow_symlinks=False).st_ctime_ns, directory / entry.name)
            for entry in entries
            if not entry.name.endswith(paths.COMPANION_SUFFIXES[1:])
        ]
    return [path for _, path in sorted(found, reverse=True)]


def _name_before(path: Path) -> str:
    """Returns the name that the file had when it was put into the folder."""
    return printable(_STAMP.sub("", path.stem) + path.suffix)


def _line_has_target(line: str, refusal: RefusedRow) -> bool:
    """True if the target is made of whole cells of the line.

    That is an order number and a tracking number, or a SKU; each of them may hold blanks.
    """
    words = _shown(refusal.target).split()
    return any(_is_made_of(words, cells) for cells in _possible_cells(line))


def _is_made_of(words: Sequence[str], cells: Collection[str]) -> bool:
    reached = {0}  # so many words are whole cells
    for end in range(1, len(words) + 1):
        if any(" ".join(words[start:end]) in cells for start in reached):
            reached.add(end)
    return len(words) in reached


def _possible_cells(line: str) -> Iterator[set[str]]:
    """Yields the cells of a line, for each format that its file may have."""
    for separator in SEPARATORS:
        with contextlib.suppress(csv.Error):
            for cells in csv.reader([line], delimiter=separator, skipinitialspace=True):
                yield {_shown(form) for cell in cells for form in (cell, _cleaned(cell))}
    words = set()
    for token in _JSON_VALUE.findall(line):
        with contextlib.suppress(ValueError):
            cell = str(json.loads(token))
            words |= {_shown(cell), _shown(_cleaned(cell))}
    yield words


def _cleaned(cell: str) -> str:
    """Returns a cell as the inbox has it, without additions."""
    return clean(cell, "tracking_number")


def _shown(text: str) -> str:
    """Returns a text as reports show it, with single blanks."""
    return printable(" ".join(text.split()))


def _append(path: Path, refusals: dict[int, RefusedRow], lines: Sequence[str]) -> None:
    rows: list[list[str]] = []
    with contextlib.suppress(FileNotFoundError):
        text = paths.read(path)[0].decode("utf-8", "surrogateescape")
        lines_before = csv.reader(io.StringIO(text, newline=""))
        rows = [[unguarded(cell) for cell in row] for row in lines_before][1:]
    known = {tuple(row[:2]) for row in rows}
    for number, refusal in sorted(refusals.items()):
        if (str(number), refusal.reason) not in known:
            rows.append([str(number), refusal.reason, lines[number - 1]])
    paths.write_refused(path, rows)
