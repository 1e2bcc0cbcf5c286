"""The bytes of a feed as numbered lines of text: encodings, line ends, files that are no text.

Bytes that are not UTF-8 stay in their line as surrogates (`is_text` finds them), so that only that
line is refused. Not here: what the lines mean (`csv_reader`, `json_reader`).
"""

from __future__ import annotations

import codecs
import re

MAX_BYTES = 256 * 1024 * 1024
_LINE_END = re.compile(r"\r\n|\r|\n")
_ESCAPED = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS = re.compile("(?:\ufeff|\u00ef\u00bb\u00bf)+")
"""Byte order marks behind the first; the second form was once read in another encoding."""
_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive",
}


class UnreadableFileError(ValueError):
    """The file cannot be read; the message says why and what to do."""


def lines_of(data: bytes) -> list[str]:
    """Returns the lines without their ends; the first is line 1. Raises UnreadableFileError."""
    if len(data) > MAX_BYTES:
        raise UnreadableFileError(
            f"the file is larger than {MAX_BYTES // 1024 // 1024} MB; split it into smaller ones"
        )
    for start, what in _FORMATS.items():
        if data.startswith(start):
            raise UnreadableFileError(f"the file is {what}; save it as CSV (UTF-8) and send that")
    text = _decoded(data)
    if "\0" in text:
        raise UnreadableFileError(
            "the file holds NUL bytes, so it is no text in UTF-8 or marked UTF-16;"
            " save it as CSV (UTF-8) and send that"
        )
    if not text.strip():
        raise UnreadableFileError(
            "the file is empty; a file without rows still needs its header line"
        )
    return _LINE_END.split(text)


def is_text(text: str) -> bool:
    """Returns False if some bytes of it were not UTF-8."""
    return _ESCAPED.search(text) is None


def printable(text: str) -> str:
    """Returns text fit for the database and a terminal: what cannot be shown becomes `?`."""
    return _UNPRINTABLE.sub("?", text)


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return _unmarked(data.decode("utf-16"))
        except UnicodeDecodeError:
            raise UnreadableFileError(
                "the file starts as UTF-16 and is not UTF-16 throughout; save it as CSV (UTF-8)"
            ) from None
    return _unmarked(data.decode("utf-8", "surrogateescape"))


def _unmarked(text: str) -> str:
    found = _MARKS.match(text)
    return text[found.end() :] if found else text
