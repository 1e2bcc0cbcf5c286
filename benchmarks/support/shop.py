"""The shop that is read: prepared pages of any number of orders, served by a process of its own.

What it serves is `cscart_pipelines.sandbox.benchmark_server`; here is only how a benchmark gets it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from benchmarks.support.measure import cpu_of
from cscart_pipelines.sandbox.benchmark_server import CHANGED_EVERY, CannedShop
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.server import API_KEY, EMAIL

__all__ = ["CHANGED_EVERY", "ShopProcess", "pages", "serve"]


class ShopProcess:
    """A running shop."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, str]) -> None:
        self.url, self.email, self.api_key = ready["url"], ready["email"], ready["api_key"]
        self._pid = process.pid
        self._asked = 0  # by us, so not by whom we measure
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (self.email, self.api_key)

    def change(self) -> int:
        """A day passes, every 100th order changes. How many those are."""
        return int(self._call("POST", "change")["changed"])

    def requests_served(self) -> int:
        """Since the start, ours not counted."""
        served = int(self._call("GET", "state")["requests"])
        return served - self._asked

    def cpu(self) -> float:
        return cpu_of(self._pid)

    def _call(self, method: str, name: str) -> Any:
        self._asked += 1
        answer = self._session.request(method, f"{self.url}/api/_sandbox/{name}", timeout=60)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def serve(orders: int) -> Iterator[ShopProcess]:
    """A shop of so many orders, and a third as many customers."""
    command = [
        sys.executable,
        "-m",
        "cscart_pipelines.sandbox.benchmark_server",
        "--orders",
        str(orders),
    ]
    with subprocess.Popen(
        [*command, "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the shop ended without a word")
            yield ShopProcess(process, json.loads(line))
        finally:
            process.stdin.close()  # the shop ends with it
            process.wait(30)


def pages(path: str, orders: int, size: int) -> list[bytes]:
    """The bodies of all pages of a list (`orders?get_orders_data=1`), without any network."""
    shop = CannedShop(orders)
    entity, _, query = path.partition("?")
    key = b64encode(f"{EMAIL}:{API_KEY}".encode()).decode()
    rows = shop.users if entity == "users" else orders
    return [
        shop.respond(
            Request(
                "GET",
                f"/api/{entity}",
                f"{query}&items_per_page={size}&page={page}&sort_order=asc",
                {"authorization": f"Basic {key}"},
            )
        ).answer.body
        for page in range(1, -(-rows // size) + 1)
    ]
