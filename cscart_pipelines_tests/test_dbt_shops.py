"""The models against an independent computation over made-up shops, all in one build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cscart_pipelines_tests.dbt_comparison import CHECKS, Built
from cscart_pipelines_tests.dbt_fixtures import (
    AS_OF,
    Database,
    Shop,
    build,
    dbt_target,
    load,
)
from cscart_pipelines_tests.dbt_oracle import Oracle
from cscart_pipelines_tests.dbt_random_shops import random_shop

__all__ = ["dbt_target"]

EMPTY = Shop("no-orders-yet", {"timezone": "Europe/Athens"})


@pytest.fixture(scope="module")
def shops() -> list[Oracle]:
    return [Oracle(random_shop(seed), AS_OF) for seed in range(40)] + [Oracle(EMPTY, AS_OF)]


@pytest.fixture(scope="module")
def built(module_database: Database, shops: list[Oracle], dbt_target: Path) -> Built:
    load(module_database, [oracle.shop for oracle in shops])
    assert "WARN=0" in build(module_database, target=dbt_target)
    return Built(module_database)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
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
    from cscart_pipelines_tests.dbt_oracle_segments import affinities, expected_members

    met = {key for oracle in shops for key, who in expected_members(oracle).items() if who}
    assert met >= set(expected_members(shops[0]))
    assert any(affinities(oracle) for oracle in shops)
