"""A load generator for the collector.

`python -m benchmarks.processes.collector_load ADDRESS --key=KEY …`.
A process of its own, and cheap: raw keep-alive connections in one event loop, bodies made before
their second comes. Prints one JSON line: answers by status and the latency of each request that was
due (from when it was due, so that a stall counts for all that waited behind it).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import time

ORIGIN = "https://shop.example"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NAMES = ("page_view", "view_item", "view_item_list", "add_to_cart", "begin_checkout", "search")


def body(events: int, number: int) -> bytes:
    """A batch as a shop's pages send it; every tenth visitor is known."""
    now = time.time_ns() // 1_000_000
    given = [
        {
            "id": secrets.token_urlsafe(16),
            "name": NAMES[(number + place) % len(NAMES)],
            "at": now - 10 * place,
            "page": "/catalogue/shoes/?dispatch=products.view",
            "source": "hook",
            "items": [{"sku": f"SKU-{number % 500}", "product_id": str(number % 500)}],
        }
        for place in range(events)
    ]
    data = {"v": 1, "sent_at": now, "visitor": secrets.token_urlsafe(16), "events": given}
    if number % 10 == 0:
        data["identity"] = {"email_sha256": secrets.token_hex(32)}
        given[-1]["name"] = "login"
    return json.dumps(data, separators=(",", ":")).encode()


class Generator:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}
        self.number = 0

    async def run(self) -> None:
        started = time.monotonic()
        await asyncio.gather(*(self._client(place, started) for place in range(self.given.clients)))
        self.seconds = time.monotonic() - started

    async def _client(self, place: int, started: float) -> None:
        host, port = self.given.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        # Due at even distances over all clients; without a rate as fast as answers come.
        step = self.given.clients / self.given.rate if self.given.rate else 0.0
        due = started + step * place / self.given.clients
        while (now := time.monotonic()) < started + self.given.seconds:
            if step:
                if due > now:
                    await asyncio.sleep(due - now)
            else:
                due = now
            self.number += 1
            data = body(self.given.events, self.number)
            writer.write(
                f"POST /v1/events/{self.given.key} HTTP/1.1\r\nHost: c\r\nOrigin: {ORIGIN}\r\n"
                f"User-Agent: {AGENT}\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(data)}\r\n\r\n".encode()
                + data
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.latencies.append(time.monotonic() - due)
            status = head[9:12]
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status != "204":
                length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
                await reader.readexactly(int(length or 0))
                if "connection: close" in head.lower():
                    writer.close()
                    reader, writer = await asyncio.open_connection(host, int(port))
            due += step
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--key", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--events", type=int, default=5, help="of one batch")
    parser.add_argument("--rate", type=float, default=0, help="batches a second; 0: all that go")
    generator = Generator(parser.parse_args())
    try:
        import uvloop

        uvloop.run(generator.run())
    except ImportError:
        asyncio.run(generator.run())
    found = sorted(generator.latencies)
    print(
        json.dumps(
            {
                "seconds": generator.seconds,
                "statuses": generator.statuses,
                "latencies": [round(one, 5) for one in found],
            }
        )
    )


if __name__ == "__main__":
    main()
