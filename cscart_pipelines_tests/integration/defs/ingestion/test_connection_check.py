"""The connection check: shops that refuse for good fail at once, those in passing trouble not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cscart_pipelines.defs.ingestion.connection_check import check_connections
from cscart_pipelines.integrations.lifecycle import Action, Status, rejection_reason
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.secrets import KEY_FILE
from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.dagster.location import (
    PYDANTIC,
    Deployment,
    deployment,
    location,
)
from cscart_pipelines_tests.support.shop.backoff import no_backoff as no_backoff

pytestmark = [pytest.mark.filterwarnings(PYDANTIC), pytest.mark.usefixtures("no_backoff")]
__all__ = ["deployment"]


def _enable(deployment: Deployment, *keys: str) -> None:
    with deployment.database.connect() as connection:
        for status in ("syncing", "enabled"):
            connection.execute(
                "UPDATE registry.integrations SET status = %s, first_synced_at = now()"
                " WHERE integration = ANY(%s)",
                [status, list(keys)],
            )


def _look(deployment: Deployment) -> bool:
    job = location().resolve_job_def(check_connections.name)
    result = job.execute_in_process(instance=deployment.instance, raise_on_error=False)
    return bool(result.success)


def test_a_replaced_key_fails_the_integration_before_the_next_hour(
    deployment: Deployment,
) -> None:
    with SandboxShop() as well, SandboxShop() as refusing, SandboxShop() as crashing:
        deployment.connect("well", well)
        deployment.connect("refusing", refusing)
        deployment.connect("crashing", crashing)
        _enable(deployment, "well", "refusing", "crashing")
        refusing.api_user.api_key = "another0key0another0key0another0"
        crashing.faults.add("server_error", count=None)
        assert not _look(deployment), "the run fails, and so alerts"
    with deployment.app() as app:
        found = {one.key: one for one in app.registry.all()}
    assert {key: one.status for key, one in found.items()} == {
        "well": Status.ENABLED,
        "refusing": Status.FAILED,
        "crashing": Status.ENABLED,
    }
    assert found["refusing"].failure_permanent
    assert (found["refusing"].status_reason or "").startswith("connection check: ")
    assert "401" in (found["refusing"].status_reason or "")


def test_a_key_that_is_lost_or_not_the_tested_one_is_told_and_mends_by_itself(
    deployment: Deployment, tmp_path: Path
) -> None:
    """No schedule reads such a shop, and no other run would fail for it."""
    reference = tmp_path / "key"
    with SandboxShop() as shop, SandboxShop() as other:
        reference.write_text(other.api_key)
        deployment.connect("sealed", shop)
        deployment.connect("referred", other)
        with deployment.app() as app:
            service = IntegrationService(app.warehouse, app.registry, app.settings)
            service.edit("referred", {"api_key_reference": f"file:{reference}"})
            key_file = app.settings.home / KEY_FILE
        _enable(deployment, "sealed", "referred")
        lost = key_file.rename(tmp_path / "lost")
        assert not _look(deployment), "the run fails, and so alerts"
        assert not key_file.exists()
        found = _registered(deployment)
        assert {one.status for one in found.values()} == {Status.FAILED}
        assert "secret.key is missing; restore" in (found["sealed"].status_reason or "")
        assert "use test first" in (found["referred"].status_reason or "")
        lost.rename(key_file)
        with deployment.app() as app:
            due = {one.key: standing for one, standing in app.registry.standings()}
        assert {rejection_reason(Action.SCHEDULED, one) for one in due.values()} == {None}
        _enable(deployment, "referred")
        reference.write_text("another0key0another0key0another0")
        assert not _look(deployment)
        assert "use test first" in (_registered(deployment)["referred"].status_reason or "")


def _registered(deployment: Deployment) -> dict[str, Integration]:
    with deployment.app() as app:
        return {one.key: one for one in app.registry.all()}


def test_nothing_wrong_is_a_green_run_of_one_request_a_shop(deployment: Deployment) -> None:
    with SandboxShop() as shop:
        deployment.connect("well", shop)
        _enable(deployment, "well")
        before = len(shop.requests)
        assert _look(deployment)
        assert len(shop.requests) == before + 1


def test_a_shop_that_is_being_synchronised_is_left_to_its_run(deployment: Deployment) -> None:
    with SandboxShop() as shop, deployment.database.connect() as syncing:
        deployment.connect("busy", shop)
        _enable(deployment, "busy")
        shop.api_user.api_key = "another0key0another0key0another0"
        assert advisory.try_lock_session(syncing, Lock.SYNC, "busy")
        _look(deployment)
        with deployment.app() as app:
            assert app.registry.get("busy").status is Status.ENABLED
