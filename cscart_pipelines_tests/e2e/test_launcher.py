"""Runs in the foreground, as the command line starts them: a process, exit codes, lines of JSON."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import TagType, get_tag_type

from cscart_pipelines.defs.shared.orphaned_runs import TAG
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.launching import launch
from cscart_pipelines_tests.support.dagster.location import (
    PROJECT,
    PYDANTIC,
    Deployment,
    location,
    open_deployment,
)
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

pytestmark = [pytest.mark.filterwarnings(PYDANTIC), pytest.mark.begun_first]
WAITING_FOR_BUILD = f"SELECT count(*) FROM {ADVISORY} WHERE NOT granted"


@dataclass
class Launcher:
    """Where foreground runs happen: a database, a Dagster home, shops that are connected."""

    deployment: Deployment
    home: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error::DeprecationWarning:cscart_pipelines",
             "-m", "cscart_pipelines.defs.launcher", *arguments],
            env={**os.environ, **self.deployment.environment, "DAGSTER_HOME": str(self.home),
                 "DAGSTER_DISABLE_TELEMETRY": "yes"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """In this process: the exit code, and what was told."""
        code, out = launch(
            arguments, {**self.deployment.environment, "DAGSTER_HOME": str(self.home)}
        )
        return code, [json.loads(line) for line in out.splitlines()]

    def runs(self, job: str) -> list[dg.DagsterRun]:
        """Newest first."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return list(instance.get_runs(filters=dg.RunsFilter(job_name=job)))

    def until(self, process: subprocess.Popen[str], done: Callable[[], bool]) -> None:
        """Waits for something that the process does; it must not end before."""
        while not done():
            assert process.poll() is None, process.communicate()[1][-3000:]
            time.sleep(0.05)


@pytest.fixture(scope="module")
def launcher(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launcher]:
    home = tmp_path_factory.mktemp("dagster")
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    with open_deployment(module_database, tmp_path_factory.mktemp("home")) as deployment:
        yield Launcher(deployment, home)


def test_a_synchronisation_and_a_build(launcher: Launcher) -> None:
    """The one build of this module: it waits for another to end, leaves its record and checks."""
    with small_shop(orders=12) as shop:
        launcher.deployment.connect("shop", shop)
        with launcher.deployment.database.connect() as other_build:
            assert advisory.try_lock_session(other_build, Lock.LIST_BUILD)
            process = launcher.start("--resync", "shop", "--build")
            launcher.until(process, lambda: launcher.deployment.rows(WAITING_FOR_BUILD) == [(1,)])
            synced = "SELECT state, id FROM registry.sync_runs WHERE integration = 'shop'"
            ((state, number),) = launcher.deployment.rows(synced)
            assert state == "succeeded"
            assert launcher.deployment.rows("SELECT count(*) FROM analytics.segments") == [(0,)]
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err[-3000:]
    resync, build = launcher.runs("resync"), launcher.runs("build_lists")
    assert [json.loads(line) for line in out.splitlines() if line.startswith("{")] == [
        {"event": "loading"},
        {"event": "running", "job": "resync", "run_id": resync[0].run_id},
        {"event": "finished", "job": "resync", "run_id": resync[0].run_id, "ok": True},
        {"event": "running", "job": "build_lists", "run_id": build[0].run_id},
        {"event": "waiting", "wait": "another build of the same lists is running", "at_most": None},
        {"event": "waiting", "wait": None, "at_most": None},
        {"event": "finished", "job": "build_lists", "run_id": build[0].run_id, "ok": True},
    ]
    # Shown in the UI as a run of that partition, started by the command line.
    assert resync[0].status is dg.DagsterRunStatus.SUCCESS
    assert resync[0].tags["dagster/partition"] == "shop"
    assert resync[0].tags["cscart/started_by"] == "command line"
    assert TAG in resync[0].tags
    # The list of runs in the UI shows people what they may want to know, and no more.
    shown = [tag for tag in resync[0].tags if get_tag_type(tag) is TagType.USER_PROVIDED]
    assert shown == ["cscart/started_by"]
    # The lists are there, and the record of the build says what is in them.
    assert launcher.deployment.rows("SELECT count(*) > 10 FROM analytics.segments") == [(True,)]
    assert launcher.deployment.rows("SELECT run_id, covers_sync FROM registry.list_builds") == [
        (build[0].run_id, number)
    ]
    # One step, many assets; the tests of dbt are checks of assets.
    with dg.DagsterInstance.from_config(str(launcher.home)) as instance:
        kinds = dg.DagsterEventType
        logs = instance.all_logs(build[0].run_id)
        events = [entry.dagster_event for entry in logs if entry.dagster_event]
        assert {e.step_key for e in events if e.event_type is kinds.STEP_START} == {"build_models"}
        made = {
            e.asset_key.to_user_string()
            for e in events
            if e.event_type is kinds.ASSET_MATERIALIZATION and e.asset_key
        }
        checked = [e for e in events if e.event_type is kinds.ASSET_CHECK_EVALUATION]
    graph = location().get_repository_def().asset_graph
    assert made == {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if key.path[0] in ("staging", "intermediate", "analytics")
        or not graph.get(key).is_executable  # what a build has read
    }
    assert checked, "cheap tests run with each build"
    assert all(e.asset_check_evaluation_data.passed for e in checked)
    # Nobody is told the password of the warehouse.
    password = launcher.deployment.database.dbt_env["CSCART_PIPELINES_DBT_PASSWORD"]
    texts = "\n".join([err, out, *(entry.user_message for entry in logs)])
    assert not password or password not in texts
    assert "DeprecationWarning" not in err
    assert "SupersessionWarning" not in err
    assert "BetaWarning" not in err
    assert "PreviewWarning" not in err


def test_a_failed_synchronisation_exits_with_1_and_builds_nothing(launcher: Launcher) -> None:
    builds = launcher.deployment.rows("SELECT count(*) FROM registry.list_builds")
    with small_shop(orders=1) as shop:
        launcher.deployment.connect("broken", shop, api_key="x" * 32)
        code, said = launcher.run("--resync", "broken", "--build")
    assert code == 1
    assert said[-1]["job"] == "resync"
    assert said[-1]["ok"] is False
    assert launcher.deployment.rows("SELECT count(*) FROM registry.list_builds") == builds


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_properly(kind: signal.Signals, launcher: Launcher) -> None:
    key = f"slow-{kind.name.lower()}"
    reached, go_on = threading.Event(), threading.Event()
    with small_shop(orders=30) as shop:
        launcher.deployment.connect(key, shop)

        @shop.before_request
        def wait(request: Any) -> None:
            if "orders" in request.path:
                reached.set()
                go_on.wait(400)

        process = launcher.start("--resync", key, "--build")
        launcher.until(process, reached.is_set)
        process.send_signal(kind)
        out, err = process.communicate(timeout=300)  # the shop has not answered yet
        go_on.set()
    assert process.returncode != 0, err[-3000:]
    assert '"build_lists"' not in out
    ended = launcher.runs("resync")[0]
    assert ended.status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE)
    ((status, reason),) = launcher.deployment.rows(
        "SELECT status, status_reason FROM registry.integrations WHERE integration = %s", key
    )
    assert status == "failed"
    assert reason.endswith("the run was cancelled; what was loaded stays")
    assert launcher.deployment.rows(
        "SELECT count(*) FROM registry.sync_runs WHERE state = 'running'"
    ) == [(0,)]
