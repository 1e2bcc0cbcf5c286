"""JSON: one object a line, or one array of objects; each record with the line it starts on.

A line that cannot be read costs that line only; a mistake in an array costs the file. Not here:
what a value means (`fields`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from cscart_pipelines.fulfilment.feeds.csv_reader import Cell, Record, column_name
from cscart_pipelines.fulfilment.feeds.text import UnreadableFileError, is_text, printable


class _Pairs(list[tuple[str, Any]]):
    """The pairs of an object, in which a key may come twice."""


def looks_like_json(lines: Sequence[str]) -> bool:
    """Returns True if the first line starts as no CSV header does."""
    start = next((line.lstrip() for line in lines if line.strip()), "")
    return start.startswith(("{", "["))


def read_json(lines: Sequence[str], known: Sequence[str], unknown: set[str]) -> Iterator[Record]:
    """Reads the records of the known keys; names of others are added to `unknown`.

    Raises:
        UnreadableFileError: also in the middle of the file.
    """
    names = {column_name(name): name for name in known}
    if next(line.lstrip() for line in lines if line.strip()).startswith("["):
        yield from _array(lines, names, unknown)
        return
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not is_text(line):
            yield Record(number, number, problem="not UTF-8")
            continue
        try:
            value = _DECODER.decode(line.strip())
        except (ValueError, ArithmeticError, RecursionError):
            yield Record(number, number, problem="not a JSON object; expected one on each line")
            continue
        yield _record(value, number, number, names, unknown)


def _array(lines: Sequence[str], names: dict[str, str], unknown: set[str]) -> Iterator[Record]:
    text = "\n".join(lines)
    place, line = text.index("[") + 1, 1
    counted = 0
    while True:
        place = _skip(text, place)
        if text[place : place + 1] == "]":
            break
        line += text.count("\n", counted, place)
        counted = place
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, ArithmeticError, RecursionError):
            raise UnreadableFileError(
                f"the JSON array cannot be read from line {line} on; check it, or send one object a"
                " line, where a mistake costs its line only"
            ) from None
        last = line + text.count("\n", counted, place)
        if all(map(is_text, lines[line - 1 : last])):
            yield _record(value, line, last, names, unknown)
        else:
            yield Record(line, last, problem="not UTF-8")
        place = _skip(text, place)
        if text[place : place + 1] == ",":
            place += 1
        elif text[place : place + 1] != "]":
            raise UnreadableFileError(
                f"the JSON array breaks off after line {last}; send the whole file"
            )
    if text[place + 1 :].strip():
        raise UnreadableFileError("something follows the JSON array; send one array a file")


def _skip(text: str, place: int) -> int:
    while text[place : place + 1] in (" ", "\t", "\n"):
        place += 1
    return place


def _record(value: Any, first: int, last: int, names: dict[str, str], unknown: set[str]) -> Record:
    if not isinstance(value, _Pairs):
        return Record(first, last, problem="not a JSON object")
    cells: dict[str, Cell] = {}
    unread: list[str] = []
    for key, content in value:
        name = names.get(column_name(key))
        if name is None:
            unread.append(printable(key)[:60])
        elif name in cells:
            return Record(first, last, problem=f"has {name} more than once")
        elif content is None:
            cells[name] = ""
        elif isinstance(content, str | Decimal):
            cells[name] = content
        else:
            return Record(first, last, problem=f"{name} is neither text nor a number")
    if len(unknown) < 100:
        unknown.update(unread)
    return Record(first, last, cells, unread=unread)


# Numbers become decimals with all their digits: 1.000 is surely 1 as a number of JSON, and could be
# 1000 as text; what is above 2^53 may have been rounded by its writer.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=Decimal, parse_float=Decimal, parse_constant=str
)
