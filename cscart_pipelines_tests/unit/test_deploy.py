"""What `deploy/` promises: the schema is migrated before a service of the project starts."""

from __future__ import annotations

from typing import Any

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


def test_in_kubernetes_the_code_location_begins_with_the_migration() -> None:
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
    (code,) = values["dagster-user-deployments"]["deployments"]
    (init,) = code["initContainers"]
    image = code["image"]
    assert init["image"] == f"{image['repository']}:{image['tag']}"
    assert init["command"] == ["cscart-pipelines", "migrate"]
    assert init["envFrom"] == [{"secretRef": secret} for secret in code["envSecrets"]]
