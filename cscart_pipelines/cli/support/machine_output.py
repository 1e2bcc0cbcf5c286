"""Results for programs: JSON and CSV on standard output, complete and exact."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.cli.support.console import is_unicode
from cscart_pipelines.spreadsheets import guarded


def print_csv(
    names: Sequence[str], rows: Iterable[Mapping[str, Any]], *, raw: bool = False
) -> None:
    """Prints rows as CSV with a header, in UTF-8: NULL is empty, an empty text is two quotes.

    Args:
        names: the columns.
        rows: values by column.
        raw: alter nothing; else a text that a spreadsheet would run as a formula gets an
            apostrophe before it.
    """
    guard: Callable[[Any], Any] = (lambda value: value) if raw else guarded
    lines = [",".join(_csv_cell(guard(name)) for name in names)]
    lines += [",".join(_csv_cell(guard(row.get(name))) for name in names) for row in rows]
    text = "".join(f"{line}\r\n" for line in lines)
    if is_unicode(sys.stdout):
        sys.stdout.write(text)
    else:
        sys.stdout.buffer.write(text.encode())


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, default=_plain, ensure_ascii=False)
    text = value.isoformat() if isinstance(value, datetime | date) else str(value)
    if not text or text != text.strip() or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def print_json(value: Any) -> None:
    """Prints one JSON document: money as text (exact), times as ISO 8601."""
    sys.stdout.write(json_text(value))


def json_text(value: Any) -> str:
    """Returns the document, with escapes where standard output has not every character."""
    escaped = not is_unicode(sys.stdout)
    return json.dumps(value, default=_plain, indent=2, ensure_ascii=escaped) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
