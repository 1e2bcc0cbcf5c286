"""The dbt models as assets, and when they are built.

dbt runs as a program of its own. dagster-dbt is loaded as where dbt is no Python package, which it
provides for (dbt Fusion): importing dbt takes a second of every process of Dagster.
"""

import sys

_dbt = sys.modules.get("dbt")
sys.modules["dbt"] = None  # type: ignore[assignment]  # what Python itself takes for "not there"
try:
    import dagster_dbt as dagster_dbt
finally:
    del sys.modules["dbt"]
    if _dbt is not None:
        sys.modules["dbt"] = _dbt
