"""`registry.list_builds`: which lists are built from what, and which are due to be built again.

One row per integration, of its last build. Not here: when a build that is due is started
(`defs.transformation.build_policy`), what a build does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.rows import class_row, dict_row

from cscart_pipelines.warehouse.driver import Connection

ONSITE_PAUSE = timedelta(hours=1)
"""Lists of a shop whose visitors are tracked are built so often while visitors come."""


_BUILT_FROM = """
    md5(row(live.timezone, live.default_country, live.currency, live.include_guests,
            live.settled_statuses, live.refund_statuses, live.storefronts, live.companies,
            live.created_at)::text)
"""
"""The settings that the models and the reading of phones depend on, as `registry.integrations AS
live` has them."""


@dataclass(frozen=True)
class ListState:
    """An integration that has data, and its last build."""

    integration: str
    timezone: str
    as_of: datetime | None
    """What the last finished build took for now; None before the first."""
    settings_changed: bool
    """Settings that the models read are not those of the last build."""
    newest_change: int | None
    """Number of the newest synchronisation that changed rows and is not in the last build."""
    change_age: float | None
    """Seconds since the oldest of these ended."""
    is_targeted: bool
    """One of these was a targeted sync."""
    is_syncing: bool
    has_visitors: bool
    """Onsite events came since the last build, or in the two hours before it."""
    attempts: int
    """Builds that were begun since the last one that finished."""
    attempted_at: datetime | None
    attempted_sync: int
    """The newest synchronisation that the last attempt contained."""

    def reason(self, now: datetime) -> str | None:
        """Why the lists are due to be built, None if they are not.

        Memberships also change by time alone: they are built once on each day of the shop, and
        hourly while its visitors are tracked.
        """
        if self.newest_change is not None:
            return "synchronised" if self.as_of else "never built"
        if self.as_of is None:
            return None
        if self.settings_changed:
            return "settings changed"
        zone = ZoneInfo(self.timezone)
        if now.astimezone(zone).date() > self.as_of.astimezone(zone).date():
            return "a new day"
        if self.has_visitors and now - self.as_of >= ONSITE_PAUSE:
            return "onsite events"
        return None


def states(connection: Connection, keys: Collection[str] | None = None) -> list[ListState]:
    """The integrations that are not disabled, or these, as far as they have data to build from."""
    query = f"""
        SELECT live.integration, live.timezone, build.as_of,
               build.settings IS DISTINCT FROM {_BUILT_FROM} AS settings_changed,
               synced.newest_change, synced.change_age,
               coalesce(synced.is_targeted, false) AS is_targeted,
               EXISTS (
                   SELECT FROM registry.sync_runs AS running
                   WHERE running.integration = live.integration AND running.state = 'running'
               ) AS is_syncing,
               coalesce(build.as_of < now() - interval '1 hour' AND EXISTS (
                   SELECT FROM onsite.events AS event
                   WHERE event.integration = live.integration
                     AND event.received_at > build.as_of - interval '2 hours'
               ), false) AS has_visitors,
               coalesce(build.attempts, 0) AS attempts, build.attempted_at,
               coalesce(build.attempted_sync, 0) AS attempted_sync
        FROM registry.integrations AS live
        LEFT JOIN registry.list_builds AS build USING (integration)
        CROSS JOIN LATERAL (
            SELECT max(run.id) AS newest_change,
                   extract(epoch FROM now() - min(run.finished_at))::float AS change_age,
                   bool_or(run.kind = 'onsite') AS is_targeted
            FROM registry.sync_runs AS run
            WHERE run.integration = live.integration
              AND run.id > coalesce(build.covers_sync, 0)
              AND (run.state = 'failed' AND (run.phase IS NOT NULL OR run.rows_done > 0)
                   OR run.state = 'succeeded'
                   AND (build.as_of IS NULL OR coalesce((run.stats ->> 'written')::bigint, 1) > 0))
        ) AS synced
        WHERE CASE WHEN %(keys)s::text[] IS NULL THEN live.status <> 'disabled'
                   ELSE live.integration = ANY(%(keys)s) END
        ORDER BY live.integration
    """  # noqa: S608 - made of constants
    values = {"keys": None if keys is None else list(keys)}
    cursor = connection.cursor(row_factory=class_row(ListState))
    return cursor.execute(query.encode(), values).fetchall()


def parse_as_of(text: str) -> datetime:
    """Reads what a build takes for now.

    Raises:
        ValueError: It is no ISO 8601 time with an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return moment


@dataclass(frozen=True)
class BuildRecord:
    """What a build that begins now will contain of one integration."""

    integration: str
    covers_sync: int
    settings: str


def begin(connection: Connection, keys: Sequence[str]) -> list[BuildRecord]:
    """Records that builds of these begin; what was synchronised until now is in them.

    A synchronisation that is running is not, though later targeted ones may be. Integrations that
    do not exist are left out.
    """
    query = f"""
        INSERT INTO registry.list_builds AS build
            (integration, attempts, attempted_at, attempted_sync)
        SELECT live.integration, 1, clock_timestamp(), coalesce(
                   (SELECT min(id) - 1 FROM registry.sync_runs
                    WHERE integration = live.integration AND state = 'running'),
                   (SELECT max(id) FROM registry.sync_runs WHERE integration = live.integration),
                   0)
        FROM registry.integrations AS live WHERE live.integration = ANY(%(keys)s)
        ON CONFLICT (integration) DO UPDATE SET
            attempts = build.attempts + 1, attempted_at = excluded.attempted_at,
            attempted_sync = excluded.attempted_sync
        RETURNING integration, attempted_sync AS covers_sync, (
            SELECT {_BUILT_FROM} FROM registry.integrations AS live
            WHERE live.integration = build.integration
        ) AS settings
    """  # noqa: S608 - made of constants
    cursor = connection.cursor(row_factory=class_row(BuildRecord))
    return cursor.execute(query.encode(), {"keys": list(keys)}).fetchall()


def finish(
    connection: Connection, builds: Sequence[BuildRecord], run_id: str, as_of: datetime
) -> None:
    """Records that these builds have finished, with what `begin` said they contain."""
    connection.cursor().executemany(
        "UPDATE registry.list_builds SET run_id = %s, covers_sync = %s, settings = %s, as_of = %s,"
        " finished_at = clock_timestamp(), attempts = 0 WHERE integration = %s",
        [(run_id, build.covers_sync, build.settings, as_of, build.integration) for build in builds],
    )


def finished_after(connection: Connection, moment: datetime | None) -> list[dict[str, Any]]:
    """Integration and time of the builds that have finished after a moment, the oldest first."""
    rows = connection.cursor(row_factory=dict_row).execute(
        "SELECT integration, finished_at FROM registry.list_builds WHERE finished_at > %s"
        " ORDER BY finished_at",
        [moment or datetime.min.replace(tzinfo=UTC)],
    )
    return rows.fetchall()
