"""The models against an independent computation over made-up shops, all in one build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cscart_pipelines_tests.support.dbt.builds import AS_OF, Database, Shop, build, dbt_target, load
from cscart_pipelines_tests.support.dbt.comparison import CHECKS, Built
from cscart_pipelines_tests.support.dbt.comparison_onsite import ONSITE_CHECKS
from cscart_pipelines_tests.support.dbt.oracle import Oracle
from cscart_pipelines_tests.support.dbt.oracle_onsite import visits_of
from cscart_pipelines_tests.support.dbt.random_shops import random_shop
from cscart_pipelines_tests.support.dbt.random_visits import add_visits

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

EMPTY = Shop("no-orders-yet", {"timezone": "Europe/Athens"})


@pytest.fixture(scope="module")
def shops() -> list[Oracle]:
    random = [add_visits(random_shop(seed), seed) for seed in range(41)]
    return [Oracle(shop, AS_OF) for shop in [*random, EMPTY]]


@pytest.fixture(scope="module")
def built(module_database: Database, shops: list[Oracle], dbt_target: Path) -> Built:
    load(module_database, [oracle.shop for oracle in shops])
    assert "WARN=0" in build(module_database, target=dbt_target)
    return Built(module_database)


@pytest.mark.parametrize("check", [*CHECKS, *ONSITE_CHECKS], ids=lambda check: check.__name__)
def test_the_models_agree_with_pandas(
    check: Callable[[Built, Oracle], None], built: Built, shops: list[Oracle]
) -> None:
    for oracle in shops:
        check(built, oracle)


def test_the_made_up_shops_are_hard_enough(shops: list[Oracle]) -> None:
    """Each of these must occur, or the comparison says nothing about it."""
    people = [person for oracle in shops for person in oracle.subscribers.values()]
    assert any(person["deleted"] for person in people)
    assert any(person["customer_id"] is None for person in people)
    assert any(not person["email_subscribed"] for person in people)
    met = {identity[:1] for oracle in shops for identity in oracle.live}
    assert met >= {"+", "h"}  # a mobile, and an address with a fault
    from cscart_pipelines_tests.support.dbt.oracle_segments import affinities, expected_members

    met = {key for oracle in shops for key, who in expected_members(oracle).items() if who}
    assert met >= set(expected_members(shops[0]))
    assert any(affinities(oracle) for oracle in shops)


def test_the_made_up_visits_are_hard_enough(shops: list[Oracle]) -> None:
    visits = [visits_of(oracle) for oracle in shops]
    sessions = [session for one in visits for session in one.sessions.values()]
    assert any(session["revenue"] for session in sessions)
    assert any(session["purchases"] and not session["revenue"] for session in sessions)
    assert {session["identity"] is None for session in sessions} == {True, False}
    purchases = [purchase for one in visits for purchase in one.purchases]
    assert {len(purchase.orders) for purchase in purchases} >= {0, 1, 2}
    assert {in_catalogue for one in visits for _, _, in_catalogue in one.funnel} == {True, False}
    assert any(
        len({e.identity for e in events if e.identity}) > 1
        for one in visits
        for events in one.events.values()
    )
    assert any(not oracle.shop.events for oracle in shops)
