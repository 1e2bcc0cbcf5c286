"""A worker that pushes shipments and stock of one shop for ever, to be killed at any moment.

`python -m …support.fulfilment.worker KEY URL SETTLE PARALLEL TROUBLES`: for every line of its
standard input the process forks one worker and prints its process id; so a new worker costs no
imports. Workers end with the process that forked them. What a worker did not expect goes into the
file TROUBLES.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.fulfilment.push_session import PushFailedError, PushKind, open_push
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.sandbox.server import API_KEY, EMAIL
from cscart_pipelines.settings import read_settings
from cscart_pipelines.warehouse.connect import open_warehouse

READ_TIMEOUT = 0.6
TURN = 1.0
"""Seconds for which a worker waits until the other one has ended its push."""
KINDS: tuple[PushKind, ...] = ("shipments", "stock")
LOST = (psycopg.OperationalError, psycopg.InterfaceError)


def work(key: str, url: str, settle: float, parallel: int) -> None:
    """One round after the other, as long as the parent lives."""
    parent = os.getppid()
    settings = read_settings().model_copy(update={"write_settle_seconds": settle})
    with open_warehouse(settings) as warehouse:
        registry = Registry(warehouse, settings)
        while os.getppid() == parent:
            busy = False
            for kind in KINDS:
                client = ShopClient(
                    url, EMAIL, API_KEY, read_timeout=READ_TIMEOUT, max_parallel=parallel,
                    retries=4, backoff=(0.005, 0.05),
                )  # fmt: skip
                try:
                    with (
                        client,
                        open_push(
                            kind, warehouse, registry, settings, key, client=client,
                            run_id=f"worker-{os.getpid()}", wait=TURN,
                        ) as context,
                    ):  # fmt: skip
                        push = push_shipments if kind == "shipments" else push_stock
                        busy = push(context).calls > 0 or busy
                except ShopWriteLockedError:
                    busy = True
                except (PushFailedError, ShopError, *LOST):
                    busy = True
            if not busy:
                time.sleep(0.05)


def main(arguments: list[str]) -> None:
    key, url, settle, parallel, troubles = arguments
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    for _ in sys.stdin:
        worker = os.fork()
        if worker:
            print(worker, flush=True)
            continue
        try:
            work(key, url, float(settle), int(parallel))
        except BaseException:
            with Path(troubles).open("a") as file:
                file.write(traceback.format_exc())
        finally:
            os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
