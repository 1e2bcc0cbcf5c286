"""What `doctor` hears of Dagster: the daemon, runs whose process is gone, checks that fail."""

from __future__ import annotations

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs import instance_report
from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines_tests.support.shop.commands import Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation


def test_a_run_whose_process_is_gone_is_told_and_left_as_it_is(installation: Installation) -> None:
    app = AppContext(installation.settings, installation.database.warehouse, installation.registry)
    with dg.DagsterInstance.ephemeral() as instance:
        assert instance_report._runs(instance, app)["ok"]
        dead = create_run_for_test(
            instance, job_name="resync", status=dg.DagsterRunStatus.STARTED
        ).run_id
        instance.add_run_tags(dead, {orphaned_runs.TAG: dead})  # and no session holds its lock
        said = instance_report._runs(instance, app)
        assert (said["ok"], dead[:8] in said["says"]) == (False, True)
        assert not instance_report._runs(instance, app)["ok"]


def test_a_daemon_that_does_not_run_is_told_and_no_fault() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        said = instance_report._daemon(instance)
        assert (said["ok"], "`up`" in said["says"]) == (True, True)


def test_checks_that_fail_are_told_with_what_they_found(installation: Installation) -> None:
    app = AppContext(installation.settings, installation.database.warehouse, installation.registry)
    installation.save()
    installation.put("shop", "enabled")
    assert [one for one in instance_report._checks(app) if not one["ok"]] == []
    for number in (1, 2):
        installation.execute(
            "INSERT INTO cscart.rejects (integration, entity, entity_key, reason)"
            " VALUES ('shop', 'orders', %s, 'quantity: no number')", str(number),
        )  # fmt: skip
        installation.execute(
            "INSERT INTO fulfilment.stock_levels (integration, sku, quantity, as_of, state, reason)"
            " VALUES ('shop', %s, 1, now(), 'held', 'too many zeros')", str(number),
        )  # fmt: skip
    found = {one["check"]: one for one in instance_report._checks(app)}
    assert found["readable"]["ok"]
    assert found["readable"]["says"] == "shop: 1: quantity: no number (and 1 more)"
    assert not found["nothing_held"]["ok"]
    assert "2 stock levels: too many zeros" in found["nothing_held"]["says"]
