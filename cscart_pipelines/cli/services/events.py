"""What happens while `up` runs, a line for each event: synchronisations, builds, writes, failures.

Read from the tables in which runs record it, and from the alerts in the log of Dagster. Not here:
the processes themselves (`up`).
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from cscart_pipelines.cli.support import console, formats
from cscart_pipelines.fulfilment import overview
from cscart_pipelines.integrations import list_builds
from cscart_pipelines.integrations.sync_runs import history
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.driver import Connection, DatabaseError
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError
from cscart_pipelines.warehouse.server_facts import server_time

Row = dict[str, Any]

KINDS = {
    "first": "first synchronisation",
    "resync": "synchronisation",
    "full": "full synchronisation",
    "onsite": "reading again what visits have touched",
}
ALERT = re.compile(rb"run \S+ of (\w+) failed: (.+)")
TOLD_BY_TABLES = frozenset({"resync", "follow_onsite"})
"""Jobs whose failures are in `registry.sync_runs`."""
NAMED = 3
"""Of more integrations than that, a line gives the number and not the names."""


class Events:
    """Finds what is new since the last call.

    Args:
        warehouse: where runs record what they do.
        log: of Dagster, for failures that are in no table.
    """

    def __init__(self, warehouse: Warehouse, log: Path) -> None:
        self._warehouse, self._log = warehouse, log
        self._read = 0
        self._running: set[int] = set()
        self._away = False
        with self._connect() as connection:
            self._sync = history.newest_run(connection)
            self._built: datetime | None = server_time(connection)
            self._feed = overview.newest_feed(connection)
            self._written = server_time(connection)

    def tell(self) -> None:
        """Prints what has happened."""
        for line in self.new():
            console.out.print(f"[dim]{datetime.now():%H:%M:%S}[/]  {line}", soft_wrap=True)

    def new(self) -> list[str]:
        """Returns what has happened, as lines with markup."""
        try:
            with self._connect() as connection:
                lines = [
                    *self._syncs(connection), *self._builds(connection),
                    *self._feeds(connection), *self._writes(connection),
                ]  # fmt: skip
            if self._away:
                lines.insert(0, "the database answers again")
            self._away = False
        except (DatabaseError, WarehouseUnavailableError) as error:
            lines = []
            if not self._away:
                said = " ".join(str(error).split())
                lines = [f"[red]✗[/] the database does not answer: {formats.plain(said)}"]
            self._away = True
        return [*lines, *self._alerts()]

    def in_progress(self) -> list[str]:
        """Returns the integrations that are being synchronised."""
        try:
            with self._connect() as connection:
                return [*history.running(connection)]
        except (DatabaseError, WarehouseUnavailableError):
            return []

    def _connect(self) -> Any:
        return self._warehouse.connect(autocommit=True)

    def _syncs(self, connection: Connection) -> list[str]:
        rows = history.runs_after(connection, self._sync, self._running)
        lines = []
        for row in rows:
            fresh = row["id"] > self._sync
            self._sync = max(self._sync, row["id"])
            name, kind = row["integration"], KINDS.get(row["kind"], row["kind"])
            if row["state"] == "running":
                self._running.add(row["id"])
                if fresh and row["kind"] != "onsite":
                    lines.append(f"{name}: {kind} started")
                continue
            self._running.discard(row["id"])
            if row["state"] == "failed":
                lines.append(f"[red]✗[/] {name}: {kind} failed: {formats.plain(row['error'])}")
            elif changed := changes(row["stats"]) or row["kind"] != "onsite":
                seconds = (row["finished_at"] - row["started_at"]).total_seconds()
                what = changed if isinstance(changed, str) else "nothing has changed"
                lines.append(
                    f"[green]✓[/] {name}: {kind} done in {formats.duration(seconds)}; {what}"
                )
        return lines

    def _builds(self, connection: Connection) -> list[str]:
        rows = list_builds.finished_after(connection, self._built)
        if not rows:
            return []
        self._built = rows[-1]["finished_at"]
        names = [row["integration"] for row in rows]
        whose = ", ".join(names) if len(names) <= NAMED else f"{len(names)} integrations"
        return [f"[green]✓[/] {whose}: lists, segments and metrics are built"]

    def _feeds(self, connection: Connection) -> list[str]:
        rows = overview.feeds_after(connection, self._feed)
        self._feed = rows[-1]["id"] if rows else self._feed
        lines = []
        for row in rows:
            what = f"{formats.count(row['rows_taken'], 'row')} taken"
            if row["rows_refused"]:
                what += f", [red]{row['rows_refused']:,} refused[/]"
            if row["state"] in ("held", "refused"):
                what = f"[red]{row['state']}[/]: {formats.plain(row['reason'] or '')}"
            lines.append(f"{row['integration']}: file {formats.plain(row['source'])}: {what}")
        return lines

    def _writes(self, connection: Connection) -> list[str]:
        rows = overview.writes_finished_after(connection, self._written)
        self._written = max([self._written, *(row["last"] for row in rows)])
        names = {"shipment": "shipment", "stock": "stock level", "order_status": "order status"}
        lines = []
        for row in rows:
            one = names[row["kind"]]
            what = formats.count(row["writes"], one, f"{one}es" if one.endswith("s") else None)
            said = {"verified": "written to the shop", "ambiguous": "in doubt; read again later"}
            mark = "[green]✓[/]" if row["state"] == "verified" else "[red]✗[/]"
            lines.append(f"{mark} {row['integration']}: {what} {said.get(row['state'], 'failed')}")
        return lines

    def _alerts(self) -> list[str]:
        """Returns failed runs that are in no table, from the log of the daemon's code server."""
        if not self._log.exists():
            return []
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [
            f"[red]✗[/] {job.decode()} failed: {formats.plain(reason.decode(errors='replace'))}"
            for job, reason in ALERT.findall(whole)
            if job.decode() not in TOLD_BY_TABLES
        ]


def changes(stats: Row | None) -> str:
    """Returns what a synchronisation has changed, in words; an empty text for nothing."""
    entities = (stats or {}).get("entities", {})
    said = []
    for name in ("customers", "products", "orders", "shipments"):
        numbers = entities.get(name, {})
        rows = sum(numbers.get(what, 0) for what in ("inserted", "updated", "deleted"))
        if rows:
            said.append(formats.count(rows, name.removesuffix("s")))
    return f"changed: {', '.join(said)}" if said else ""
