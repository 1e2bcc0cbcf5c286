"""What `deploy/` promises: migrated before a service starts, and manifests that hold."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import yaml

from cscart_pipelines_tests import PROJECT_ROOT

DEPLOY = PROJECT_ROOT / "deploy"


def test_every_service_of_the_compose_file_waits_for_the_migration() -> None:
    services = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())["services"]

    def waits_for(name: str) -> dict[str, str]:
        needs: dict[str, Any] = services[name].get("depends_on", {})
        waited = {one: need["condition"] for one, need in needs.items()}
        for one in needs:
            waited |= waits_for(one)
        return waited

    assert services["migrate"]["command"] == ["cscart-pipelines", "migrate"]
    assert waits_for("migrate") == {"postgres": "service_healthy"}
    others = services.keys() - {"postgres", "migrate"}
    assert others >= {"code", "webserver", "daemon", "collector"}
    for name in others:
        assert waits_for(name)["migrate"] == "service_completed_successfully", name


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
    return found


def test_in_kubernetes_a_hook_migrates_before_anything_else_starts() -> None:
    (code,) = values()["dagster-user-deployments"]["deployments"]
    (job,) = [one for one in values()["extraManifests"] if one["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{code['image']['repository']}:{code['image']['tag']}"
    assert container["args"] == ["cscart-pipelines", "migrate"]
    assert container["envFrom"] == [{"secretRef": secret} for secret in code["envSecrets"]]


def test_the_manifests_are_what_kubernetes_expects() -> None:
    manifests = values()["extraManifests"]
    assert {one["kind"] for one in manifests} == {"Job", "Service", "StatefulSet"}
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_celery_workers_take_every_queue_and_stop_in_order() -> None:
    path = DEPLOY / "celery" / "docker-compose.yaml"
    services = yaml.safe_load(path.read_text())["services"]
    assert services.keys() == {"redis", "code", "webserver", "daemon", "worker"}
    for name in ("code", "webserver", "daemon", "worker"):
        assert "CSCART_PIPELINES_CELERY_BROKER" in services[name]["environment"]
        assert services[name]["configs"][0]["target"] == "/var/lib/dagster/dagster.yaml"
    command = services["worker"]["command"]
    queues = command[command.index("--queues") + 1].split(",")
    module = (PROJECT_ROOT / "cscart_pipelines" / "celery_runs.py").read_text()
    assert set(queues) == set(re.findall(r': "([a-z-]+)",', module)) | {"dagster"}
