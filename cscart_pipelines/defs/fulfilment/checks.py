"""The asset checks of fulfilment, on the asset `fulfilment/orders`.

They look at all integrations that may be written to; a verdict names those it is about. Pulling
orders computes them all, a push those that it may have changed. Not here: reading the inboxes and
the journal (`fulfilment.findings`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import dagster as dg
import psycopg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.fulfilment.stock_schedule import next_time
from cscart_pipelines.defs.ingestion.checks import SHOWN, shown_findings
from cscart_pipelines.fulfilment import findings
from cscart_pipelines.fulfilment.countries import read_countries
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.fulfilment.findings import Finding
from cscart_pipelines.fulfilment.push_session import disabled_reason
from cscart_pipelines.fulfilment.shipments.deleted import find_deleted
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.status_words import read_status_names
from cscart_pipelines.warehouse.driver import Connection

ORDERS = dg.AssetKey(["fulfilment", "orders"])
MAX_WAIT_SECONDS = 1800
"""A row or a file may wait so long."""
SERVED = (Status.SYNCING, Status.ENABLED, Status.FAILED)

Find = Callable[[AppContext, Connection, list[Integration]], list[Finding]]


@dataclass(frozen=True)
class FulfilmentCheck:
    """One check over all integrations that may be written to.

    Attributes:
        name: unique among the checks of the asset.
        description: what holds if there is no finding.
        find: returns the findings.
        severity: of a finding.
        in_pushes: a push may have changed the verdict.
    """

    name: str
    description: str
    find: Find
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    in_pushes: bool = True

    @property
    def spec(self) -> dg.AssetCheckSpec:
        """The check as Dagster knows it."""
        return dg.AssetCheckSpec(self.name, asset=ORDERS, description=self.description)


def _read(query: Callable[[Connection, Collection[str]], list[Finding]]) -> Find:
    """Makes a check of a function that needs only the keys of the integrations."""

    def find(_: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
        return query(connection, [shop.key for shop in shops])

    return find


def _missing(_: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
    return [
        (one.integration, f"{one.target}: shipment {one.shipment_id} is not in the shop any more")
        for one in find_deleted(connection, [shop.key for shop in shops])
    ]


def _waits(app: AppContext, connection: Connection, shops: list[Integration]) -> list[Finding]:
    """Finds rows and files that wait too long; for stock, the time counts from its schedule."""
    tracking = [shop for shop in shops if not disabled_reason("shipments", shop.settings)]
    stock = {shop.key: shop for shop in shops if not disabled_reason("stock", shop.settings)}
    keys = [shop.key for shop in tracking]
    found = findings.late_shipments(connection, keys, MAX_WAIT_SECONDS)
    now = time.time()
    for key, count, oldest in findings.waiting_levels(connection, stock):
        settings = stock[key].settings
        time_came = next_time(settings.stock_schedule or "", settings.zone, oldest)
        if time_came is not None and time_came + MAX_WAIT_SECONDS < now:
            found.append((key, f"{count} stock levels beyond their time"))
    for path in drop_folder.waiting_files(app.settings, keys):
        try:
            arrived = path.stat().st_ctime  # of its name: moving a file keeps its other time
        except OSError:  # taken at this moment
            continue
        if arrived + MAX_WAIT_SECONDS < now:
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
        _read(findings.writes_in_doubt),
    ),
    FulfilmentCheck(
        "nothing_held",
        "No stock feed is held by the circuit breaker.",
        _read(findings.held_stock),
    ),
    FulfilmentCheck(
        "nothing_refused",
        "No row and no file was refused within a day.",
        _read(findings.refused_within_a_day),
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
    """Computes the selected checks and yields their verdicts, for the run that pulls orders."""
    chosen = [check for check in CHECKS if check.spec.key in selected]
    for check, found in verdicts(app, chosen):
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=ORDERS,
            passed=not found,
            severity=check.severity,
            metadata=shown_findings(found),
        )


def log_verdicts(context: dg.OpExecutionContext, app: AppContext) -> None:
    """Computes the checks that a push may have changed, and logs their verdicts.

    A push is not undone because they cannot be computed, so that is an entry in the log only.
    """
    try:
        for check, found in verdicts(app, [one for one in CHECKS if one.in_pushes]):
            context.log_event(  # takes these too, though its types do not say so
                dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                    asset_key=ORDERS,
                    check_name=check.name,
                    passed=not found,
                    severity=check.severity,
                    description=check.description,
                    metadata=shown_findings(found),
                )
            )
    except (psycopg.Error, OSError):
        context.log.exception("the checks could not be computed")


def verdicts(
    app: AppContext, checks: Collection[FulfilmentCheck]
) -> Iterator[tuple[FulfilmentCheck, list[tuple[str, str, int]]]]:
    """Yields each check with its first findings: integration, what, how many in all."""
    shops = [shop for shop in app.registry.all() if shop.status in SERVED]
    with app.warehouse.connect(autocommit=True) as connection:
        for check in checks:
            found = sorted(check.find(app, connection, shops))
            yield check, [(key, what, len(found)) for key, what in found[:SHOWN]]
