"""`demo`, `up --sandbox` and `sandbox` where the sandbox extra is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from cscart_pipelines.cli import main as cli
from cscart_pipelines.cli.support import exit_codes


@pytest.mark.parametrize("words", ["demo", "up --sandbox", "sandbox"])
def test_without_its_extra_the_sandbox_is_refused_with_the_way_to_install_it(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.run(words.split()) == exit_codes.WRONG_USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert "lifetimes" in said
    assert "pip install 'cscart-pipelines[sandbox]'" in said
    assert not (tmp_path / "home").exists()
