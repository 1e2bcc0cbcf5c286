"""`fulfilment carriers` and `skus`: one shop's codes for the feed's carriers and SKUs.

Each shows what is mapped, and with options changes it first, in one transaction. Not here: how a
name finds its code when something is written (`fulfilment.carriers`, `fulfilment.stock`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cscart_pipelines.cli.fulfilment.feed_input import STDIN, read_input
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Csv, Json, Key
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.fulfilment import mappings
from cscart_pipelines.fulfilment.feeds.parse import UnreadableFileError, read_skus

SHOWN = 1000


def carriers(
    key: Key,
    put: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=CODE",
            help="NAME as the feed has it, CODE of the shop; * is every other name.",
        ),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="NAME", help="Remove this name; repeatable."),
    ] = None,
    computes_url: Annotated[
        list[str] | None,
        typer.Option(
            "--computes-url",
            metavar="NAME",
            help="The shop makes the tracking links of this carrier itself.",
        ),
    ] = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Show or change which carrier name is which code of the shop."""
    given = [_pair("--set", text, empty=True) for text in put or []]
    with opened() as app:
        app.registry.get(key)
        with app.warehouse.connect(autocommit=True) as connection:
            with connection.transaction():
                for name, code in given:
                    mappings.set_carrier(connection, key, name, code)
                for name in unset or []:
                    _known("--unset", name, mappings.delete_carrier(connection, key, name))
                for name in computes_url or []:
                    _known(
                        "--computes-url", name, mappings.mark_computes_url(connection, key, name)
                    )
            rows = mappings.carrier_rows(connection, key)
    if as_json:
        machine_output.print_json(rows)
        return
    if as_csv:
        machine_output.print_csv(("name", "code", "computes_url"), rows)
        return
    if rows:
        table = tables.table("carrier", "code in the shop", "tracking link by the shop")
        for row in rows:
            name = "* (all others)" if row["name"] == "*" else row["name"]
            link = "yes" if row["computes_url"] else "no"
            table.add_row(formats.plain(name), formats.plain(row["code"] or "(none)"), link)
        tables.show(table)
    else:
        console.out.print(
            f"No carriers are mapped for {key}; CS-Cart's own are recognised by name."
        )
    _hint(f"fulfilment carriers {key} --set 'Royal Mail=royal_mail'")


def skus(
    key: Key,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="CSV with the columns sku,product_code to add; - is stdin."
        ),
    ] = None,
    put: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SKU=CODE",
            help="SKU as the feed has it, product code of the shop; repeatable.",
        ),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="SKU", help="Remove this SKU; repeatable."),
    ] = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Show or change which SKU is which product code of the shop.

    Only where the two differ.
    """
    given = [_pair("--set", text) for text in put or []]
    if file is not None:
        given = [*_read_skus(file), *given]
    with opened() as app:
        app.registry.get(key)
        with app.warehouse.connect(autocommit=True) as connection:
            with connection.transaction():
                mappings.set_skus(connection, key, given)
                for sku in unset or []:
                    _known("--unset", sku, mappings.delete_sku(connection, key, sku))
            rows = mappings.sku_rows(connection, key)
    if as_json:
        machine_output.print_json(rows)
        return
    if as_csv:
        machine_output.print_csv(("sku", "product_code"), rows)
        return
    if rows:
        table = tables.table("SKU", "product code in the shop")
        shown = rows if console.out.width >= console.WIDE else rows[:SHOWN]
        for row in shown:
            table.add_row(formats.plain(row["sku"]), formats.plain(row["product_code"]))
        tables.show(table)
        console.out.print(
            f"[dim]{formats.count(len(rows), 'SKU')}"
            f"{f', the first {SHOWN:,} shown; --csv prints all' * (len(rows) > len(shown))}[/]"
        )
    else:
        console.out.print(f"No SKUs are mapped for {key}: a SKU is the product code itself.")
    _hint(f"fulfilment skus {key} --set OUR-1=SHOP-1")


# --- reading the options -------------------------------------------------------------------------


def _pair(option: str, text: str, *, empty: bool = False) -> tuple[str, str]:
    """Splits NAME=CODE; with `empty` the right side may be empty, and means none."""
    left, equals, right = (part.strip() for part in text.partition("="))
    if not (left and equals and (right or empty)):
        raise exit_codes.CommandError(
            f"{option} {text!r}: expected two names and = between them", exit_codes.WRONG_USAGE
        )
    return left, right


def _read_skus(file: Path) -> list[tuple[str, str]]:
    """Reads all rows of a file or none: half a mapping is worse than the old one."""
    name = "stdin" if str(file) == STDIN else file.name
    try:
        parsed = read_skus(read_input(file), name)
    except UnreadableFileError as error:
        raise exit_codes.CommandError(f"{name}: {error}", exit_codes.WRONG_USAGE) from None
    if parsed.refusals:
        first = parsed.refusals[0]
        more = f" (and {len(parsed.refusals) - 1:,} more)" * (len(parsed.refusals) > 1)
        raise exit_codes.CommandError(
            f"{first.source}: {first.reason}{more}; nothing was mapped", exit_codes.WRONG_USAGE
        )
    return [(row.sku, row.product_code) for row in parsed.rows]


def _known(option: str, name: str, found: bool) -> None:
    if not found:
        raise exit_codes.CommandError(
            f"{option} {name!r}: it is not in the list", exit_codes.WRONG_USAGE
        )


def _hint(words: str) -> None:
    console.note(f"[dim]to add one: {formats.plain(console.command(words))}[/]", soft_wrap=True)
