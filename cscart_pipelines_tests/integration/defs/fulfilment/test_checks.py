"""Each check of fulfilment is green on good data, and red and named on what we break."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import dagster as dg
import pytest

from cscart_pipelines.defs.fulfilment.checks import CHECKS, results
from cscart_pipelines.fulfilment.feeds.drop_folder import folder
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, open_deployment
from cscart_pipelines_tests.support.fulfilment.push_runs import (
    order_numbers,
    pushable_shop,
    run,
    ship,
)

pytestmark = pytest.mark.filterwarnings(PYDANTIC)
TABLES = ("shipments", "stock_levels", "feeds", "journal")


@pytest.fixture(scope="module")
def pushed(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A shop with a shipment of ours, and synchronised since; another that is disabled."""
    with open_deployment(module_database, tmp_path_factory.mktemp("home")) as deployment:
        with (
            pushable_shop(deployment, "shop", countries=["GR"]) as shop,
            pushable_shop(deployment, "gone"),
        ):
            ship(deployment, "shop", order_numbers(shop)[0], "T-1")
            assert run(deployment, "push_tracking").success
            assert deployment.resync("shop").success
        deployment.execute(
            "UPDATE registry.integrations SET status = 'disabled' WHERE integration = 'gone'"
        )
        yield deployment


@pytest.fixture(autouse=True)
def _put_back(pushed: Deployment) -> Iterator[None]:
    kept = [*(f"fulfilment.{name}" for name in TABLES), "cscart.shipments", "cscart.orders",
            "registry.integrations"]  # fmt: skip
    with pushed.database.connect() as connection:
        for name in kept:
            copy = name.replace(".", "_")
            connection.execute(f"CREATE TABLE kept_{copy} AS TABLE {name}".encode())
    yield
    for name in kept:
        copy = name.replace(".", "_")
        pushed.execute(f"DELETE FROM {name}")
        pushed.execute(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE TABLE kept_{copy}")
        pushed.execute(f"DROP TABLE kept_{copy}")


def red(deployment: Deployment) -> dict[str, str]:
    """Name and findings of the checks that do not pass."""
    with deployment.app() as app:
        found = list(results(app, [check.spec.key for check in CHECKS]))
    assert len(found) == len(CHECKS)
    return {
        str(one.check_name): str(one.metadata["which"].value) for one in found if not one.passed
    }


def test_all_are_green_on_good_data(pushed: Deployment) -> None:
    assert red(pushed) == {}


ENTRY = (
    "INSERT INTO fulfilment.journal (integration, kind, target, state, sent_at)"
    " VALUES ('{key}', 'shipment', '1 T9', '{state}', now() - interval '{age}')"
)
ROW = (
    "INSERT INTO fulfilment.shipments (integration, order_number, tracking_number, received_at,"
    " state, reason, settled_at) VALUES ('{key}', '1', 'T-9', now() - interval '{age}', '{state}',"
    " 'no such order', now())"
)
LEVEL = (
    "INSERT INTO fulfilment.stock_levels (integration, sku, quantity, received_at, state, reason)"
    " VALUES ('{key}', 'X', 1, now() - interval '{age}', '{state}', 'too many zeros')"
)
FEED = (
    "INSERT INTO fulfilment.feeds (integration, kind, source, rows_taken, rows_known,"
    " rows_refused, state, reason, received_at) VALUES ('{key}', 'stock', 'levels.csv', 0, 0, 0,"
    " '{state}', 'older than the last one', now() - interval '{age}')"
)


@pytest.mark.parametrize(
    ("what", "state", "age", "check", "said"),
    [
        (ENTRY, "ambiguous", "11 minutes", "nothing_ambiguous", "shipment 1 T9: ambiguous since"),
        (ENTRY, "applying", "11 minutes", "nothing_ambiguous", "shipment 1 T9: applying since"),
        (ENTRY, "ambiguous", "9 minutes", None, ""),
        (ROW, "waiting", "31 minutes", "nothing_waits", "1 shipments since"),
        (ROW, "taken", "31 minutes", "nothing_waits", "1 shipments since"),
        (ROW, "waiting", "29 minutes", None, ""),
        (ROW, "refused", "2 days", "nothing_refused", "1 shipments: no such order"),
        (LEVEL, "waiting", "100 minutes", "nothing_waits", "1 stock levels beyond their time"),
        (LEVEL, "waiting", "29 minutes", None, ""),
        (LEVEL, "held", "1 minute", "nothing_held", "1 stock levels: too many zeros"),
        (FEED, "held", "1 minute", "nothing_held", "levels.csv: older than the last one"),
        (FEED, "refused", "1 hour", "nothing_refused", "levels.csv: older than the last one"),
        (FEED, "refused", "2 days", None, ""),
    ],
)
def test_red_and_named(
    what: str, state: str, age: str, check: str | None, said: str, pushed: Deployment
) -> None:
    pushed.execute(what.format(key="shop", state=state, age=age))
    pushed.execute(what.format(key="gone", state=state, age=age))
    found = red(pushed)
    assert list(found) == ([check] if check else [])
    assert "gone" not in "".join(found.values())
    if check:
        assert f"| shop | {said}" in found[check]


def test_what_is_switched_off_may_wait(pushed: Deployment) -> None:
    pushed.execute(ROW.format(key="shop", state="waiting", age="3 hours"))
    pushed.execute(LEVEL.format(key="shop", state="waiting", age="3 hours"))
    pushed.execute(
        "UPDATE registry.integrations SET update_stock = false, update_tracking_number = false,"
        " update_tracking_url = false"
    )
    assert red(pushed) == {}


def test_a_shipment_that_is_gone_from_the_shop(pushed: Deployment) -> None:
    pushed.execute("UPDATE cscart.shipments SET deleted_at = now() WHERE integration = 'shop'")
    assert "is not in the shop any more" in red(pushed)["journal_against_shop"]
    # With its whole order it may go.
    pushed.execute("UPDATE cscart.orders SET deleted_at = now()")
    assert red(pushed) == {}


def test_a_shipment_that_no_synchronisation_has_looked_for_yet(pushed: Deployment) -> None:
    pushed.execute("DELETE FROM cscart.shipments")
    pushed.execute("UPDATE fulfilment.journal SET finished_at = now()")
    assert red(pushed) == {}


def test_a_later_feed_takes_the_place_of_a_held_one(pushed: Deployment) -> None:
    pushed.execute(FEED.format(key="shop", state="held", age="2 hours"))
    pushed.execute(FEED.format(key="shop", state="taken", age="1 hour"))
    assert red(pushed) == {}


def test_words_of_filters_that_mean_nothing(pushed: Deployment) -> None:
    pushed.execute("UPDATE registry.integrations SET countries = '{Greece,Atlantis}'")
    found = red(pushed)
    assert list(found) == ["filters_match"]
    assert "'Atlantis'" in found["filters_match"]
    assert "Greece" not in found["filters_match"]


def test_a_status_that_shipped_orders_cannot_get(pushed: Deployment) -> None:
    pushed.execute(
        "UPDATE registry.integrations SET shipped_status = 'Beamed',"
        " partially_shipped_status = 'Complete'"
    )
    found = red(pushed)
    assert list(found) == ["filters_match"]
    assert "'Beamed' is no country or status of this shop" in found["filters_match"]
    assert "Complete" not in found["filters_match"]
    # Where the list of statuses cannot be read, nobody knows.
    pushed.execute("UPDATE cscart.statuses SET deleted_at = now()")
    assert red(pushed) == {}


def test_a_file_that_nobody_takes(pushed: Deployment) -> None:
    with pushed.app() as app:
        path = folder(app.settings, "shop") / "shipments" / "old.csv"
    path.write_text("order_number,tracking_number\n")
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    try:
        assert red(pushed) == {}  # its content is old, but it was put there just now
    finally:
        path.unlink()


def test_what_people_corrected_is_a_warning_at_most() -> None:
    warned = {check.name for check in CHECKS if check.severity is dg.AssetCheckSeverity.WARN}
    assert warned == {"filters_match", "nothing_refused"}
