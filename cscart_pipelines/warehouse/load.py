"""Loads rows into the raw tables: COPY into a staging table, then one merge of what changed.

Rows are tuples in the column order of `tables`; each call returns what changed. The transaction is
the caller's, so that rows and the watermark that covers them commit together. Not here: how rows
are read, and which of them to load (`sync`), rows that cannot be read (`rejects`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

from cscart_pipelines.warehouse.tables import raw as raw_tables

Row = Sequence[Any]
LOADER_COLUMNS = ("integration", "loaded_at", "deleted_at")


@dataclass(frozen=True)
class Changes:
    """What one merge did, in rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    @property
    def written(self) -> int:
        """Rows that were inserted or updated."""
        return self.inserted + self.updated

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )


class Loader:
    """Loads the rows of one integration through one connection."""

    def __init__(self, connection: psycopg.Connection[Any], integration: str) -> None:
        self._connection = connection
        self._integration = integration
        self._staged: set[str] = set()

    def merge(self, table: Table, rows: Iterable[Row]) -> Changes:
        """Merges rows on the table's key; of rows with the same key the last one counts.

        Args:
            table: A raw table.
            rows: Values in the order of `row_columns`.
        """
        key_of = _key_of(table)
        unique = {key_of(row): row for row in rows}
        if not unique:
            return Changes()
        self._stage(table, unique.values())
        inserted, updated = self._merge_staged(table)
        return Changes(inserted, updated, len(unique) - inserted - updated)

    def merge_orders(self, orders: Iterable[tuple[Row, Sequence[Row]]]) -> Changes:
        """Merges orders together with their lines; the order's hash covers its lines.

        Lines are replaced only if the order changed. An order read without details (column
        `has_details`) never replaces one with details: only LIST_ROW_COLUMNS are updated.

        Args:
            orders: Each with its lines, values in the order of `row_columns`.
        """
        table = raw_tables.orders
        key_of, detailed = _key_of(table), row_columns(table).index("has_details")
        unique = {key_of(row): (row, lines) for row, lines in orders}
        if not unique:
            return Changes()
        self._stage(table, [row for row, _ in unique.values()])
        lines = [line for row, lines in unique.values() if row[detailed] for line in lines]
        self._stage(raw_tables.order_lines, lines)
        inserted, updated = self._merge_staged(table, remember=True)
        self._connection.execute(
            """
            DELETE FROM cscart.order_lines AS line
            USING changed_orders AS changed JOIN stage_orders AS staged USING (order_id)
            WHERE line.integration = %s AND line.order_id = changed.order_id
              AND staged.has_details AND NOT changed.inserted
            """,
            [self._integration],
        )
        self._connection.execute(_INSERT_LINES, [self._integration])
        return Changes(inserted, updated, len(unique) - inserted - updated)

    # --- rows that are gone ----------------------------------------------------------------------

    def record_seen_ids(self, entity: str, part: int, ids: Collection[int]) -> None:
        """Records ids that a sweep has read, in the database: another run may continue it."""
        self._connection.execute(
            """
            INSERT INTO registry.sweep_seen (integration, entity, part, ids) VALUES (%s, %s, %s, %s)
            ON CONFLICT (integration, entity, part) DO UPDATE SET ids = excluded.ids
            """,
            [self._integration, entity, part, list(ids)],
        )

    def clear_seen_ids(self, entity: str) -> None:
        """Deletes the ids of an earlier sweep."""
        self._connection.execute(
            "DELETE FROM registry.sweep_seen WHERE integration = %s AND entity = %s",
            [self._integration, entity],
        )

    def soft_delete_missing(
        self,
        table: Table,
        entity: str,
        before: datetime,
        *,
        ordered_until: datetime | None = None,
    ) -> int:
        """Marks rows that the finished sweep has not read as deleted.

        Args:
            table: The raw table.
            entity: Of the sweep.
            before: The start of the sweep. Rows loaded later stay: the sweep may have passed their
                position before they appeared.
            ordered_until: Orders placed later stay.

        Returns:
            How many were marked.
        """
        execute = self._connection.execute
        execute("DROP TABLE IF EXISTS pg_temp.seen_ids")
        execute(
            "CREATE TEMP TABLE seen_ids ON COMMIT DROP AS SELECT unnest(ids) AS id"
            " FROM registry.sweep_seen WHERE integration = %s AND entity = %s",
            [self._integration, entity],
        )
        # The planner has no statistics of either side yet, and would take them for tiny.
        execute("SELECT set_config('enable_nestloop', 'off', true)")
        done = execute(
            sql.SQL(
                """
                UPDATE {table} AS present SET deleted_at = now()
                WHERE present.integration = %s AND present.deleted_at IS NULL
                  AND present.loaded_at < %s
                  AND NOT EXISTS (SELECT FROM seen_ids WHERE seen_ids.id = present.{key})
                  {within}
                """
            ).format(
                table=table_identifier(table),
                key=sql.Identifier(id_column(table)),
                within=sql.SQL("AND present.ordered_at <= %s" if ordered_until else ""),
            ),
            [self._integration, before, *([ordered_until] if ordered_until else [])],
        )
        execute("SELECT set_config('enable_nestloop', 'on', true)")
        self.clear_seen_ids(entity)
        return done.rowcount

    def analyse(self, written: int) -> None:
        """Updates the planner's statistics after a bulk load; autovacuum would do so minutes later.

        Only tables that have grown by more than a fifth are analysed: otherwise each new shop among
        hundreds would cost a reading of all of them.

        Args:
            written: Rows that the run has written.
        """
        for table in (
            raw_tables.customers,
            raw_tables.orders,
            raw_tables.order_lines,
            raw_tables.products,
        ):
            row = self._connection.execute(
                "SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table.fullname]
            ).fetchone()
            if row is None or row[0] < 4 * written:
                self._connection.execute(sql.SQL("ANALYZE {}").format(table_identifier(table)))

    def soft_delete(self, table: Table, ids: Collection[int]) -> int:
        """Marks single rows as deleted, by id; returns how many."""
        query = sql.SQL(
            "UPDATE {table} SET deleted_at = now()"
            " WHERE integration = %s AND {key} = ANY(%s) AND deleted_at IS NULL"
        ).format(table=table_identifier(table), key=sql.Identifier(id_column(table)))
        return self._connection.execute(query, [self._integration, list(ids)]).rowcount

    # --- staging ---------------------------------------------------------------------------------

    def _stage(self, table: Table, rows: Collection[Row]) -> None:
        columns = _columns(table)
        if table.name not in self._staged:
            # Left over only if an earlier loader used this connection.
            self._connection.execute(
                sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(_stage_name(table))
            )
            self._connection.execute(
                sql.SQL(
                    "CREATE TEMP TABLE {stage} ON COMMIT DELETE ROWS AS"
                    " SELECT {columns} FROM {table} WITH NO DATA"
                ).format(stage=_stage_name(table), columns=columns, table=table_identifier(table))
            )
            self._staged.add(table.name)
        else:
            self._connection.execute(sql.SQL("TRUNCATE {}").format(_stage_name(table)))
        copy = sql.SQL("COPY {stage} ({columns}) FROM STDIN").format(
            stage=_stage_name(table), columns=columns
        )
        with self._connection.cursor().copy(copy) as stream:
            for row in rows:
                stream.write_row(row)

    def _merge_staged(self, table: Table, *, remember: bool = False) -> tuple[int, int]:
        if remember:
            self._connection.execute(
                "CREATE TEMP TABLE IF NOT EXISTS changed_orders"
                " (order_id bigint, inserted boolean) ON COMMIT DELETE ROWS"
            )
            self._connection.execute("TRUNCATE changed_orders")
        cursor = self._connection.execute(_merge_query(table, remember), [self._integration] * 2)
        if remember:
            cursor = self._connection.execute(
                "SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted)"
                " FROM changed_orders"
            )
        found = cursor.fetchone()
        assert found is not None
        return int(found[0]), int(found[1])


@cache
def row_columns(table: Table) -> tuple[str, ...]:
    """Returns the columns of a row to load, in order: all but LOADER_COLUMNS."""
    return tuple(column.name for column in table.columns if column.name not in LOADER_COLUMNS)


def id_column(table: Table) -> str:
    """Returns the key column beside the integration, of tables whose rows have one id."""
    return [column.name for column in table.primary_key.columns][1]


@cache
def _key_of(table: Table) -> Callable[[Row], Any]:
    names = [c.name for c in table.primary_key.columns if c.name != "integration"]
    places = tuple(row_columns(table).index(name) for name in names)
    if len(places) == 1:
        (only,) = places
        return lambda row: row[only]
    return lambda row: tuple(row[place] for place in places)


def table_identifier(table: Table) -> sql.Identifier:
    """Returns the qualified name of a table, for statements of psycopg."""
    return sql.Identifier(table.schema or "public", table.name)


def _stage_name(table: Table) -> sql.Identifier:
    return sql.Identifier(f"stage_{table.name}")


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, row_columns(table)))


LIST_ROW_COLUMNS = (
    "user_id", "issuer_id", "email", "firstname", "lastname", "phone", "company", "status",
    "total", "ordered_at", "content_hash",
)  # fmt: skip
"""The columns that the list row of an order has (reference 8.1). The hash too: after a list row,
the next reading with details must count as a change."""


@cache
def _merge_query(table: Table, remember: bool) -> sql.Composed:
    """Returns the statement that merges staged rows; it takes the integration twice.

    Unchanged rows are filtered by a join beforehand: ON CONFLICT alone would lock, and so write,
    every one of them. The join finds rows one by one (LIMIT): the planner would otherwise read the
    whole shop for every chunk, and the time of a first synchronisation would grow with the square
    of its rows.
    """
    keys = [c.name for c in table.primary_key.columns if c.name != "integration"]
    columns = [name for name in row_columns(table) if name not in keys]
    is_orders = table is raw_tables.orders

    def assignment(name: str) -> sql.Composed:
        template = "{0} = excluded.{0}"
        if is_orders and name not in LIST_ROW_COLUMNS:
            template = (
                "{0} = CASE WHEN excluded.has_details OR NOT present.has_details"
                " THEN excluded.{0} ELSE present.{0} END"
            )
        return sql.SQL(template).format(sql.Identifier(name))

    merge = sql.SQL(
        """
        INSERT INTO {table} AS present (integration, {all_columns})
        SELECT %s, {staged_columns}
        FROM {stage} AS staged
        LEFT JOIN LATERAL (
            SELECT known.content_hash, known.deleted_at FROM {table} AS known
            WHERE known.integration = %s AND {same_key} LIMIT 1
        ) AS old ON true
        WHERE old.content_hash IS NULL OR old.content_hash <> staged.content_hash
           OR old.deleted_at IS NOT NULL
        ON CONFLICT (integration, {keys}) DO UPDATE
        SET {assignments}, loaded_at = now(), deleted_at = NULL
        RETURNING {returned} (xmax = 0) AS inserted
        """
    ).format(
        table=table_identifier(table),
        stage=_stage_name(table),
        all_columns=_columns(table),
        staged_columns=sql.SQL(", ").join(
            sql.SQL("staged.{}").format(sql.Identifier(name)) for name in row_columns(table)
        ),
        same_key=sql.SQL(" AND ").join(
            sql.SQL("known.{0} = staged.{0}").format(sql.Identifier(key)) for key in keys
        ),
        keys=sql.SQL(", ").join(map(sql.Identifier, keys)),
        assignments=sql.SQL(", ").join(map(assignment, columns)),
        returned=sql.SQL("order_id," if remember else ""),
    )
    if remember:
        return sql.SQL(
            "WITH merged AS ({merge})"
            " INSERT INTO changed_orders SELECT order_id, inserted FROM merged"
        ).format(merge=merge)
    return sql.SQL(
        "WITH merged AS ({merge}) SELECT count(*) FILTER (WHERE inserted),"
        " count(*) FILTER (WHERE NOT inserted) FROM merged"
    ).format(merge=merge)


_INSERT_LINES = sql.SQL(
    """
    INSERT INTO cscart.order_lines (integration, {columns})
    SELECT %s, {staged}
    FROM stage_order_lines AS line
    JOIN changed_orders AS changed ON changed.order_id = line.order_id
    ON CONFLICT (integration, order_id, item_id) DO NOTHING
    """
).format(
    columns=_columns(raw_tables.order_lines),
    staged=sql.SQL(", ").join(
        sql.SQL("line.{}").format(sql.Identifier(name))
        for name in row_columns(raw_tables.order_lines)
    ),
)
