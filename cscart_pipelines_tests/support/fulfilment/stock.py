"""What the tests of stock on hand share: levels into the inbox, pushes, and what the shop then has.

Built on the connected shop of `shops`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.fulfilment.push_session import PushContext, PushFailedError, open_push
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.fulfilment.stock.undo import undo
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.support.fulfilment.shops import Connected

PROJECT = PROJECT_ROOT
COUNTED = datetime.now(UTC) - timedelta(hours=1)
"""When the tests' levels were counted, unless they say otherwise."""


def many(count: int) -> Any:
    """A catalogue of so many products, SKU-0001 and up, ten pieces each."""

    def fill(store: Store) -> None:
        store.add_category("All")
        for number in range(1, count + 1):
            store.add_product(f"Product {number}", "9.95", main_category=1, amount=10)

    return fill


def level(shop: Connected, sku: str, quantity: Any, *, as_of: datetime = COUNTED) -> None:
    """A row into the inbox, by SQL as anybody may; a newer one replaces it."""
    shop.execute(
        "INSERT INTO fulfilment.stock_levels (integration, sku, quantity, as_of)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (integration, sku)"
        " DO UPDATE SET quantity = excluded.quantity, as_of = excluded.as_of",
        shop.key, sku, None if quantity is None else Decimal(str(quantity)), as_of,
    )  # fmt: skip


def levels(shop: Connected, **quantities: Any) -> None:
    """SKU_0001=5 for SKU-0001, and so on."""
    for sku, quantity in quantities.items():
        level(shop, sku.replace("_", "-"), quantity)


def rules(shop: Connected, **values: Any) -> None:
    columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    shop.execute(
        f"INSERT INTO fulfilment.stock_rules (integration, {columns}) VALUES (%s, {marks})",
        shop.key, *values.values(),
    )  # fmt: skip


@contextlib.contextmanager
def open_stock_push(
    shop: Connected, *, settle: float = 0.0, client: dict[str, Any] | None = None, **options: Any
) -> Iterator[PushContext]:
    settings = shop.settings.model_copy(update={"write_settle_seconds": settle})
    with (
        _line(shop, **(client or {})) as line,
        open_push(
            "stock", shop.database.warehouse, shop.registry, settings, shop.key,
            client=line, **options,
        ) as context,
    ):  # fmt: skip
        yield context


class _NeverWaits(ShopClient):
    """Waits for nothing; instead of the settling time it does what the test says."""

    on_pause: Callable[[float], object] | None = None

    def pause(self, seconds: float) -> bool:
        if self.on_pause is not None:
            self.on_pause(seconds)
        return False


def _line(shop: Connected, **options: Any) -> ShopClient:
    on_pause = options.pop("on_pause", None)
    options = {"retries": 2, "read_timeout": 10, "sleep": lambda _: None, **options}
    made = _NeverWaits(shop.shop.url, shop.shop.email, shop.shop.api_key, **options)
    made.on_pause = on_pause
    return made


def push(shop: Connected, rows: Any = None, *, release: bool = False, **options: Any) -> PushReport:
    """One push; its report also when something needs a person. ShopError as it comes."""
    with open_stock_push(shop, **options) as context:
        try:
            return push_stock(context, rows, release=release)
        except PushFailedError as error:
            return error.report


def undo_run(shop: Connected, run: str, **options: Any) -> PushReport:
    with open_stock_push(shop, **options) as context:
        try:
            return undo(context, run)
        except PushFailedError as error:
            return error.report


def amounts(shop: Connected, *product_ids: int) -> list[int]:
    products = shop.shop.store.products
    return [products[key].amount for key in product_ids or sorted(products)]


def inbox(shop: Connected) -> dict[str, tuple[str, str | None]]:
    rows = shop.rows("SELECT sku, state, reason FROM fulfilment.stock_levels ORDER BY sku")
    return {sku: (state, reason) for sku, state, reason in rows}


def states(shop: Connected) -> dict[str, str]:
    return {sku: state for sku, (state, _) in inbox(shop).items()}


def requests(shop: Connected) -> Counter[str]:
    """GET products, PUT products, GET orders … since the record was cleared."""
    return Counter(
        f"{each.method} {each.path.split('/api/2.0/')[-1].split('/')[0]}"
        for each in shop.shop.requests
    )


def written(shop: Connected) -> Counter[str]:
    """How often each product was sent an amount, whatever became of it."""
    return Counter(
        each.path.rsplit("/", 1)[-1] for each in shop.shop.requests if each.method == "PUT"
    )


def push_process(shop: Connected, settle: int = 3600) -> subprocess.Popen[str]:
    """A push in a process of its own, to be killed; it starts when its input is closed."""
    code = (
        "import sys; sys.stdin.read()\n"
        "from cscart_pipelines.fulfilment.push_session import open_push\n"
        "from cscart_pipelines.fulfilment.stock.push import push_stock\n"
        "from cscart_pipelines.integrations.registry import Registry\n"
        "from cscart_pipelines.settings import read_settings\n"
        "from cscart_pipelines.warehouse.connect import Warehouse\n"
        "settings = read_settings()\n"
        "warehouse = Warehouse(settings.sqlalchemy_url())\n"
        f"with open_push('stock', warehouse, Registry(warehouse, settings), settings,"
        f" {shop.key!r}, run_id='killed') as context:\n"
        "    push_stock(context)\n"
    )
    environment = {
        **os.environ,
        "CSCART_PIPELINES_HOME": str(shop.settings.home),
        "CSCART_PIPELINES_WRITE_SETTLE_SECONDS": str(settle),
        **shop.database.settings_env,
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, env=environment, text=True
    )
