"""What the sandbox tests share: an API session, a shop with a few orders, sample bodies."""

from __future__ import annotations

import json
from typing import Any

import requests

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests import PROJECT_ROOT

VERSIONS = ("4.7", "4.12", "4.13", "4.16", "4.20")
NOW = 1_750_000_000
SAMPLES = PROJECT_ROOT / "cscart_pipelines_tests" / "samples"


class Api:
    """A session on one shop: ``api.get("orders", page=2)`` under `/api/2.0/`."""

    def __init__(self, shop: SandboxShop) -> None:
        self.shop = shop
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (shop.email, shop.api_key)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(
            method, f"{self.shop.url}/{path}", timeout=20, allow_redirects=False, **options
        )

    def get(self, entity: str, **params: Any) -> Any:
        return self.call("GET", f"api/2.0/{entity}", params=params).json()

    def put(self, entity: str, body: Any) -> requests.Response:
        return self.call("PUT", f"api/2.0/{entity}", json=body)

    def post(self, entity: str, body: Any) -> requests.Response:
        return self.call("POST", f"api/2.0/{entity}", json=body)

    def delete(self, entity: str) -> requests.Response:
        return self.call("DELETE", f"api/2.0/{entity}")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def small_shop(profile: str = "4.20", orders: int = 5, **options: Any) -> SandboxShop:
    """A shop at a standing clock with that many orders, one an hour, ids from 1001."""
    clock = options.pop("clock", Clock())
    shop = SandboxShop(profile, clock=clock, **options)
    for number in range(orders):
        shop.store.place_order(
            email=f"buyer{number}@example.com",
            firstname="Guest",
            lastname=f"Buyer{number}",
            lines=[(1, 2), (2, 1)],
            timestamp=NOW - (orders - number) * 3600,
        )
    return shop
