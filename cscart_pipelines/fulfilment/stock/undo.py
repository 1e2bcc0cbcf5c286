"""Undo of one run's stock writes: the amounts of its products, as they were before.

An undo is a run like any other: journalled, read back, and to be undone itself. Only stock can be
undone; a shipment has been mailed. Not here: the writing (`writer`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from cscart_pipelines.cscart.quantities import NOTHING, tidy
from cscart_pipelines.cscart.stock_reads import ProductStock, read_amounts
from cscart_pipelines.fulfilment.push_session import PushContext, finish
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.fulfilment.stock.reconcile import read_unconfirmed, reconcile_open_entries
from cscart_pipelines.fulfilment.stock.targets import StockTarget, preview
from cscart_pipelines.fulfilment.stock.writer import StockWriter

MIN_RUN_ID_LENGTH = 6
"""Characters of a run's id that are taken for it."""


@dataclass(frozen=True)
class _Written:
    """A verified write. `later_run`: that of a newer one to the same product that still stands."""

    id: int
    target: str
    product_id: int
    product_code: str
    before: Decimal
    written: Decimal
    later_run: str | None


def undo(context: PushContext, run_id: str) -> PushReport:
    """Restores the amounts that a run changed and that were not restored or replaced since.

    What was sold since stays sold: if the shop shows less (or more) than the run wrote, the
    difference is kept. A product that a later run wrote is refused: undo that run first. Undoing
    twice changes nothing.

    Args:
        context: of the push session.
        run_id: at least six characters that only one run begins with.

    Raises:
        LookupError: no such run wrote stock.
        ShopError: the shop does not work.
        PushFailedError: as in `push_stock`.
    """
    started, calls = time.monotonic(), context.client.stats.calls
    key, connection = context.integration.key, context.journal.connection
    report = PushReport(key, "stock", dry_run=context.dry_run)
    run = _run(connection, key, run_id)
    unconfirmed = (
        read_unconfirmed(context) if context.dry_run else reconcile_open_entries(context, report)
    )
    targets: list[StockTarget] = []
    names: set[str] = set()
    written = _written(connection, key, run)
    shop_stock = read_amounts(context.client, [each.product_id for each in written])
    for each in written:
        if each.later_run is not None:
            reason = f"written again by a later run ({each.later_run}): undo that one first"
            report.refusals.append(RefusedRow(each.target, reason))
        elif unconfirmed.holds(each.target, each.product_id) or len(targets) == context.limit:
            report.waiting += 1
        else:
            # A SKU may have been another product earlier; the journal has one open entry for each.
            twin = each.target in names
            name = f"{each.target} (product {each.product_id})" if twin else each.target
            names.add(name)
            targets.append(_target(each, name, shop_stock.get(each.product_id)))
    if context.dry_run:
        preview(report, targets, shop_stock, context.settings.limit)
    else:
        StockWriter(context, report).write(targets, shop_stock)
    return finish(report, context.client, started, calls)


def restored(before: Decimal, written: Decimal) -> Callable[[Decimal], Decimal]:
    """Returns the amount to restore from what the shop has now: later moves are kept."""

    def amount(now: Decimal) -> Decimal:
        return before if now == written else max(tidy(before + now - written), NOTHING)

    return amount


def _target(each: _Written, name: str, product: ProductStock | None) -> StockTarget:
    note = None
    now = None if product is None else product.amount
    if now is not None and now != each.written:
        moved = tidy(now - each.written)
        kept = max(each.before + moved, NOTHING) - each.before
        note = f"the shop has {now} and not {each.written} any more: {moved:+} since"
        note += "" if kept == moved else ", not below 0"
    return StockTarget(
        name,
        each.product_id,
        each.product_code,
        restored(each.before, each.written),
        plan={"undo_of": each.id},
        note=note,
    )


def _run(connection: psycopg.Connection[Any], key: str, run_id: str) -> str:
    run_id = run_id.strip()
    rows = connection.execute(
        "SELECT DISTINCT run_id FROM fulfilment.journal WHERE integration = %s"
        " AND kind = 'stock' AND starts_with(run_id, %s) ORDER BY run_id",
        [key, run_id],
    ).fetchall()
    runs = [row[0] for row in rows]
    if run_id in runs:
        return run_id
    if len(run_id) < MIN_RUN_ID_LENGTH:
        raise LookupError(
            f"{run_id!r} is too short for a run: give at least {MIN_RUN_ID_LENGTH} characters"
        )
    if not runs:
        raise LookupError(f"no run of {key} that wrote stock begins with {run_id!r}")
    if len(runs) > 1:
        raise LookupError(f"{len(runs)} runs of {key} begin with {run_id!r}: {', '.join(runs[:5])}")
    return str(runs[0])


def _written(connection: psycopg.Connection[Any], key: str, run: str) -> list[_Written]:
    """The newest verified write of the run to each product, unless it was taken back already."""
    rows = connection.execute(_WRITTEN, {"key": key, "run": run}).fetchall()
    return [_Written(*row) for row in rows]


_WRITTEN = """
    WITH verified AS (
        SELECT *, (plan ->> 'undo_of')::bigint AS undo_of FROM fulfilment.journal
        WHERE integration = %(key)s AND kind = 'stock' AND state = 'verified'
    ),
    standing AS (
        -- The last write to each product that was not taken back, nor itself took one back.
        SELECT DISTINCT ON (product_id) product_id, id, coalesce(run_id, '?') AS run_id
        FROM verified WHERE undo_of IS NULL
        AND id NOT IN (SELECT undo_of FROM verified WHERE undo_of IS NOT NULL)
        ORDER BY product_id, id DESC
    ),
    newest AS (
        SELECT DISTINCT ON (product_id) * FROM verified
        WHERE run_id = %(run)s AND before ? 'amount' ORDER BY product_id, id DESC
    )
    SELECT newest.id, target, newest.product_id, coalesce(plan ->> 'product_code', ''),
        (before ->> 'amount')::numeric, (plan ->> 'amount')::numeric,
        CASE WHEN standing.id > newest.id THEN standing.run_id END
    FROM newest LEFT JOIN standing USING (product_id)
    WHERE newest.id NOT IN (SELECT undo_of FROM verified WHERE undo_of IS NOT NULL)
    ORDER BY newest.id
"""
