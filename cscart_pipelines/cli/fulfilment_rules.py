"""`fulfilment rules`: how stock on hand becomes the amount in one shop, and when a feed is held.

Not here: applying the rules to a feed (the fulfilment room).
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row

from cscart_pipelines.cli import console
from cscart_pipelines.cli.board import Json, Key
from cscart_pipelines.cli.integration import yes_no
from cscart_pipelines.cli.premises import opened
from cscart_pipelines.integrations.settings import InvalidSettingsError

Row = dict[str, Any]
RULES: Row = {"buffer": 0, "floor": 0, "cap": None, "subtract_open_orders": False,
              "most_to_zero": Decimal("0.5")}  # fmt: skip
"""What holds where nothing is set: the defaults of the table."""
MEANING = {
    "buffer": "pieces kept back of every SKU",
    "floor": "the shop never shows less",
    "cap": "the shop never shows more",
    "subtract_open_orders": "take off what was ordered since it was counted",
    "most_to_zero": "a feed that sets a larger share of the products to zero is held",
}
MOST = 2**31 - 1


def rules(
    key: Key,
    buffer: Annotated[
        int | None,
        typer.Option(min=0, max=MOST, metavar="N", help="Pieces kept back of every SKU."),
    ] = None,
    floor: Annotated[
        int | None,
        typer.Option(min=0, max=MOST, metavar="N", help="The shop never shows less than N."),
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
    that would empty the shop.
    """
    given: Row = {"buffer": buffer, "floor": floor}
    problems: dict[str, str] = {}
    for name, text, read in (
        ("cap", cap, _cap),
        ("most_to_zero", most_to_zero, _share),
        ("subtract_open_orders", subtract_open_orders, _yes_no),
    ):
        if text is not None:
            try:
                given[name] = read(text)
            except ValueError as error:
                problems[name] = str(error)
    if problems:
        raise InvalidSettingsError(problems)
    changed = {n: v for n, v in given.items() if v is not None or (n == "cap" and cap is not None)}
    with opened() as premises:
        premises.registry.get(key)
        with premises.warehouse.connect(autocommit=True) as connection:
            now = _change(connection, key, changed)
    if as_json:
        console.print_json(now)
        return
    table = console.table("rule", ("value", "right"), "meaning")
    for name, words in MEANING.items():
        table.add_row(name.replace("_", "-"), _shown(now[name]), words)
    console.out.print(table)


def _cap(text: str) -> int | None:
    if text.strip().lower() == "none":
        return None
    if not text.isdecimal() or int(text) > MOST:
        raise ValueError(f"{text!r} is no cap; expected a whole number, or none")
    return int(text)


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


def _change(connection: psycopg.Connection[Any], key: str, changed: Row) -> Row:
    """The rules as they are now. Two who change them at once do so one after the other."""
    with connection.transaction():
        if changed:
            connection.execute(
                "INSERT INTO fulfilment.stock_rules (integration) VALUES (%s)"
                " ON CONFLICT (integration) DO UPDATE SET integration = excluded.integration",
                [key],
            )
        found = (
            connection.cursor(row_factory=dict_row)
            .execute(
                "SELECT buffer, floor, cap, subtract_open_orders, most_to_zero"
                " FROM fulfilment.stock_rules WHERE integration = %s",
                [key],
            )
            .fetchone()
        )
        now = {**(found or RULES), **changed}
        if now["cap"] is not None and now["cap"] < now["floor"]:
            raise InvalidSettingsError({"cap": f"{now['cap']} is below the floor, {now['floor']}"})
        if changed:
            connection.execute(
                "UPDATE fulfilment.stock_rules SET buffer = %(buffer)s, floor = %(floor)s,"
                " cap = %(cap)s, subtract_open_orders = %(subtract_open_orders)s,"
                " most_to_zero = %(most_to_zero)s WHERE integration = %(key)s",
                {**now, "key": key},
            )
    return now


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
