"""`fulfilment rules`: how stock on hand becomes the amount in one shop, and when a feed is held.

Not here: applying the rules (`fulfilment.stock.rules`), their table (`fulfilment.stock.rule_book`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from cscart_pipelines.cli.fulfilment.feed_input import STDIN, read_input
from cscart_pipelines.cli.integration.options import yes_no
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Json, Key
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.fulfilment.feeds.text import UnreadableFileError
from cscart_pipelines.fulfilment.stock import rule_book as book
from cscart_pipelines.fulfilment.stock.rules import NO_CAP, SkuRules
from cscart_pipelines.integrations.settings import InvalidSettingsError

SHOWN = 1000
MEANING = {
    "subtract_open_orders": "subtract what was ordered since the stock was counted",
    "buffer": "then keep back so many pieces, or percent",
    "safety_quantity": "then write 0 for what is not above it",
    "cap": "then never show more",
    "most_to_zero": "hold a feed that sets a larger share of the stocked products to zero",
}
"""In the order in which they are applied; the last one judges the feed before all of them."""


def rules(
    key: Key,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="CSV with rules of single SKUs: sku,buffer,safety_quantity,cap; - is stdin.",
        ),
    ] = None,
    sku: Annotated[
        str | None,
        typer.Option(metavar="SKU", help="Set --buffer, --safety-quantity, --cap of this SKU."),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="SKU", help="Remove the rules of this SKU. May be repeated."),
    ] = None,
    buffer: Annotated[
        str | None, typer.Option(metavar="N|N%", help="Keep back N pieces, or N percent.")
    ] = None,
    safety_quantity: Annotated[
        str | None,
        typer.Option(metavar="N", help="Write 0 where N or less is left."),
    ] = None,
    cap: Annotated[
        str | None, typer.Option(metavar="N|none", help="The shop never shows more than N.")
    ] = None,
    subtract_open_orders: Annotated[
        str | None,
        typer.Option(
            metavar="yes|no", help="Subtract what was ordered since the stock was counted."
        ),
    ] = None,
    most_to_zero: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Hold a feed that sets a larger share of the products to zero; 0.5 is half.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or change the stock rules and the circuit breaker.

    Stock rules turn stock on hand into the amount in the shop. The circuit breaker holds a feed
    that would empty the shop; it judges the feed itself, before any rule.
    """
    general = _read(
        {"subtract_open_orders": (subtract_open_orders, _yes_no),
         "most_to_zero": (most_to_zero, _share)}
    )  # fmt: skip
    given = {"buffer": buffer, "safety_quantity": safety_quantity, "cap": cap}
    amounts = _read({name: (text, book.READERS[name]) for name, text in given.items()})
    if sku is not None and (general or not amounts or not sku.strip()):
        raise exit_codes.CommandError(
            "--sku needs --buffer, --safety-quantity or --cap, and goes with no other rule",
            exit_codes.WRONG_USAGE,
        )
    of_skus = {} if file is None else _read_file(file)
    with opened() as app:
        app.registry.get(key)
        with app.warehouse.connect(autocommit=True) as connection:
            with connection.transaction():
                for each in unset or []:
                    if not book.delete_sku_rules(connection, key, [each.strip()]):
                        raise exit_codes.CommandError(
                            f"--unset {each!r}: this SKU has no rules", exit_codes.WRONG_USAGE
                        )
                book.replace_sku_rules(connection, key, of_skus)
                if sku is None:
                    if amounts.get("cap") == NO_CAP:
                        amounts["cap"] = None
                    book.update_rules(connection, key, {**general, **amounts})
                else:
                    known = book.read_sku_rules(connection, key)
                    name = next((n for n in known if n.lower() == sku.strip().lower()), sku.strip())
                    merged = {**vars(known.get(name, SkuRules())), **amounts}
                    book.replace_sku_rules(connection, key, {name: SkuRules(**merged)})
            found = book.read_rules(connection, key).general
            skus = book.read_sku_rules(connection, key)
    general = {name: book.shown(getattr(found, name)) for name in MEANING}
    _show({**general, "most_to_zero": str(found.most_to_zero)}, skus, as_json=as_json)


def _show(general: dict[str, Any], skus: dict[str, SkuRules], *, as_json: bool) -> None:
    of_skus = [
        {"sku": sku, **{name: book.shown(value) for name, value in vars(each).items()}}
        for sku, each in skus.items()
    ]
    if as_json:
        machine_output.print_json({**general, "skus": of_skus})
        return
    table = tables.table("rule", ("value", "right"), ("meaning", "text"))
    for name, words in MEANING.items():
        table.add_row(name.replace("_", "-"), _cell(general[name]), words)
    tables.show(table)
    if not of_skus:
        return
    table = tables.table("SKU", *((n.replace("_", "-"), "right") for n in book.READERS))
    for row in of_skus[:SHOWN]:
        cells = ("–" if row[name] is None else _cell(row[name]) for name in book.READERS)
        table.add_row(formats.plain(row["sku"]), *cells)
    tables.show(table)
    more = f", the first {SHOWN:,} shown" if len(of_skus) > SHOWN else ""
    console.out.print(
        f"[dim]{len(of_skus):,} SKU{'s' * (len(of_skus) != 1)} with rules of their own{more};"
        " – is the rule above[/]"
    )


def _read(given: dict[str, tuple[str | None, Callable[[str], Any]]]) -> dict[str, Any]:
    """Returns the values of the options that were given.

    Raises:
        InvalidSettingsError: with the problems of all options.
    """
    found: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, (text, read) in given.items():
        if text is not None:
            try:
                found[name] = read(text)
            except ValueError as error:
                problems[name] = str(error)
    if problems:
        raise InvalidSettingsError(problems)
    return found


def _read_file(file: Path) -> dict[str, SkuRules]:
    data = read_input(file)
    name = "stdin" if str(file) == STDIN else file.name
    try:
        return book.read_sku_file(data)
    except (UnreadableFileError, ValueError) as error:
        raise exit_codes.CommandError(
            f"{name}: {error}; no rule was changed", exit_codes.WRONG_USAGE
        ) from None


def _share(text: str) -> Decimal:
    try:
        if 0 <= (share := Decimal(text)) <= 1:
            return share
    except InvalidOperation:  # no number, or the number called NaN
        pass
    raise ValueError(f"{text!r} is no share; expected a number from 0 to 1, as 0.5")


def _yes_no(text: str) -> bool:
    try:
        return yes_no(value=text)["value"]
    except InvalidSettingsError as error:
        raise ValueError(error.problems["value"]) from None


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return formats.quantity(value) if isinstance(value, int | float) else str(value)
