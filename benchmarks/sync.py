"""First sync and a resync with 1 % changed, at several sizes of the shop.

Shop, PostgreSQL and each synchronisation are processes of their own, so that each one's CPU and
memory are known. The project's aims: beyond 3 s of start-up 5,000 orders/s with details and 50,000
list rows/s, less than 250 MB, and a resync of no more requests than the change needs, the sweep of
users, and three. Not here: the process that synchronises (`processes.sync_process`).
"""

from __future__ import annotations

from benchmarks.parse import yardstick
from benchmarks.support.measure import Cost, rate, ratio, total
from benchmarks.support.options import Options
from benchmarks.support.report import Aim, Cell, Report, Table
from benchmarks.support.shop import serve
from benchmarks.support.sync_run import FIRST, RESYNC, SyncRun, register, run_sync
from benchmarks.support.temporary_warehouse import temporary_warehouse

START_UP = 3.0
ORDERS_A_SECOND = 5_000
LIST_ROWS_A_SECOND = 50_000
MEMORY_MB = 250
# What a page of a real shop may sensibly hold (reference 15), whatever ours ask for.
ORDERS_A_PAGE = 50
USERS_A_PAGE = 500
SPARE_REQUESTS = 3

RUNS = (
    "orders", "run", "changed", "requests", "wall s", "CPU s", "CPU s PG", "CPU s shop", "peak MB",
)  # fmt: skip
PARTS = (
    "orders", "run", "part", "rows", "requests", "wall s", "CPU s", "CPU s PG", "rows/s",
    "rows/CPU s",
)  # fmt: skip
NAMES = {"customers": "list rows", "orders": "orders, details"}
"""Steps that are shown one by one: what a row of them is."""


def run(options: Options) -> Report:
    runs: list[SyncRun] = []
    reading = yardstick()
    for orders in options.orders:
        options.say(f"starting a shop of {orders:,} orders")
        with serve(orders) as shop, temporary_warehouse() as place:
            register(place, shop)
            for kind in (FIRST, RESYNC):
                options.say(f"{orders:,} orders, {kind}")
                changed = shop.change() if kind == RESYNC else orders
                runs.append(
                    run_sync(place, shop, reading, orders=orders, kind=kind, changed=changed)
                )
    tables = [_runs(runs), _parts(runs), _beside_reading(runs)]
    if len(options.orders) > 1:
        tables.append(_growth(runs))
    return Report("sync", tables, _aims(runs))


def _runs(runs: list[SyncRun]) -> Table:
    table = Table("Synchronisations, each a process of its own", RUNS, group=1)
    for one in runs:
        table.rows.append(
            (one.orders, one.kind, one.changed, one.requests, one.whole.wall, one.whole.cpu,
             one.whole.server, one.shop_cpu, one.peak_bytes / 1e6)
        )  # fmt: skip
    return table


def _parts(runs: list[SyncRun]) -> Table:
    note = (
        "list rows: customers; rows/CPU s: process and PostgreSQL together; "
        "the rest: products, statuses, shipments, beginning and end"
    )
    table = Table("Their parts", PARTS, note=note, group=2)
    for one in runs:
        table.rows.append(_part(one, "imports", one.imports))
        table.rows.append(_part(one, "open warehouse", one.opening))
        for name in NAMES:
            step = one.steps[name]
            table.rows.append(_part(one, NAMES[name], step.cost, step.rows, step.requests))
        others = [step for name, step in one.steps.items() if name not in NAMES]
        known = [one.imports, one.opening, *(one.steps[name].cost for name in NAMES)]
        rest = one.whole - total(known)
        rows, calls = sum(step.rows for step in others), sum(step.requests for step in others)
        table.rows.append(_part(one, "the rest", rest, None, calls))
        rows += sum(one.steps[name].rows for name in NAMES)
        table.rows.append(_part(one, "whole process", one.whole, rows, one.requests))
    return table


def _part(
    one: SyncRun, name: str, cost: Cost, rows: int | None = None, requests: int | None = None
) -> tuple[Cell, ...]:
    speed = (rate(rows, cost.wall), rate(rows, cost.all_cpu)) if rows else (None, None)
    return (one.orders, one.kind, name, rows, requests, cost.wall, cost.cpu, cost.server, *speed)


def _beside_reading(runs: list[SyncRun]) -> Table:
    """Figures for machines whose speed changes with the work beside."""
    columns = (
        "orders", "reading µs", "process µs", "PG µs", "process / reading", "PG / reading",
    )  # fmt: skip
    table = Table(
        "CPU of an order in the first sync, beside reading one in the same minute",
        columns,
        note="reading: decoding, parsing and hashing one order, as in the benchmark parse",
    )
    for one in runs:
        if one.kind == FIRST:
            step = one.steps["orders"]
            process, server = (cpu / step.rows * 1e6 for cpu in (step.cost.cpu, step.cost.server))
            table.rows.append(
                (one.orders, one.reading, process, server, process / one.reading,
                 server / one.reading)
            )  # fmt: skip
    return table


def _growth(runs: list[SyncRun]) -> Table:
    """The largest shop beside the smallest: memory must not grow with it."""
    columns = ("run", "orders", "requests ×", "CPU ×", "peak memory ×")
    table = Table("The largest shop beside the smallest", columns)
    for kind in (FIRST, RESYNC):
        same = [one for one in runs if one.kind == kind]
        small, large = same[0], same[-1]
        table.rows.append(
            (kind, f"{large.orders:,} / {small.orders:,}", ratio(large.requests, small.requests),
             ratio(large.whole.cpu, small.whole.cpu), ratio(large.peak_bytes, small.peak_bytes))
        )  # fmt: skip
    return table


def _aims(runs: list[SyncRun]) -> list[Aim]:
    aims: list[Aim] = []
    firsts = [one for one in runs if one.kind == FIRST]
    for one in firsts:
        users = one.steps["customers"].rows
        allowed = START_UP + one.orders / ORDERS_A_SECOND + users / LIST_ROWS_A_SECOND
        aims.append(
            Aim(f"first sync of {one.orders:,}: s", allowed, one.whole.wall, one.whole.all_cpu)
        )
    largest = firsts[-1]  # in a small one the fixed costs of a step are all there is
    for name, least in (("orders", ORDERS_A_SECOND), ("customers", LIST_ROWS_A_SECOND)):
        step = largest.steps[name]
        found = rate(step.rows, step.cost.wall) or 0.0
        by_cpu = rate(step.rows, step.cost.all_cpu)
        what = f"{NAMES[name]}/s in {largest.orders:,}"
        aims.append(Aim(what, least, found, by_cpu, at_least=True))
    for one in runs:
        aims.append(Aim(f"{one.kind} of {one.orders:,}: peak MB", MEMORY_MB, one.peak_bytes / 1e6))
    for one in runs:
        if one.kind == RESYNC:
            allowed_requests = (
                -(-one.changed // ORDERS_A_PAGE)
                + max(1, -(-one.steps["customers"].rows // USERS_A_PAGE))
                + SPARE_REQUESTS
            )
            aims.append(Aim(f"resync of {one.orders:,}: requests", allowed_requests, one.requests))
    return aims
