"""An installation on several machines: PostgreSQL, Redis, the daemon here; workers elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import yaml
from cryptography.fernet import Fernet
from psycopg import sql

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.local_postgres.service_account import (
    SERVICE_ACCOUNT,
    ensure_service_account,
    reachable_binaries,
)
from cscart_pipelines.settings import read_settings
from cscart_pipelines.warehouse.connect import Warehouse, open_warehouse
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.support.cluster.machines import HERE, Machine, program

SECONDS = 400
"""After so long a test gives up; how long something took is printed, for machines differ."""


def wait_until(
    true: Callable[[], Any], what: str, *, seconds: float = SECONDS, pause: float = 0.2
) -> Any:
    """Returns the first answer that counts as true. Raises AssertionError after the time."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HERE, port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[None]:
    """A program of this machine, until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=PROJECT_ROOT,
            start_new_session=True, **options,
        )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server that listens on the network, with the databases of a production installation.

    Yields:
        The URL of the server, without a database.
    """
    ensure_service_account()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="cscart-cluster-") as scratch:
        place = Path(scratch)
        place.chmod(0o711)
        data = place / "data"
        data.mkdir()
        subprocess.run(["chown", SERVICE_ACCOUNT, str(data)], check=True)
        as_account: dict[str, Any] = {"user": SERVICE_ACCOUNT, "group": SERVICE_ACCOUNT}
        binaries = reachable_binaries()
        subprocess.run(
            [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust",
             "--no-sync", "--no-instructions"],
            check=True, capture_output=True, cwd="/", extra_groups=[], **as_account,
        )  # fmt: skip
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 trust\n")
        options = {
            "listen_addresses": HERE, "port": port, "unix_socket_directories": str(data),
            "fsync": "off", "max_connections": 200,
        }  # fmt: skip
        command = [str(binaries / "postgres"), "-D", str(data)]
        command += [f"--{name}={value}" for name, value in options.items()]
        with running(command, folder / "postgres.log", extra_groups=[], **as_account):
            url = f"postgresql://postgres@{HERE}:{port}"
            wait_until(lambda: answers(port), "PostgreSQL listens")
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                for name in ("warehouse", "dagster"):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield url


@dataclass
class Cluster:
    """An installation, and what a test does with it."""

    folder: Path
    environment: dict[str, str]
    workers: list[Machine]
    warehouse: Warehouse
    registry: Registry
    instance: dg.DagsterInstance

    @property
    def app(self) -> AppContext:
        return AppContext(read_settings(self.environment), self.warehouse, self.registry)

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect(autocommit=True) as connection:
            return connection.execute(query.encode(), arguments or None).fetchall()

    def execute(self, query: str, *arguments: Any) -> None:
        """Writes without the rules of the tables."""
        with contextlib.closing(self.warehouse.open_session(autocommit=True)) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(query.encode(), arguments or None)

    def start_worker(
        self,
        machine: Machine,
        *,
        queues: str = "shop-reads,builds,shop-writes,dagster",
        concurrency: int = 2,
    ) -> None:
        """A worker on a machine, with a home that no other machine sees."""
        home = self.folder / machine.name
        home.mkdir(exist_ok=True)
        write_instance(home / "dagster")
        machine.start(
            [program("celery"), "--app", "cscart_pipelines.celery_runs", "worker",
             "--queues", queues, "--concurrency", str(concurrency),
             "--hostname", f"{machine.name}@%h", "--loglevel", "INFO"],
            {**self.environment, "DAGSTER_HOME": str(home / "dagster"),
             "CSCART_PIPELINES_HOME": str(home)},
        )  # fmt: skip

    def print_runs(self) -> None:
        """Prints every run with its times, for a test that has failed."""
        for found in self.instance.get_run_records(ascending=True):
            run = found.dagster_run
            times = [found.create_timestamp.timestamp(), found.start_time, found.end_time]
            shown = [f"{at:.0f}" if at else "-" for at in times]
            only = run.run_config.get("ops", {})
            print(run.run_id[:8], run.job_name, run.status.value, *shown, run.tags, only)

    def held_by(self, machine: Machine) -> set[int]:
        """The numbers of the advisory locks that sessions from a machine hold."""
        rows = self.rows(
            "SELECT (lock.classid::bigint << 32) | lock.objid::bigint FROM pg_locks AS lock"
            " JOIN pg_stat_activity AS session USING (pid)"
            " WHERE lock.locktype = 'advisory' AND lock.granted AND session.client_addr = %s::inet",
            machine.address,
        )
        return {row[0] for row in rows}


def write_instance(folder: Path) -> None:
    """The `dagster.yaml` of deploy/celery, with logs in a folder of this test."""
    folder.mkdir(parents=True, exist_ok=True)
    instance = yaml.safe_load((PROJECT_ROOT / "deploy" / "celery" / "dagster.yaml").read_text())
    instance["compute_logs"]["config"]["base_dir"] = str(folder / "logs")
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance))


@contextlib.contextmanager
def cluster(folder: Path, workers: list[Machine], **settings: str) -> Iterator[Cluster]:
    """All services but the workers.

    Args:
        folder: For homes and logs.
        workers: Machines, which need no worker yet.
        settings: Variables of the environment, without their prefix and in lower case.
    """
    redis = free_port()
    code = free_port()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres(folder))
        stack.enter_context(
            running(
                ["redis-server", "--bind", HERE, "--port", str(redis), "--save", "",
                 "--protected-mode", "no", "--dir", str(folder)],
                folder / "redis.log",
            )
        )  # fmt: skip
        environment = {
            "DAGSTER_POSTGRES_URL": f"{url}/dagster",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "CSCART_PIPELINES_DATABASE_URL": f"{url}/warehouse",
            "CSCART_PIPELINES_SECRET_KEY": Fernet.generate_key().decode(),
            "CSCART_PIPELINES_CELERY_BROKER": f"redis://{HERE}:{redis}/0",
            "CSCART_PIPELINES_HOME": str(folder / "here"),
            "DAGSTER_HOME": str(folder / "here" / "dagster"),
            **{f"CSCART_PIPELINES_{name.upper()}": value for name, value in settings.items()},
        }
        write_instance(folder / "here" / "dagster")
        workspace = folder / "workspace.yaml"
        server = {"host": "127.0.0.1", "port": code, "location_name": "cscart_pipelines"}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        everything = {**os.environ, **environment}
        warehouse = stack.enter_context(open_warehouse(read_settings(environment), migrate=True))
        stack.enter_context(
            running(
                [program("dagster"), "api", "grpc", "-h", "127.0.0.1", "-p", str(code),
                 "-m", "cscart_pipelines.definitions"],
                folder / "code.log", env=everything,
            )
        )  # fmt: skip
        check = [program("dagster"), "api", "grpc-health-check", "-p", str(code)]
        wait_until(
            lambda: (
                subprocess.run(check, check=False, capture_output=True, env=everything).returncode
                == 0
            ),
            "the code location answers",
        )
        stack.enter_context(
            running(
                [program("dagster-daemon"), "run", "-w", str(workspace)],
                folder / "daemon.log", env=everything,
            )
        )  # fmt: skip
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)  # the instance reads variables of this process
        try:
            with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
                registry = Registry(warehouse, read_settings(environment))
                made = Cluster(folder, environment, workers, warehouse, registry, instance)
                try:
                    yield made
                finally:
                    made.print_runs()  # pytest shows it when the test has failed
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
