"""Each check of the raw tables is green on good data, and red and named on what we break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from cscart_pipelines.defs.ingestion.checks import SPECS, results
from cscart_pipelines.sync.data_checks import CHECKS
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, open_deployment
from cscart_pipelines_tests.support.shop.sandboxes import small_shop
from cscart_pipelines_tests.support.shop.syncs import fill_shop

pytestmark = pytest.mark.filterwarnings(PYDANTIC)
KEYS = [spec.key for spec in SPECS]


@pytest.fixture(scope="module")
def loaded(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Two shops, just synchronised. Tests put back what they break."""
    with (
        open_deployment(module_database, tmp_path_factory.mktemp("home")) as deployment,
        small_shop(orders=0) as shop,
    ):
        fill_shop(shop.store, customers=40, orders=14)
        deployment.connect("good", shop)
        deployment.connect("other", shop)
        assert deployment.resync("good", "other").success
        yield deployment


def verdicts(deployment: Deployment) -> dict[str, dg.AssetCheckResult]:
    with deployment.app() as app:
        return {
            f"{one.asset_key.path[-1] if one.asset_key else ''}.{one.check_name}": one
            for one in results(app, KEYS)
        }


def red(deployment: Deployment) -> set[str]:
    return {name for name, one in verdicts(deployment).items() if not one.passed}


BREAKS: dict[str, tuple[str, str]] = {
    "customers.parity_with_shop": (
        "UPDATE registry.sync_runs SET stats ="
        " jsonb_set(stats, '{entities,customers,shop_total}', '999') WHERE integration = 'other'",
        "shop 999, warehouse 40",
    ),
    "orders.parity_with_shop": (
        "UPDATE registry.sync_runs SET stats ="
        " jsonb_set(stats, '{entities,orders,shop_total}', '1') WHERE integration = 'other'",
        "shop 1, warehouse ",
    ),
    "customers.volume": (
        "UPDATE cscart.customers SET deleted_at = now()"
        " WHERE integration = 'other' AND user_id % 3 > 0",
        " of 40 were deleted within a day",
    ),
    "orders.volume": (
        "INSERT INTO cscart.orders (integration, order_id, is_parent_order, status, total,"
        " ordered_at, has_details, content_hash, deleted_at) SELECT 'other', 90000 + n, false, 'O',"
        " 1, now(), false, '', now() FROM generate_series(1, 21) AS n",
        "21 of 3",
    ),
    "customers.readable": (
        "INSERT INTO cscart.rejects (integration, entity, entity_key, reason)"
        " VALUES ('other', 'customers', '7', 'email: a | b')",
        "7: email: a \\| b",
    ),
    "orders.readable": (
        "INSERT INTO cscart.rejects (integration, entity, entity_key, reason)"
        " VALUES ('other', 'orders', '8', 'total: expected a number')",
        "8: total: expected a number",
    ),
    "products.readable": (
        "INSERT INTO cscart.rejects (integration, entity, entity_key, reason)"
        " VALUES ('other', 'products', '9', 'price: expected a number')",
        "9: price: expected a number",
    ),
    "customers.unique_email": (
        "UPDATE cscart.customers SET email = ' SAME@example.com' WHERE integration = 'other'"
        " AND user_id IN (SELECT user_id FROM cscart.customers ORDER BY user_id LIMIT 4)",
        "accounts share an address",
    ),
    "orders.lines_have_orders": (
        "INSERT INTO cscart.order_lines (integration, order_id, item_id, quantity, price)"
        " VALUES ('other', 424242, '1', 1, 1)",
        "order 424242",
    ),
    "orders.known_statuses": (
        "UPDATE cscart.orders SET status = 'Q' WHERE integration = 'other'",
        "status Q, ",
    ),
}


def test_every_check_is_broken_once_below() -> None:
    assert set(BREAKS) == {f"{check.entity}.{check.name}" for check in CHECKS}


def test_good_data_is_green(loaded: Deployment) -> None:
    assert red(loaded) == set()
    assert len(verdicts(loaded)) == len(CHECKS)


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_what_is_broken_is_red_and_named(name: str, loaded: Deployment) -> None:
    statement, finding = BREAKS[name]
    with broken(loaded, statement):
        found = verdicts(loaded)
        assert {one for one, verdict in found.items() if not verdict.passed} == {name}
        metadata: Any = found[name].metadata
        assert metadata["integrations"].value == "other"
        assert metadata["findings"].value >= 1
        assert "| other | " in metadata["which"].value
        assert finding in metadata["which"].value


@pytest.mark.parametrize("name", ["orders.lines_have_orders", "customers.readable"])
def test_shops_that_nobody_serves_are_not_judged(name: str, loaded: Deployment) -> None:
    with broken(
        loaded,
        BREAKS[name][0],
        "UPDATE registry.integrations SET status = 'disabled' WHERE integration = 'other'",
    ):
        assert red(loaded) == set()


def test_many_findings_are_counted_and_some_shown(loaded: Deployment) -> None:
    with broken(
        loaded,
        "INSERT INTO cscart.order_lines (integration, order_id, item_id, quantity, price)"
        " SELECT 'other', 424242 + n, '1', 1, 1 FROM generate_series(1, 300) AS n",
    ):
        metadata: Any = verdicts(loaded)["orders.lines_have_orders"].metadata
    assert metadata["findings"].value == 300
    assert metadata["which"].value.count("\n| other ") == 50


def test_a_row_set_aside_is_no_loss(loaded: Deployment) -> None:
    """It is missing from the tables, and the shop counts it."""
    with broken(
        loaded,
        "UPDATE registry.sync_runs SET stats = jsonb_set(stats, '{entities,customers,shop_total}',"
        " to_jsonb((stats #>> '{entities,customers,shop_total}')::int + 1))",
        "INSERT INTO cscart.rejects (integration, entity, entity_key, reason)"
        " SELECT integration, 'customers', '7', 'email' FROM registry.integrations",
    ):
        assert red(loaded) == {"customers.readable"}


def test_errors_are_those_that_mean_lost_data() -> None:
    errors = {check.name for check in CHECKS if not check.warning}
    assert errors == {"parity_with_shop", "lines_have_orders"}


class broken:  # noqa: N801  (reads as a statement)
    """The database with something wrong in it, put right at the end."""

    TABLES = (
        "cscart.customers",
        "cscart.orders",
        "cscart.order_lines",
        "cscart.rejects",
        "registry.sync_runs",
        "registry.integrations",
    )

    def __init__(self, deployment: Deployment, *statements: str) -> None:
        self._room = deployment
        self._statements = statements

    def __enter__(self) -> None:
        for table in self.TABLES:
            self._room.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")
        for statement in self._statements:
            self._room.execute(statement)

    def __exit__(self, *error: object) -> None:
        for table in self.TABLES:
            self._room.execute(f"DELETE FROM {table}")
            self._room.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
            self._room.execute(f"DROP TABLE {table}_before")
