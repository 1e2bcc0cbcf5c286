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
    ControlRoom,
    control_room,
    location,
)
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

pytestmark = [pytest.mark.filterwarnings(PYDANTIC), pytest.mark.begun_first]
WAITING_FOR_BUILD = f"SELECT count(*) FROM {ADVISORY} WHERE NOT granted"


@dataclass
class Desk:
    """Where foreground runs happen: a database, a Dagster home, shops that are connected."""

    room: ControlRoom
    home: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error::DeprecationWarning:cscart_pipelines",
             "-m", "cscart_pipelines.defs.launcher", *arguments],
            env={**os.environ, **self.room.environment, "DAGSTER_HOME": str(self.home),
                 "DAGSTER_DISABLE_TELEMETRY": "yes"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """In this process: the exit code, and what was told."""
        code, out = launch(arguments, {**self.room.environment, "DAGSTER_HOME": str(self.home)})
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
def desk(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("dagster")
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    with control_room(module_database, tmp_path_factory.mktemp("home")) as room:
        yield Desk(room, home)


def test_a_synchronisation_and_a_build(desk: Desk) -> None:
    """The one build of this room: it waits for another to end, leaves its record and its checks."""
    with small_shop(orders=12) as shop:
        desk.room.connect("shop", shop)
        with desk.room.database.connect() as other_build:
            assert advisory.try_lock_session(other_build, Lock.LIST_BUILD)
            process = desk.start("--resync", "shop", "--build")
            desk.until(process, lambda: desk.room.rows(WAITING_FOR_BUILD) == [(1,)])
            synced = "SELECT state, id FROM registry.sync_runs WHERE integration = 'shop'"
            ((state, number),) = desk.room.rows(synced)
            assert state == "succeeded"
            assert desk.room.rows("SELECT count(*) FROM analytics.segments") == [(0,)]
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err[-3000:]
    resync, build = desk.runs("resync"), desk.runs("build_lists")
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
    assert desk.room.rows("SELECT count(*) > 10 FROM analytics.segments") == [(True,)]
    assert desk.room.rows("SELECT run_id, covers_sync FROM registry.list_builds") == [
        (build[0].run_id, number)
    ]
    # One step, many assets; the tests of dbt are checks of assets.
    with dg.DagsterInstance.from_config(str(desk.home)) as instance:
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
    password = desk.room.database.dbt_env["CSCART_PIPELINES_DBT_PASSWORD"]
    texts = "\n".join([err, out, *(entry.user_message for entry in logs)])
    assert not password or password not in texts
    assert "DeprecationWarning" not in err
    assert "SupersessionWarning" not in err
    assert "BetaWarning" not in err
    assert "PreviewWarning" not in err


def test_a_failed_synchronisation_exits_with_1_and_builds_nothing(desk: Desk) -> None:
    builds = desk.room.rows("SELECT count(*) FROM registry.list_builds")
    with small_shop(orders=1) as shop:
        desk.room.connect("broken", shop, api_key="x" * 32)
        code, said = desk.run("--resync", "broken", "--build")
    assert code == 1
    assert said[-1]["job"] == "resync"
    assert said[-1]["ok"] is False
    assert desk.room.rows("SELECT count(*) FROM registry.list_builds") == builds


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_properly(kind: signal.Signals, desk: Desk) -> None:
    key = f"slow-{kind.name.lower()}"
    reached, go_on = threading.Event(), threading.Event()
    with small_shop(orders=30) as shop:
        desk.room.connect(key, shop)

        @shop.before_request
        def wait(request: Any) -> None:
            if "orders" in request.path:
                reached.set()
                go_on.wait(400)

        process = desk.start("--resync", key, "--build")
        desk.until(process, reached.is_set)
        process.send_signal(kind)
        out, err = process.communicate(timeout=300)  # the shop has not answered yet
        go_on.set()
    assert process.returncode != 0, err[-3000:]
    assert '"build_lists"' not in out
    ended = desk.runs("resync")[0]
    assert ended.status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE)
    ((status, reason),) = desk.room.rows(
        "SELECT status, status_reason FROM registry.integrations WHERE integration = %s", key
    )
    assert status == "failed"
    assert reason.endswith("the run was cancelled; what was loaded stays")
    assert desk.room.rows("SELECT count(*) FROM registry.sync_runs WHERE state = 'running'") == [
        (0,)
    ]
