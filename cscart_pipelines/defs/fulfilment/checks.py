"""Checks of fulfilment, on the asset `fulfilment/orders`: does anything wait, doubt or contradict?

They look at all integrations that may be written to; a verdict names those it is about. Pulling
orders computes them all, a push those that it may have changed. Not here: rules of what is pulled
or pushed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import psycopg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.fulfilment.stock_schedule import next_time
from cscart_pipelines.defs.ingestion.checks import SHOWN, shown_findings
from cscart_pipelines.fulfilment.countries import read_countries
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.fulfilment.push_session import disabled_reason
from cscart_pipelines.fulfilment.shipments.deleted import find_deleted
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.status_words import read_status_names

ORDERS = dg.AssetKey(["fulfilment", "orders"])
PATIENCE = 1800
"""Seconds that a row or a file may wait."""
SERVED = (Status.SYNCING, Status.ENABLED, Status.FAILED)

Connection = psycopg.Connection[Any]
Finding = tuple[str, str]
"""Integration, what."""
Find = Callable[[AppContext, Connection, list[Integration]], list[Finding]]


@dataclass(frozen=True)
class FulfilmentCheck:
    """`in_pushes`: a push may have changed the verdict."""

    name: str
    description: str
    find: Find
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    in_pushes: bool = True

    @property
    def spec(self) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(self.name, asset=ORDERS, description=self.description)


def _by(query: str) -> Find:
    def find(_: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
        rows = connection.execute(query.encode(), {"keys": [shop.key for shop in shops]})
        return [(row[0], row[1]) for row in rows.fetchall()]

    return find


DOUBT = """
    SELECT integration, format('%%s %%s: %%s since %%s', replace(kind, '_', ' '), target, state,
                               date_trunc('second', sent_at))
    FROM fulfilment.journal
    WHERE integration = ANY(%(keys)s) AND state IN ('applying', 'ambiguous')
      AND sent_at < now() - interval '10 minutes'
"""
HELD = """
    SELECT integration, format('%%s stock levels: %%s', count(*), min(reason))
    FROM fulfilment.stock_levels
    WHERE integration = ANY(%(keys)s) AND state = 'held' GROUP BY integration
    UNION ALL
    SELECT feed.integration, format('%%s: %%s', feed.source, feed.reason)
    FROM fulfilment.feeds AS feed
    WHERE feed.integration = ANY(%(keys)s) AND feed.state = 'held'
      AND NOT EXISTS (
          SELECT FROM fulfilment.feeds AS later
          WHERE later.integration = feed.integration AND later.kind = feed.kind
            AND later.id > feed.id AND later.state IN ('taken', 'released')
      )
"""
"""A feed that was held needs nobody any more once a later one was taken."""
REFUSED = """
    SELECT integration, format('%%s shipments: %%s', count(*), reason)
    FROM fulfilment.shipments
    WHERE integration = ANY(%(keys)s) AND state = 'refused'
      AND settled_at > now() - interval '1 day' GROUP BY integration, reason
    UNION ALL
    SELECT integration, format('%%s stock levels: %%s', count(*), reason)
    FROM fulfilment.stock_levels
    WHERE integration = ANY(%(keys)s) AND state = 'refused'
      AND settled_at > now() - interval '1 day' GROUP BY integration, reason
    UNION ALL
    SELECT integration, format('%%s: %%s', source, coalesce(reason, rows_refused || ' rows'))
    FROM fulfilment.feeds
    WHERE integration = ANY(%(keys)s) AND received_at > now() - interval '1 day'
      AND (state = 'refused' OR rows_refused > 0)
"""
SHIPMENTS_WAIT = """
    SELECT integration, format('%%s shipments since %%s', count(*),
                               date_trunc('second', min(received_at)))
    FROM fulfilment.shipments
    WHERE integration = ANY(%(keys)s) AND state IN ('waiting', 'taken')
      AND received_at < now() - interval '30 minutes'
    GROUP BY integration
"""
LEVELS_WAIT = """
    SELECT integration, count(*), extract(epoch FROM min(received_at))::float
    FROM fulfilment.stock_levels
    WHERE integration = ANY(%(keys)s) AND state = 'waiting' GROUP BY integration
"""


def _missing(_: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
    return [
        (one.integration, f"{one.target}: shipment {one.shipment_id} is not in the shop any more")
        for one in find_deleted(connection, [shop.key for shop in shops])
    ]


def _waits(app: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
    """Stock waits for the integration's own time, and then no longer than a shipment."""
    tracking = [shop for shop in shops if not disabled_reason("shipments", shop.settings)]
    stock = {shop.key: shop for shop in shops if not disabled_reason("stock", shop.settings)}
    found = _by(SHIPMENTS_WAIT)(app, connection, tracking)
    now = time.time()
    levels = connection.execute(LEVELS_WAIT.encode(), {"keys": list(stock)}).fetchall()
    for key, count, oldest in levels:
        settings = stock[key].settings
        time_came = next_time(settings.stock_schedule or "", settings.zone, oldest)
        if time_came is not None and time_came + PATIENCE < now:
            found.append((key, f"{count} stock levels beyond their time"))
    for path in drop_folder.waiting_files(app.settings, [shop.key for shop in tracking]):
        try:
            arrived = path.stat().st_ctime  # of its name: moving a file keeps its other time
        except OSError:  # taken at this moment
            continue
        if arrived + PATIENCE < now:
            key, kind = drop_folder.owner_of(app.settings, path)
            found.append((key, f"the file {kind}/{path.name}"))
    return found


def _words(_: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
    found = []
    for shop in shops:
        settings = shop.settings
        if shop.first_synced_at is None:
            continue  # what the shop calls things is not known yet
        words: list[str] = []
        if settings.countries:
            words += read_countries(connection, shop.key).resolve(settings.countries).unmatched
        names = read_status_names(connection, shop.key)
        words += names.resolve(settings.order_statuses).unmatched
        after = (settings.shipped_status, settings.partially_shipped_status)
        if names.present:  # else the shop's list of statuses cannot be read
            words += [word for word in after if word and names.letter(word) not in names.present]
        found += [(shop.key, f"{word!r} is no country or status of this shop") for word in words]
    return found


CHECKS = [
    FulfilmentCheck(
        "journal_against_shop",
        "Every shipment that the journal calls verified is in the shop, as the next synchronisation"
        " saw it. Deleted on purpose? `cscart-pipelines fulfilment deleted KEY --accept`.",
        _missing,
    ),
    FulfilmentCheck(
        "nothing_waits",
        "No row of an inbox and no file waits longer than 30 minutes (stock: after its time) for an"
        " integration whose update is switched on.",
        _waits,
    ),
    FulfilmentCheck(
        "nothing_ambiguous",
        "No write to a shop has been in doubt for more than 10 minutes.",
        _by(DOUBT),
    ),
    FulfilmentCheck(
        "nothing_held",
        "No stock feed is held by the circuit breaker.",
        _by(HELD),
    ),
    FulfilmentCheck(
        "nothing_refused",
        "No row and no file was refused within a day.",
        _by(REFUSED),
        dg.AssetCheckSeverity.WARN,
    ),
    FulfilmentCheck(
        "filters_match",
        "Every country and order status of the settings means something in the shop: those of the"
        " filters, and those that orders get when they have shipped.",
        _words,
        dg.AssetCheckSeverity.WARN,
        in_pushes=False,
    ),
]
SPECS = [check.spec for check in CHECKS]


def results(
    app: AppContext, selected: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """The verdicts of the selected checks, for the run that pulls orders."""
    chosen = [check for check in CHECKS if check.spec.key in selected]
    for check, findings in verdicts(app, chosen):
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=ORDERS,
            passed=not findings,
            severity=check.severity,
            metadata=shown_findings(findings),
        )


def log_verdicts(context: dg.OpExecutionContext, app: AppContext) -> None:
    """The verdicts that a push may have changed. A push is not undone because they cannot be
    computed, so that is only logged."""
    try:
        for check, findings in verdicts(app, [one for one in CHECKS if one.in_pushes]):
            context.log_event(  # takes these too, though its types do not say so
                dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                    asset_key=ORDERS,
                    check_name=check.name,
                    passed=not findings,
                    severity=check.severity,
                    description=check.description,
                    metadata=shown_findings(findings),
                )
            )
    except (psycopg.Error, OSError):
        context.log.exception("the checks could not be computed")


def verdicts(
    app: AppContext, checks: Collection[FulfilmentCheck]
) -> Iterator[tuple[FulfilmentCheck, list[tuple[str, str, int]]]]:
    """Checks and what they find: integration, what, how many in all; the first so many."""
    shops = [shop for shop in app.registry.all() if shop.status in SERVED]
    with app.warehouse.connect(autocommit=True) as connection:
        for check in checks:
            found = sorted(check.find(app, connection, shops))
            yield check, [(key, what, len(found)) for key, what in found[:SHOWN]]
