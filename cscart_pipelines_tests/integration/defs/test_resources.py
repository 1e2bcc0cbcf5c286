"""The resource of ops and sensors: its fields, before the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.settings import SettingsError
from cscart_pipelines_tests.conftest import Database


def test_a_field_stands_before_the_variable_of_its_name(
    warehouse_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CSCART_PIPELINES_DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    monkeypatch.setenv("CSCART_PIPELINES_WRITE_SETTLE_SECONDS", "7")
    pipelines = Pipelines(home=str(tmp_path), database_url=warehouse_database.url, api_parallel=2)
    with pipelines.open() as app:
        assert app.registry.all() == []
        assert app.settings.home == tmp_path
        assert (app.settings.api_parallel, app.settings.write_settle_seconds) == (2, 7)


def test_a_field_is_checked_as_the_variable_is() -> None:
    with pytest.raises(SettingsError, match="CSCART_PIPELINES_API_PARALLEL is '99'"):
        Pipelines(api_parallel=99).open().__enter__()
