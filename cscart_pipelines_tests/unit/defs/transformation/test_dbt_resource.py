"""What is prepared for each invocation of dbt."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from dagster_dbt.core import resource

from cscart_pipelines.defs.transformation.assets import dbt_resources


def test_dbt_is_started_once_and_without_an_adapter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """dagster-dbt would start `dbt --version` first, and parse all macros for its adapter."""
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(resource, "check_output", lambda command: pytest.fail(str(command)))
    monkeypatch.setattr(resource.DbtCliInvocation, "run", lambda **values: begun.append(values))
    definitions = dbt_resources()
    assert definitions.resources is not None
    definitions.resources["dbt"].cli(["build"], target_path=tmp_path)
    ((version, adapter, arguments),) = [
        (str(one["cli_version"]), one["adapter"], one["args"]) for one in begun
    ]
    assert version == importlib.metadata.version("dbt-core")
    assert adapter is None
    assert arguments[-1] == "build"
