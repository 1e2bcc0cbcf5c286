"""An instance as `make up` runs it: what answers, the benchmarks that need one, and its end.

One for all of it: its start costs half a minute of CPU. Figures of a clock are never judged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import soak, visit
from benchmarks.support.running_instance import RunningInstance, running_instance
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines_tests.e2e.test_journeys import SECONDS, await_that, processes_of

pytestmark = pytest.mark.begun_first


@dataclass(frozen=True)
class Instance:
    """One warehouse and one running instance."""

    place: TemporaryWarehouse
    running: RunningInstance

    def measured(self, name: str, *options: str) -> dict[str, Any]:
        """What the command writes of this benchmark, run on this instance."""
        benchmark = {"visit": visit, "soak": soak}[name]
        figures = self.place.settings.home / f"{name}.json"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(benchmark, "temporary_warehouse", lambda: nullcontext(self.place))
            patch.setattr(benchmark, "running_instance", lambda _: nullcontext(self.running))
            command.main([name, *options, "--json", str(figures)])
        (found,) = json.loads(figures.read_text())["benchmarks"].values()
        return dict(found)


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """A SIGTERM ends all of it: the services, the warehouse and what was left in the home."""
    with temporary_warehouse() as place:
        with running_instance(place) as running:
            yield Instance(place, running)
        assert running.exit_code == 0, running.said_last
        assert "Stopping" in running.said_last
        assert "Traceback" not in running.said_last
    await_that(lambda: not processes_of(place.settings.home))
    assert not place.settings.home.exists()


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_ui_and_the_collector_answer_and_the_port_is_taken(instance: Instance) -> None:
    assert _status(f"{instance.running.ui}/server_info") == 200
    await_that(lambda: _status(f"{instance.running.collector}/health") == 200)
    port = instance.running.ui.rpartition(":")[2]
    second = subprocess.run(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "up", "--port", port],
        env={**os.environ, "CSCART_PIPELINES_HOME": str(instance.place.settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (second.returncode, f"port {port} is taken" in second.stderr) == (2, True)


def test_an_event_leads_to_the_list_with_nothing_but_an_instance_that_runs(
    instance: Instance,
) -> None:
    (visits,) = instance.measured("visit", "--quick")["tables"].values()
    assert [0 < row["into the warehouse, s"] <= row["into the list, s"] for row in visits] == [True]


def test_a_short_soak_samples_every_figure(instance: Instance) -> None:
    found = instance.measured("soak", "--minutes", "0.05")
    samples, growth = found["tables"].values()
    assert len(samples) >= 2
    for sample in samples:
        assert list(sample) == ["minute", *soak.FIGURES]
        assert [name for name in soak.SERVICES if not sample[f"{name} MB"]] == []
        assert min(sample["connections"], sample["Dagster MB"], sample["database MB"]) > 0
    assert [row["figure"] for row in growth] == list(soak.FIGURES)
    assert {aim["aim"] for aim in found["aims"]} == {f"{name} a minute" for name in soak.AIMS}
