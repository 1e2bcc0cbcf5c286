"""A run as a pod: what the launcher of the values asks Kubernetes for."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster_k8s import K8sRunLauncher

from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.support.dagster.location import PYDANTIC

pytestmark = pytest.mark.filterwarnings(PYDANTIC)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """An API server that accepts everything: its kubeconfig, and the objects that came."""
    came: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append(json.loads(body))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(
            yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "here",
                "clusters": [{"name": "here", "cluster": {"server": url}}],
                "users": [{"name": "here", "user": {}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
            })
        )  # fmt: skip
        yield kubeconfig, came
        server.shutdown()


def snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def test_a_run_is_a_job_that_kubernetes_accepts(
    api: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    kubeconfig, came = api
    values = yaml.safe_load((PROJECT_ROOT / "deploy" / "kubernetes" / "values.yaml").read_text())
    (code,) = values["dagster-user-deployments"]["deployments"]
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    # As the templates of the chart write them into the instance.
    config = {snake(name): value for name, value in given.items()}
    config["env_secrets"] = [secret["name"] for secret in given["envSecrets"]]
    config["run_k8s_config"] = {snake(k): v for k, v in given["runK8sConfig"].items()}
    config |= {
        "load_incluster_config": False, "kubeconfig_file": str(kubeconfig),
        "service_account_name": "dagster", "instance_config_map": "dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "job_image": f"{code['image']['repository']}:{code['image']['tag']}",
    }  # fmt: skip
    checked = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), config)
    assert checked.success, checked.errors
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        launcher = K8sRunLauncher(**checked.value)
        launcher.register_instance(instance)
        location = RegisteredCodeLocationOrigin("cscart_pipelines")
        pointer = ModuleCodePointer("cscart_pipelines.definitions", "defs", "/app")
        code_origin = RepositoryPythonOrigin("/app/.venv/bin/python", pointer, config["job_image"])
        run = create_run_for_test(
            instance,
            job_name="resync",
            remote_job_origin=RemoteJobOrigin(
                RemoteRepositoryOrigin(location, "__repository__"), "resync"
            ),
            job_code_origin=JobPythonOrigin("resync", code_origin),
        )
        launcher.launch_run(LaunchRunContext(run, workspace=None))
    (job,) = came
    kubernetes_validate.validate(job, "1.31", strict=True)
    spec = job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["backoffLimit"] == 0, "Dagster begins a run again, not Kubernetes"
    assert spec["ttlSecondsAfterFinished"] == 3600
    assert pod["terminationGracePeriodSeconds"] == 60
    assert container["image"] == config["job_image"]
    assert {"secretRef": {"name": "cscart-pipelines", "optional": False}} in [
        {"secretRef": {"optional": False, **one["secretRef"]}} for one in container["envFrom"]
    ]
    assert container["resources"] == given["resources"]
