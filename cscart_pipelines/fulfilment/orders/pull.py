"""Which orders of a shop are handed to the fulfilment system, and what changed in them since.

From the raw tables into `fulfilment.orders`, in SQL over sets (`pull_sql`), one pull per
integration at a time. An order is pulled once and stays, whatever filters or prefix are set later.
Not here: what filter words mean (`countries`), the export (`export`), reading the shop (`sync`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.cscart.status_names import INCOMPLETE
from cscart_pipelines.fulfilment.countries import read_countries
from cscart_pipelines.fulfilment.orders import pull_sql as statements
from cscart_pipelines.integrations.conflicts.overlap import siblings
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines.integrations.status_words import read_status_names
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock


@dataclass(frozen=True)
class PullReport:
    """What a pull did. `skipped`: reason -> orders of the shop that are not handed out."""

    pulled: int = 0
    changed: int = 0
    """Orders pulled before that are marked anew with what changed."""
    skipped: dict[str, int] = field(default_factory=dict)
    unmatched_countries: list[str] = field(default_factory=list)
    """Words of the filter that mean no country, as given; likewise the next."""
    unmatched_statuses: list[str] = field(default_factory=list)
    without_details: int = 0
    """Orders that wait until their address and lines have been read."""
    orders_total: int = 0
    """In the feed of this integration, from now and before."""


@dataclass(frozen=True)
class Filters:
    """What an order must be; None: anything. An empty list of codes or letters lets nothing by."""

    start: datetime | None
    letters: list[str] | None
    countries: list[str] | None
    incomplete: bool
    """Orders whose checkout was never finished too: only where the filter names their status."""


def start_of(settings: IntegrationSettings) -> datetime | None:
    """Returns the first moment whose orders are pulled: 00:00 of the start date, in UTC."""
    if settings.start_date is None:
        return None
    # In UTC: a midnight that the clocks skip is the moment they are put forward.
    return datetime.combine(settings.start_date, time.min, settings.zone).astimezone(UTC)


def pull(connection: psycopg.Connection[Any], integration: Integration) -> PullReport:
    """Brings the order export up to the raw tables, in one transaction (or within the caller's).

    Positions are given out behind a lock that is held to the commit, so that they are committed in
    their order: a reader of a position has missed nothing below it.

    Raises:
        NotAllowedError: another integration of the shop hands out the same orders.
    """
    settings, key = integration.settings, integration.key
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        advisory.lock(connection, Lock.ORDER_EXPORT, key)
        filters, unmatched_countries, unmatched_statuses = _filters(connection, settings)
        values: dict[str, Any] = {
            "shop": key,
            "prefix": settings.order_prefix,
            "client": settings.user_id,
            "currency": settings.currency,
            "start": filters.start,
            "letters": filters.letters,
            "countries": filters.countries,
            "incomplete": filters.incomplete,
            "companies": list(settings.companies) or None,
            "storefronts": list(settings.storefronts) or None,
            "siblings": siblings(connection, settings),
        }
        reasons = dict(_rows(cursor, statements.COUNT_SKIPPED, values))
        for prepare in statements.PREPARE:
            cursor.execute(prepare)
        cursor.execute(statements.STAGE, values)
        for prepare in statements.AFTER_STAGE:
            cursor.execute(prepare)
        ((values["base"],),) = _rows(cursor, statements.LAST_POSITION, values)
        pulled = cursor.execute(statements.INSERT_ORDERS, values).rowcount
        cursor.execute(statements.INSERT_LINES, values)
        values["base"] += pulled
        cursor.execute(statements.COMPARE, values)
        changed = cursor.execute(statements.UPDATE_MOVED, values).rowcount
        cursor.execute(statements.UPDATE_REST, values)
        cursor.execute(statements.DELETE_LINES, values)
        cursor.execute(statements.REPLACE_LINES, values)
        for name in statements.STAGES:
            cursor.execute(f"DROP TABLE pg_temp.{name}")
        ((total,),) = _rows(cursor, statements.COUNT_ORDERS, values)
    return PullReport(
        pulled=pulled,
        changed=changed,
        skipped={
            reason: number
            for reason, number in sorted(reasons.items())
            if reason != statements.WITHOUT_DETAILS
        },
        unmatched_countries=unmatched_countries,
        unmatched_statuses=unmatched_statuses,
        without_details=reasons.get(statements.WITHOUT_DETAILS, 0),
        orders_total=total,
    )


def _filters(
    connection: psycopg.Connection[Any], settings: IntegrationSettings
) -> tuple[Filters, list[str], list[str]]:
    """Returns the filters as codes and letters, and the words without a meaning."""
    letters: Sequence[str] | None = None
    codes: Sequence[str] | None = None
    unmatched_countries: Sequence[str] = ()
    unmatched_statuses: Sequence[str] = ()
    if settings.order_statuses:
        names = read_status_names(connection, settings.integration)
        statuses = names.resolve(settings.order_statuses)
        letters, unmatched_statuses = sorted(statuses.letters), statuses.unmatched
    if settings.countries:
        found = read_countries(connection, settings.integration).resolve(settings.countries)
        codes, unmatched_countries = sorted(found.codes), found.unmatched
    filters = Filters(
        start=start_of(settings),
        letters=None if letters is None else list(letters),
        countries=None if codes is None else list(codes),
        incomplete=INCOMPLETE in (letters or ()),
    )
    return filters, list(unmatched_countries), list(unmatched_statuses)


def _rows(cursor: psycopg.Cursor[Any], query: Any, values: dict[str, Any]) -> list[Any]:
    return cursor.execute(query, values).fetchall()
