"""Writing back to a shop: shipments and stock levels a second, and the API calls that each costs.

Calls are counted by the client and are the same on every machine; a second is worth what the shop's
answers take, so the same is measured with answers at once and after 50 ms. Four requests at a time,
as an integration has. Not here: the shop (`processes.write_back_shop`).
"""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal

from pydantic import SecretStr

from benchmarks.processes.write_back_shop import FIRST_ORDER, SOLD, WriteBackShop, code, serve
from benchmarks.support.measure import rate, ratio
from benchmarks.support.options import Options
from benchmarks.support.report import Aim, Cell, Report, Table
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.fulfilment.feeds.ingest import ingest
from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.fulfilment.push_session import PushKind, open_push
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.connection import open_client, test_connection
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.sync.run import synchronise

LATENCIES = (0, 50)
"""Milliseconds."""
PLAIN, STATUS = "tracking", "tracking and status"
KEYS = {PLAIN: "plain", STATUS: "status"}
SHIPMENTS, LEVELS = 400, 1000
QUICK_SHIPMENTS, QUICK_LEVELS = 40, 100
COLUMNS = ("seconds", "a second", "calls", "calls each", "CPU ms each")


def run(options: Options) -> Report:
    shipments = QUICK_SHIPMENTS if options.quick else SHIPMENTS
    levels = QUICK_LEVELS if options.quick else LEVELS
    orders = shipments * len(LATENCIES) * len(KEYS)
    # A shop each: two integrations of one shop would hand its orders out twice.
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(temporary_warehouse())
        shops = {key: stack.enter_context(serve(orders, levels)) for key in KEYS.values()}
        bench = _Bench(place, shops, options)
        return bench.run(shipments, levels)


class _Bench:
    def __init__(
        self, place: TemporaryWarehouse, shops: dict[str, WriteBackShop], options: Options
    ) -> None:
        self._place = place
        self._shops = shops
        self._say = options.say
        self._registry = Registry(place.warehouse, place.settings)
        for what, key in KEYS.items():
            self._say(f"first sync of {key}")
            self._connect(key, "C" if what == STATUS else None)

    def run(self, shipments: int, levels: int) -> Report:
        shipped = Table("Shipments, one parcel an order", ("answers after ms", "write", "shipments",
                        *COLUMNS), group=1)  # fmt: skip
        stocked = Table(
            "Stock levels", ("answers after ms", "levels are", "levels", *COLUMNS), group=1
        )
        order = FIRST_ORDER
        for latency in LATENCIES:
            for shop in self._shops.values():
                shop.answer_after(latency / 1000)
            for what, key in KEYS.items():
                self._say(f"{what}, answers after {latency} ms")
                rows = [ShipmentRow(str(n), f"T{n}", carrier="UPS")
                        for n in range(order, order + shipments)]  # fmt: skip
                order += shipments
                found = self._push("shipments", key, Parsed(rows, []))
                shipped.rows.append((latency, what, shipments, *found.per(shipments)))
            for what in ("changed", "unchanged"):
                self._say(f"stock levels, {what}, answers after {latency} ms")
                amount = Decimal(latency + 1)
                stock = [StockRow(code(n), amount) for n in range(SOLD + 1, SOLD + levels + 1)]
                found = self._push("stock", KEYS[STATUS], Parsed(stock, []))
                stocked.rows.append((latency, what, levels, *found.per(levels)))
        report = Report("write_back", [shipped, stocked, _compared(shipped, stocked)])
        calls = {(row[0], row[1]): row[6] for row in (*shipped.rows, *stocked.rows)}
        for (what, name), most in {
            (PLAIN, "API calls per shipment"): 3,
            (STATUS, "API calls per shipment with status"): 6,
            ("changed", "API calls per changed stock level"): 1.1,
            ("unchanged", "API calls per unchanged stock level"): 0.1,
        }.items():
            cell = calls[LATENCIES[0], what]
            assert isinstance(cell, float)
            report.aims.append(Aim(name, most, cell))
        return report

    def _connect(self, key: str, shipped_status: str | None) -> None:
        settings = integration_settings.check(
            {
                "integration": key, "list_name": key, "url": self._shops[key].url,
                "email": self._shops[key].email, "shipped_status": shipped_status,
                "update_tracking_number": True, "update_stock": True, "stock_schedule": "0 * * * *",
            }
        )  # fmt: skip
        secret = SecretStr(self._shops[key].api_key)
        found = test_connection(settings, secret)
        self._registry.add(settings, secret, found.model_dump(mode="json"))
        with (
            acquire(self._place.warehouse, self._registry, key, Action.START) as session,
            open_client(session.integration, self._registry, self._place.settings) as client,
        ):
            synchronise(session, client)

    def _push(
        self, kind: PushKind, key: str, parsed: Parsed[ShipmentRow] | Parsed[StockRow]
    ) -> _Found:
        with self._place.warehouse.connect(autocommit=True) as connection:
            ingest(connection, key, kind, "bench", parsed)
        push = push_shipments if kind == "shipments" else push_stock
        place = self._place
        with open_push(kind, place.warehouse, self._registry, place.settings, key) as context:
            started, used = time.monotonic(), time.process_time()
            report: PushReport = push(context)
            seconds, cpu = time.monotonic() - started, time.process_time() - used
        if report.refusals or report.waiting:
            raise RuntimeError(f"not everything was written: {report.counts}")
        return _Found(seconds, cpu, report.calls)


class _Found:
    """What one push cost."""

    def __init__(self, seconds: float, cpu: float, calls: int) -> None:
        self.seconds, self.cpu, self.calls = seconds, cpu, calls

    def per(self, count: int) -> tuple[Cell, ...]:
        """The cells of COLUMNS."""
        each, cpu = self.calls / count, 1000 * self.cpu / count
        return self.seconds, rate(count, self.seconds), self.calls, each, cpu


def _compared(shipped: Table, stocked: Table) -> Table:
    """What the shop's answers cost, within this run."""
    rows: list[tuple[Cell, ...]] = []
    for table in (shipped, stocked):
        half = len(table.rows) // 2
        for fast, slow in zip(table.rows[:half], table.rows[half:], strict=True):
            assert isinstance(fast[3], float) and isinstance(slow[3], float)
            rows.append((fast[1] if table is shipped else f"levels {fast[1]}",
                         ratio(slow[3], fast[3])))  # fmt: skip
    title = f"Answers after {LATENCIES[1]} ms beside answers at once"
    return Table(title, ("write", "times as long"), rows)
