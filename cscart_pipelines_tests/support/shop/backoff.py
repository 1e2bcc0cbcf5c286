"""A client that waits for no shop between two tries."""

from __future__ import annotations

import pytest

from cscart_pipelines.cscart.client import ShopClient


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of any shop tries again at once."""
    defaults = ShopClient.__init__.__kwdefaults__
    assert defaults["backoff"]
    monkeypatch.setitem(defaults, "backoff", (0.0, 0.0))
