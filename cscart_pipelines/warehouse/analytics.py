"""Creates the marts of `analytics` before the first build, empty, by the contracts of the models.

So dashboards and views can refer to them as soon as the database exists. From the first build on
dbt owns them (`dbt_project/macros/materializations`). Not here: the view `lists` (`migrations`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Connection, text

MARTS = Path(__file__).parents[2] / "dbt_project" / "models" / "marts"


def create_missing(connection: Connection) -> None:
    """Creates the marts that do not exist yet, with the columns and keys of their contracts."""
    for model in _marts():
        name = model["name"]
        found = connection.execute(
            text("SELECT to_regclass(:name) IS NOT NULL"), {"name": f"analytics.{name}"}
        )
        if found.scalar():
            continue
        connection.exec_driver_sql(_view(model) if _is_view(model) else _table(model))


def _marts() -> list[dict[str, Any]]:
    """Returns the marts that the dbt project describes, in the order of its files."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = sorted(path for path in MARTS.glob("*/_*.yml") if "_unit_tests" not in path.name)
    return [
        model
        for path in files
        for model in yaml.load(path.read_text("utf-8"), loader).get("models", ())  # noqa: S506
    ]


def _is_view(model: dict[str, Any]) -> bool:
    return bool(model.get("config", {}).get("materialized") == "view_in_place")


def _view(model: dict[str, Any]) -> str:
    columns = (f'NULL::{column["data_type"]} AS "{column["name"]}"' for column in model["columns"])
    return f"CREATE VIEW analytics.{model['name']} AS SELECT {', '.join(columns)} WHERE false"


def _table(model: dict[str, Any]) -> str:
    parts = []
    for column in model["columns"]:
        kinds = {one["type"] for one in column.get("constraints", ())}
        parts.append(
            f'"{column["name"]}" {column["data_type"]}' + " NOT NULL" * ("not_null" in kinds)
        )
    for constraint in model.get("constraints", ()):
        if constraint["type"] == "primary_key":
            parts.append(f"PRIMARY KEY ({', '.join(constraint['columns'])})")
    return f"CREATE TABLE analytics.{model['name']} ({', '.join(parts)})"
