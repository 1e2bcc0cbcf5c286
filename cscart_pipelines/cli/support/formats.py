"""How values look on a terminal: counts, money, times, statuses; with rich's markup.

Not here: where they are printed (`console`), tables (`tables`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.markup import escape

STATUS_STYLES = {
    "ready": "cyan",
    "syncing": "yellow",
    "enabled": "green",
    "failed": "bold red",
    "disabled": "dim",
}


def plain(value: Any) -> str:
    """Returns text from outside as it is shown: without markup and control characters."""
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
    return escape(text)


def status(text: str) -> str:
    """Returns a status in its colour."""
    return f"[{STATUS_STYLES.get(text, 'white')}]{text}[/]"


def setting(value: Any) -> str:
    """Returns the value of a setting: lists with commas, yes or no, a dash for none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)


def whole(value: Any) -> str:
    """Returns a count with separators: 1,000; a dash for None."""
    return "–" if value is None else f"{int(value):,}"


def quantity(value: Any) -> str:
    """Returns pieces or a weight: 1, 1.5, 1,000; a dash for None."""
    if value is None:
        return "–"
    number = Decimal(str(value))
    plain = number.is_finite() and abs(number) < 10**15
    return f"{number.normalize():,f}" if plain else str(value)


def money(value: Any, currency: str = "") -> str:
    """Returns an amount with the decimals of its currency (KWD three, JPY none); two without."""
    if value is None:
        return "–"
    from babel.numbers import get_currency_precision  # not needed by most commands

    return f"{Decimal(value):,.{get_currency_precision(currency)}f} {currency}".rstrip()


def share(value: Any) -> str:
    """Returns a fraction of one as percent: 12.3 %; a dash for None."""
    return "–" if value is None else f"{Decimal(value) * 100:.1f} %"


def decimal(value: Any, places: int = 2) -> str:
    """Returns a number with so many decimal places; a dash for None."""
    return "–" if value is None else f"{Decimal(value):,.{places}f}"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Returns how long ago a moment was: 5 min ago, just now; never for None."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def duration(seconds: float | None) -> str:
    """Returns a time span in seconds as text: 1 min 5 s, 1 h 1 min; a dash for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """Returns a number with its noun: 1 row, 2 rows, 1,000 rows."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def bar(value: float, most: float, width: int = 18) -> str:
    """Returns a bar of `width` characters for the value `most`, drawn in eighths of a character."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / most * width * 8))
    rest = eighths % 8
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")
