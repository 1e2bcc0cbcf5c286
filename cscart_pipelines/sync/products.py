"""Products and their categories: what changed since the last run, all of them once a day.

Orders change stock but not a product's time of change (reference 11.3), so amounts are exact only
after a sweep. Categories have no filter at all; without the right to read them only their names are
missing.
"""

from __future__ import annotations

import logging
import math
import time
from datetime import datetime, timedelta
from typing import Any

from cscart_pipelines.cscart.coerce import integer, mapping, reference
from cscart_pipelines.cscart.errors import NotFoundError, PermanentShopError, TransientShopError
from cscart_pipelines.cscart.lists import read_short_list
from cscart_pipelines.cscart.records.products import parse_category, parse_product
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import (
    ListQuery,
    Sweep,
    read_list,
    sweep_is_due,
    unfinished,
)
from cscart_pipelines.sync.row_handlers import RowHandler, only, plain_handler
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.tables import raw as raw_tables

log = logging.getLogger(__name__)

ENTITY = "products"
SWEEP_EVERY = timedelta(hours=24)
MOST_READ_AGAIN = 100
SLIM = {"get_icon": 0, "get_detailed": 0, "get_additional": 0, "get_features": 0}
"""Without images and computed extras a row costs the shop a tenth (reference 11.1)."""


def sync_products(context: SyncContext) -> EntityReport:
    """Brings the products of one shop up to date.

    Raises:
        ShopError: The shop failed; what was loaded until then stays.
    """
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    left = unfinished(state)
    if sweep_is_due(context, state, SWEEP_EVERY):
        _sweep(context, report, state)
        if left is not None:  # its first part is as old as the run that was interrupted
            _changes(context, report, state)
    else:
        _changes(context, report, state)
    with context.connection.transaction():
        context.states.save(state)
        context.rejects.resolve_loaded(ENTITY, raw_tables.products)
    report.warehouse_total = context.live_rows(raw_tables.products)
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _handler(context: SyncContext, outside: set[int]) -> RowHandler:
    """Products of other companies are left out; storefronts do not show in them."""
    handler = plain_handler(context.loader, raw_tables.products, parse_product, "product_id")
    if not context.limit.companies:
        return handler
    return only(
        handler,
        "product_id",
        lambda raw: context.limit.takes_company(integer(raw.get("company_id"))),
        outside,
    )


def _params(context: SyncContext) -> dict[str, Any]:
    newer = context.can("orders_with_details")
    return {**SLIM, **context.limit.company_filters(newer=newer)}


def _sweep(context: SyncContext, report: EntityReport, state: EntityState) -> None:
    outside: set[int] = set()
    began = context.warehouse_time()
    query = ListQuery(ENTITY, "product_id", _params(context), context.sizes.products, growing=True)
    result = read_list(
        context,
        report,
        state,
        query,
        _handler(context, outside),
        sweep=Sweep(raw_tables.products),
        until=context.clock.now().earliest,
    )
    state.totals = {"total": result.total}
    report.shop_total = result.total - len(outside)
    if not result.quiet:
        _read_again(context, report, began)
    _categories(context, report)


def _read_again(context: SyncContext, report: EntityReport, began: datetime) -> None:
    """Reads by number what a sweep has marked as deleted while the list changed.

    The list is sorted by a time that owners and imports set (reference 6.4): a product that is put
    in before others pushes one of them past the position up to which the list was read.
    """
    gone = context.connection.execute(
        "SELECT product_id FROM cscart.products WHERE integration = %s AND deleted_at >= %s"
        " ORDER BY product_id LIMIT %s",
        [context.integration, began, MOST_READ_AGAIN],
    ).fetchall()
    found = []
    for (number,) in gone:
        try:
            raw = mapping(context.get(ENTITY, id=number, heavy_retries=1).body)
        except NotFoundError:
            continue
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            continue  # the next sweep may find it
        if reference(raw.get("product_id")) == number:
            found.append(dict(raw))
    handler = _handler(context, set())
    with context.connection.transaction():
        back = handler.load(handler.prepare(found).rows)
        report.changes += back
        report.deleted -= back.updated


def _changes(context: SyncContext, report: EntityReport, state: EntityState) -> None:
    now = context.clock.now()
    assert state.watermark is not None
    # The shop counts the hours on its own clock.
    hours = math.ceil((now.latest - state.watermark).total_seconds() / 3600) + 1
    query = ListQuery(
        ENTITY,
        "product_id",
        {**_params(context), "updated_in_hours": max(1, hours)},
        context.sizes.products,
        growing=False,
        label="changed",
        resumable=False,
    )
    read_list(context, report, state, query, _handler(context, set()), until=now.earliest)


def _categories(context: SyncContext, report: EntityReport) -> None:
    """Reads the names of categories.

    Without the right to read them, or without the entity, products keep the category's id; where
    the list crashes the shop, the names stay as they were. Neither may keep the orders from being
    read.
    """
    try:
        raw = read_short_list(context.client, "categories")
    except PermanentShopError:
        return
    except TransientShopError as error:
        if not error.lighter_may_help:
            raise
        log.warning("%s: categories are left out: %s", context.integration, error.message)
        return
    handler = plain_handler(context.loader, raw_tables.categories, parse_category, "category_id")
    prepared = handler.prepare(raw)
    with context.connection.transaction():
        began = context.warehouse_time()
        report.categories_written += handler.load(prepared.rows).written
        context.loader.record_seen_ids("categories", 0, prepared.ids)
        report.categories_written += context.loader.soft_delete_missing(
            raw_tables.categories, "categories", began
        )
