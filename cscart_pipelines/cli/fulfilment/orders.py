"""`fulfilment orders`: the export of orders.

Not here: which orders are exported (`fulfilment.orders.pull`), the formats
(`fulfilment.orders.export`).
"""

from __future__ import annotations

import enum
import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Json, Key, Raw
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cscart.quantities import from_json, total
from cscart_pipelines.fulfilment.country_names import with_suggestions
from cscart_pipelines.fulfilment.orders.export import OrderPage, export, to_json, write_csv
from cscart_pipelines.fulfilment.orders.pull import PullReport, pull
from cscart_pipelines.fulfilment.overview import last_cursors
from cscart_pipelines.warehouse.driver import Connection

TABLE_ROWS = 50
MOST = 2**63 - 1


class Format(enum.StrEnum):
    """How orders are written."""

    CSV = "csv"
    JSON = "json"


FORMAT_OF_ENDING = {".json": Format.JSON, ".csv": Format.CSV, ".txt": Format.CSV, "": Format.CSV}
"""Of a file without --format: a spreadsheet would not open its rows as .xlsx."""


def orders(
    key: Key,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Default: a table on a terminal, else CSV."),
    ] = None,
    since: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST,
            metavar="CURSOR",
            help="Only orders after this cursor, which the export before printed.",
        ),
    ] = 0,
    changes: Annotated[
        bool, typer.Option("--changes", help="Only orders that changed after they were exported.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N orders.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write to FILE; its ending says the format."
        ),
    ] = None,
    raw: Raw = False,
    as_json: Json = False,
) -> None:
    """Export orders for the fulfilment system, each once.

    Exported are orders that pass the integration's filters: start date, statuses, countries.
    The export prints a cursor; give it to --since the next time. --changes has its own cursor.
    """
    if as_json:
        form = Format.JSON
    if form is None and output is not None:
        ending = output.suffix.lower()
        if ending not in FORMAT_OF_ENDING:
            raise exit_codes.CommandError(
                f"-o {output}: no format has the ending {ending}; expected .csv or .json, or"
                " --format beside it",
                exit_codes.WRONG_USAGE,
            )
        form = FORMAT_OF_ENDING[ending]
    if form is None and not sys.stdout.isatty():
        form = Format.CSV
    if raw and form is not Format.CSV:
        raise exit_codes.CommandError("--raw goes with --format csv", exit_codes.WRONG_USAGE)
    with opened() as app:
        pulled = _pull(app, key)
        with app.warehouse.connect(autocommit=True) as connection:
            _check_cursor(connection, key, since, changes=changes)
            most = TABLE_ROWS if form is None and limit is None else limit
            page = export(connection, key, since=since, changes=changes, limit=most)
    if form is None:
        _print_orders(page, changes=changes)
    else:
        _write(page, form, output, raw=raw)
    _tell(key, page, pulled, most=most, changes=changes)


def _pull(app: AppContext, key: str) -> PullReport:
    """Pulls the orders that the warehouse has by now."""
    integration = app.registry.get(key)
    with app.warehouse.connect(autocommit=True) as connection:
        report = pull(connection, integration)
    if report.orders_total == 0 and integration.first_synced_at is None:
        raise exit_codes.CommandError(
            f"{key} has not been synchronised yet; next:"
            f" {console.command(f'integration start {key}')}",
            exit_codes.NOT_ALLOWED,
        )
    return report


def _check_cursor(connection: Connection, key: str, since: int, *, changes: bool) -> None:
    """Refuses a cursor that this export never printed: it would find nothing, and say nothing.

    Positions are never given back. Changes and orders share their numbers, so where changes begin
    may be a cursor of orders.
    """
    position, change_position = last_cursors(connection, key)
    last = max(position, change_position) if changes else position
    if since > last:
        raise exit_codes.CommandError(
            f"--since {since}: the last cursor of {key} is {last}, so this one is of an earlier"
            " integration of the same key, or of the time before the warehouse was restored from a"
            " backup. Start again with --since 0, which exports again what was exported before",
            exit_codes.WRONG_USAGE,
        )


def _write(page: OrderPage, form: Format, output: Path | None, *, raw: bool) -> None:
    """Writes the page; a file appears whole or not at all, as the printed cursor is of its end."""
    if output is None:
        _write_to(sys.stdout, page, form, raw=raw)
        return
    text = io.StringIO(newline="")
    _write_to(text, page, form, raw=raw)
    scratch = output.with_name(f"{output.name}.part")
    scratch.write_text(text.getvalue(), encoding="utf-8", newline="")
    scratch.replace(output)
    console.err.print(f"written to {formats.plain(output)}")


def _write_to(stream: Any, page: OrderPage, form: Format, *, raw: bool) -> None:
    if form is Format.CSV:
        write_csv(stream, page, raw=raw)
    else:
        stream.write(machine_output.json_text(to_json(page)))


def _print_orders(page: OrderPage, *, changes: bool) -> None:
    if not page.orders:
        return
    last = "what changed" if changes else "ship to"
    table = tables.table(
        "order",
        "placed",
        "status",
        ("pieces", "right"),
        ("total", "right"),
        "country",
        (last, "text"),
    )
    for order in page.orders:
        table.add_row(
            formats.plain(order["order_number"]),
            f"{str(order['ordered_at'])[:10]}",
            formats.plain(order["status"]),
            formats.quantity(total(from_json(line["quantity"]) for line in order["lines"])),
            formats.money(order["total"], order["currency"]),
            order["country"] or "–",
            formats.plain(_changed(order) if changes else _ship_to(order)),
        )
    tables.show(table)


def _ship_to(order: dict[str, Any]) -> str:
    return ", ".join(str(order[name]) for name in ("ship_to_name", "city") if order[name]) or "–"


def _changed(order: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}: {values[0]} → {values[1]}" if isinstance(values, list | tuple) else name
        for name, values in (order["changes"] or {}).items()
    )


def _tell(
    key: str, page: OrderPage, pulled: PullReport, *, most: int | None, changes: bool
) -> None:
    """Prints the findings and the next cursor on standard error, so that the data can be piped."""
    said = console.err.print
    for what, option, names in (
        ("countries", "--countries", [*map(with_suggestions, pulled.unmatched_countries)]),
        ("statuses", "--order-statuses", pulled.unmatched_statuses),
    ):
        if names:
            said(
                f"[yellow]![/] unknown {what}: {formats.plain(', '.join(names))}; correct {option}"
                f" with {console.command(f'integration edit {key} {option}')} …",
                soft_wrap=True,
            )
    if pulled.without_details:
        said(
            f"[yellow]![/] {formats.count(pulled.without_details, 'order')} without lines or"
            " address yet: to follow after the next synchronisation",
            soft_wrap=True,
        )
    if pulled.skipped:
        skipped = ", ".join(f"{count:,} {reason}" for reason, count in pulled.skipped.items())
        said(f"[dim]left out: {formats.plain(skipped)}[/]", soft_wrap=True)
    what = f"{'changed ' * changes}order{'s' * (len(page.orders) != 1)}"
    more = most is not None and len(page.orders) == most
    words = f"fulfilment orders {key}{' --changes' * changes} --since {page.cursor}"
    said(
        f"{len(page.orders) or 'no'} {what}{', perhaps more' * more}; the next cursor is"
        f" [bold]{page.cursor}[/]  [dim]{console.command(words)}[/]",
        soft_wrap=True,
    )
