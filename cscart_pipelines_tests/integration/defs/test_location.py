"""The location as the server loads it: names others rely on, lineage, settings of the instance."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import PROJECT, PYDANTIC, location

pytestmark = pytest.mark.filterwarnings(PYDANTIC)
SNAPSHOT = PROJECT_ROOT / "cscart_pipelines_tests" / "samples" / "location.txt"


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return location().get_repository_def().asset_graph


def test_the_server_loads_it_with_nothing_set(tmp_path: Path) -> None:
    """A real code server, from another folder, with another home and no variables."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:cscart_pipelines", "-m", "dagster",
         "definitions", "validate", "-w", str(PROJECT / "workspace.yaml"), "--load-with-grpc"],
        env={"PATH": os.defpath, "HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "yes"},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr
    assert not (tmp_path / ".cscart-pipelines").exists()  # loading opens nothing


FRESH = """
import gc, json, warnings
warnings.simplefilter('always')
caught = []
warnings.showwarning = lambda m, c, f, *rest: caught.append((f, c.__name__, str(m)))
from cscart_pipelines.definitions import defs
defs().get_repository_def()
alive = most = 0
class Cycle:
    def __init__(self):
        global alive
        self.own, alive = self, alive + 1
    def __del__(self):
        global alive
        alive -= 1
for tick in range(60):
    held = [Cycle() for _ in range(1000)]
    gc.collect(1)  # what a tick holds is old by the end of the tick
    most = max(most, alive)
print(json.dumps([[one for one in caught if '/cscart_pipelines/' in one[0]], most]))
"""
"""Says what loading the definitions warns of, and how many objects in cycles 60 ticks leave."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[str]], int]:
    """What a new process says that loads the definitions."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        env={"PATH": os.defpath, "HOME": str(tmp_path_factory.mktemp("home"))},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    warned, most = json.loads(done.stdout.splitlines()[-1])
    return warned, most


def test_loading_uses_nothing_of_dagster_that_will_go_or_change(
    fresh: tuple[list[list[str]], int],
) -> None:
    assert fresh[0] == []


def test_what_ticks_leave_behind_is_found_soon(fresh: tuple[list[list[str]], int]) -> None:
    """Objects in cycles: not only once they are a quarter of all that Dagster has loaded."""
    assert fresh[1] < 30_000


def described() -> str:
    """Everything that has a name others may rely on, one a line."""
    repository = location().get_repository_def()
    graph = repository.asset_graph
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        if not node.is_executable or key.path[0] in ("staging", "intermediate"):
            continue  # the way from raw rows to the tables of analysts is nobody's business
        partitions = getattr(node.partitions_def, "name", None)
        pools = ",".join(sorted(node.pools or ()))
        lines.append(
            f"asset {key.to_user_string()}  group={node.group_name} pool={pools}"
            + (f" partitions={partitions}" if partitions else "")
        )
    lines += [
        f"check {key.asset_key.to_user_string()}: {key.name}"
        for key in sorted(graph.asset_check_keys, key=str)
        if key.asset_key.path[0] in ("cscart", "fulfilment")
    ]
    lines += [f"job {job.name}" for job in repository.get_all_jobs() if job.name[0] != "_"]
    lines += [
        f"schedule {one.name}  {one.cron_schedule} job={one.job_name}"
        f" default={one.default_status.value}"
        for one in repository.schedule_defs
    ]
    lines += [
        f"sensor {one.name}  default={one.default_status.value}" for one in repository.sensor_defs
    ]
    return "\n".join(sorted(lines)) + "\n"


def test_names_are_those_of_the_snapshot() -> None:
    """A name that goes or changes breaks dashboards and schedules: write it into DECISIONS.md.

    `UPDATE_SNAPSHOT=1` writes the present names.
    """
    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(described())
    assert described() == SNAPSHOT.read_text()


def test_the_graph_shows_where_everything_comes_from(graph: AssetGraph) -> None:
    unknown = [
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).group_name == "default" or not graph.get(key).description
    ]
    assert unknown == []
    sources = {
        key.to_user_string() for key in graph.get_all_asset_keys() if not graph.get(key).parent_keys
    }
    assert {"cscart/orders", "onsite/events", "registry/integrations"} <= sources
    assert not graph.get(dg.AssetKey(["onsite", "events"])).is_executable


def test_every_asset_says_whose_it_is_what_fills_it_and_by_which_code(graph: AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners and node.kinds, key
        assert node.code_version or not node.is_executable, key


def test_what_is_filled_by_a_clock_has_a_policy_of_freshness(graph: AssetGraph) -> None:
    """No check says it: one that a run computes is silent while no run begins."""
    kept_fresh = {
        key.path[0] for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy
    }
    assert kept_fresh == {"cscart", "analytics"}
    assert all(
        graph.get(key).freshness_policy
        for key in graph.get_all_asset_keys()
        if key.path[0] in kept_fresh
    )
    assert not [key for key in graph.asset_check_keys if key.name == "freshness"]


def test_orders_lead_to_segments(graph: AssetGraph) -> None:
    up = dg.AssetSelection.assets("analytics/segments").upstream().resolve(graph)
    assert {"cscart/orders", "cscart/customers"} <= {key.to_user_string() for key in up}


@pytest.mark.parametrize(
    ("model", "loader"),
    [
        ("staging/stg_cscart__order_lines", "cscart/orders"),
        ("staging/stg_cscart__categories", "cscart/products"),
        ("staging/stg_cscart__orders", "cscart/orders"),
        ("staging/stg_cscart__customers", "cscart/customers"),
    ],
)
def test_tables_without_an_asset_of_their_own_come_from_their_loader(
    model: str, loader: str, graph: AssetGraph
) -> None:
    parents = graph.get(dg.AssetKey.from_user_string(model)).parent_keys
    assert dg.AssetKey.from_user_string(loader) in parents


def test_tests_of_dbt_are_checks(graph: AssetGraph) -> None:
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert {"analytics/segment_members", "analytics/segment_changes", "analytics/lists"} <= checked


def test_lists_are_one_step_and_shops_are_one_step() -> None:
    jobs = {"build_lists": "build_models", "resync": "read_shop", "pull_orders": "pull_shop_orders"}
    for job, op in jobs.items():
        definition = location().resolve_job_def(job)
        assert [node.name for node in definition.graph.nodes] == [op]
        assert definition.executor_def.name == "in_process"


def test_orders_for_fulfilment_follow_the_shop_in_a_job_of_their_own(graph: AssetGraph) -> None:
    node = graph.get(dg.AssetKey(["fulfilment", "orders"]))
    assert dg.AssetKey(["cscart", "orders"]) in node.parent_keys
    assert node.backfill_policy == dg.BackfillPolicy.single_run()
    columns = {one.name: one for one in node.metadata["dagster/column_schema"].columns}
    assert columns["order_number"].constraints.other == ["key"]
    resynced = location().resolve_job_def("resync").asset_layer.executable_asset_keys
    assert dg.AssetKey(["fulfilment", "orders"]) not in resynced


@pytest.mark.parametrize(
    ("job", "steps"),
    [
        ("push_tracking", {"ingest_drop_folder", "push_shipments"}),
        ("push_stock", {"ingest_drop_folder", "push_levels"}),
    ],
)
def test_the_form_of_a_push_explains_itself(job: str, steps: set[str]) -> None:
    definition = location().resolve_job_def(job)
    assert {node.name for node in definition.graph.nodes} == steps
    assert int(definition.tags["dagster/max_runtime"]) > 0
    mapping = definition.config_mapping
    assert mapping is not None
    fields = mapping.config_schema.config_type.fields  # type: ignore[union-attr]
    assert {"integration", "dry_run", "limit"} <= set(fields)
    for name, one in fields.items():
        assert not one.is_required, name
        assert one.description.endswith("."), name


def test_raw_assets_say_what_their_tables_hold(graph: AssetGraph) -> None:
    metadata = graph.get(dg.AssetKey(["cscart", "orders"])).metadata
    assert metadata["dagster/table_name"] == "cscart.orders"
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    assert columns["order_id"].constraints.other == ["key"]
    assert columns["total"].type == "numeric"
    assert columns["s_country"].description == "ISO 3166-1 alpha-2"


def test_a_run_takes_many_partitions(graph: AssetGraph) -> None:
    policy = graph.get(dg.AssetKey(["cscart", "orders"])).backfill_policy
    assert policy == dg.BackfillPolicy.single_run()


def test_the_instance_loads_with_nothing_set(tmp_path: Path) -> None:
    shutil.copyfile(PROJECT / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert instance.run_monitoring_enabled is True
        assert instance.run_retries_enabled is True
        assert instance.run_retries_max_retries == 2
        assert instance.run_retries_retry_on_asset_or_op_failure is False
        settings = instance.get_concurrency_config()
        assert settings.run_queue_config is not None
        assert settings.run_queue_config.max_concurrent_runs == 8
        assert settings.pool_config.default_pool_limit == 4
        # Places are taken in the queue: a process that is killed leaves none taken.
        assert settings.pool_config.pool_granularity.value == "run"


def test_the_production_instance_keeps_its_runs_in_postgresql(
    tmp_path: Path, warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(PROJECT / "deploy" / "dagster.yaml", tmp_path / "dagster.yaml")
    url = warehouse_database.url.replace("postgresql+psycopg://", "postgresql://")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("integration", ["shop"])
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
    with warehouse_database.connect() as connection:
        found = connection.execute("SELECT partition FROM dynamic_partitions").fetchall()
    assert found == [("shop",)]
    assert not list(tmp_path.rglob("*.db"))


def test_opening_the_instance_for_a_tick_leaves_nothing_behind(tmp_path: Path) -> None:
    """As the code server does for every tick; exit handlers would stay until it ends."""
    location()

    def left_behind() -> int:
        gc.collect()
        return sum(isinstance(one, contextlib.ExitStack) for one in gc.get_objects())

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        counts = []
        for _ in range(3):
            with dg.DagsterInstance.from_ref(instance.get_ref()) as opened:
                opened.get_runs(limit=1)
                opened.all_instigator_state()
            counts.append(left_behind())
    assert counts[0] >= counts[1] >= counts[2]


def test_both_instances_have_the_same_rules() -> None:
    """But for where things are kept, and how large the machine is."""
    here = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    there = yaml.safe_load((PROJECT / "deploy" / "dagster.yaml").read_text())
    for rule in ("telemetry", "nux", "run_retries", "run_monitoring", "freshness", "retention"):
        assert there[rule] == here[rule], rule
    workers = yaml.safe_load((PROJECT / "deploy" / "celery" / "dagster.yaml").read_text())
    assert workers.pop("run_launcher")["class"] == "QueueRunLauncher"
    # A run that has not begun waits for nothing but a dead worker.
    assert workers["run_monitoring"].pop("start_timeout_seconds") < there["run_monitoring"].pop(
        "start_timeout_seconds"
    )
    assert workers == there
