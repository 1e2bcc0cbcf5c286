"""A temporary home with its own embedded PostgreSQL, removed at the end without a trace.

The environment's home and database are never touched: a benchmark has no business in them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.measure import cpu_of_family
from cscart_pipelines.local_postgres.cleanup import postmaster
from cscart_pipelines.local_postgres.client import Client, connect, wait_until_stopped
from cscart_pipelines.local_postgres.paths import remove_files
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.warehouse.connect import Warehouse, open_warehouse


@dataclass(frozen=True)
class TemporaryWarehouse:
    """An empty, migrated warehouse. The server runs as long as this process is in here."""

    settings: Settings
    warehouse: Warehouse
    member: Client

    def server_cpu(self) -> float:
        """CPU seconds of the whole server until now, all its sessions included."""
        pid = postmaster(self.member.paths.data)
        if pid is None:
            raise RuntimeError("the embedded PostgreSQL has ended")
        return cpu_of_family(pid)


@contextmanager
def temporary_warehouse() -> Iterator[TemporaryWarehouse]:
    home = Path(tempfile.mkdtemp(prefix="cscart-pipelines-bench-"))
    try:
        settings = read_settings({"CSCART_PIPELINES_HOME": str(home)})
        member = connect(settings.home)
        try:
            with open_warehouse(settings, migrate=True) as warehouse:
                yield TemporaryWarehouse(settings, warehouse, member)
        finally:
            member.disconnect()
            wait_until_stopped(home)
            remove_files(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
