"""What a benchmark found: tables of raw figures and judged aims, printed by rich or put into JSON.

Not here: how anything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Figures in rows. The columns' names are the keys of the JSON records too."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    note: str = ""
    group: int = 0
    """Rows that agree in so many first columns belong together."""

    def records(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Aim:
    """A figure beside what it should be.

    `by_cpu`: the same reckoned from the CPU seconds of process and PostgreSQL one after the other,
    which is what it would be, at worst, on two cores without other work.
    """

    aim: str
    expected: float
    found: float
    by_cpu: float | None = None
    at_least: bool = False
    """The figure should be as large as expected; otherwise no larger."""

    @property
    def verdict(self) -> str:
        """met, not met, or met by CPU seconds while the clock says no."""
        if self._meets(self.found):
            return "met"
        if self.by_cpu is not None and self._meets(self.by_cpu):
            return "met by CPU"
        return "not met"

    def _meets(self, figure: float) -> bool:
        return figure >= self.expected if self.at_least else figure <= self.expected


@dataclass
class Report:
    """All that one benchmark found."""

    name: str
    tables: list[Table] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tables": {table.title: table.records() for table in self.tables},
            "aims": [
                {
                    "aim": aim.aim,
                    "expected": aim.expected,
                    "found": aim.found,
                    "by_cpu": aim.by_cpu,
                    "verdict": aim.verdict,
                }
                for aim in self.aims
            ],
        }


def print_report(console: Console, report: Report) -> None:
    for table in report.tables:
        _print(console, table)
    if report.aims:
        _print(console, _aims(report.aims))


def shown(value: Cell) -> str:
    """Whole numbers in full with separators, others with three significant digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _print(console: Console, table: Table) -> None:
    rich = RichTable(title=table.title, title_justify="left", caption=table.note or None)
    rich.caption_justify = "left"
    for place, name in enumerate(table.columns):
        numeric = all(isinstance(row[place], int | float | None) for row in table.rows)
        rich.add_column(name, justify="right" if numeric else "left")
    for before, row in zip([None, *table.rows], table.rows, strict=False):
        if before is not None and before[: table.group] != row[: table.group]:
            rich.add_section()
        rich.add_row(*map(shown, row))
    console.print(rich)
    console.print()


def _aims(aims: Sequence[Aim]) -> Table:
    sign = {True: "≥", False: "≤"}
    columns = ("aim", "expected", "found", "by CPU", "verdict")
    rows: list[tuple[Cell, ...]] = [
        (
            aim.aim,
            f"{sign[aim.at_least]} {shown(aim.expected)}",
            shown(aim.found),
            shown(aim.by_cpu),
            aim.verdict,
        )
        for aim in aims
    ]
    return Table("Aims", columns, rows)
