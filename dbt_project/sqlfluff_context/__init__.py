"""What dbt puts into the context of a template: so that sqlfluff can lint without a database.

Only what the models and macros of this project use. The rest (ref, source, config) sqlfluff brings.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import yaml

_PROJECT = yaml.safe_load((Path(__file__).parents[1] / "dbt_project.yml").read_text("utf-8"))

run_started_at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def var(name: str, default: Any = None) -> Any:
    """The project's own default, as no command line is there to say otherwise."""
    return _PROJECT["vars"].get(name, default)
