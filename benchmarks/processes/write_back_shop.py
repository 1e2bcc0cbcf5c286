"""The shop that is written to, in a process of its own; slow on demand.

`python -m benchmarks.processes.write_back_shop ORDERS PRODUCTS` serves until its standard input
closes. Every order has two lines. Not here: what is written (`write_back`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sandbox.shop.store import Store

SOLD = 20
"""Products that are ordered; the others only have stock."""
FIRST_ORDER = 1001


class WriteBackShop:
    """A running shop, with the words to make it slow."""

    def __init__(self, ready: dict[str, str]) -> None:
        self.url, self.email, self.api_key = ready["url"], ready["email"], ready["api_key"]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (self.email, self.api_key)

    def answer_after(self, seconds: float) -> None:
        """So long every request takes from now on."""
        self._call("DELETE", None)
        if seconds:
            self._call("POST", {"kind": "latency", "seconds": seconds})

    def _call(self, method: str, body: dict[str, object] | None) -> None:
        address = f"{self.url}/_sandbox/faults"
        self._session.request(method, address, json=body, timeout=60).raise_for_status()


@contextmanager
def serve(orders: int, products: int) -> Iterator[WriteBackShop]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.processes.write_back_shop",
        str(orders),
        str(products),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the shop ended without a word")
            yield WriteBackShop(json.loads(line))
        finally:
            process.stdin.close()  # the shop ends with it
            process.wait(30)


def main(orders: int, products: int) -> None:
    def fill(store: Store) -> None:
        store.add_category("All")
        for number in range(1, SOLD + products + 1):
            store.add_product(
                f"Product {number}",
                10,
                product_code=code(number),
                amount=1_000_000,
                main_category=1,
            )
        for number in range(orders):
            store.place_order(lines=[(number % SOLD + 1, 1), ((number + 7) % SOLD + 1, 2)])

    with SandboxShop("4.20", fill) as shop:
        ready = {"url": shop.url, "email": shop.email, "api_key": shop.api_key}
        print(json.dumps(ready), flush=True)
        sys.stdin.read()


def code(product: int) -> str:
    """The product code, and SKU, of a product."""
    return f"P-{product}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
