"""What all tables share: their metadata, the schemas, and the columns that many of them have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    MetaData,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

RAW = "cscart"
REGISTRY = "registry"
SCHEMAS = (RAW, REGISTRY, "fulfilment", "onsite", "analytics")


def moment_column(name: str, **options: Any) -> Column[Any]:
    """Returns a column of a time with time zone."""
    return Column(name, DateTime(timezone=True), **options)


def integration_column() -> Column[str]:
    """Returns the column of the integration's key, the first of every table."""
    return Column("integration", Text, nullable=False)


def one_of(table: str, column: str, *values: str) -> CheckConstraint:
    """Returns the constraint by which a column takes only these words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=f"{table}_{column}_check")
