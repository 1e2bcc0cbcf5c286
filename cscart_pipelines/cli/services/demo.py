"""`demo`: from nothing to lists and segments, on the sandbox shop; and its integration `demo`.

Not here: the visit to the storefront (`demo_visit`), the shop's process (`sandbox`).
"""

from __future__ import annotations

import contextlib
import time

from pydantic import SecretStr

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli import report_display, reports
from cscart_pipelines.cli.integration.manage import service_of
from cscart_pipelines.cli.integration.resync import ask_daemon
from cscart_pipelines.cli.services import child_processes
from cscart_pipelines.cli.services.collector import start_collector
from cscart_pipelines.cli.services.demo_visit import show_visit
from cscart_pipelines.cli.services.sandbox import require_sandbox_data, running_sandbox
from cscart_pipelines.cli.support import console
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cli.support.sync_run import sync_in_foreground
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.lifecycle import (
    Action,
    NotAllowedError,
    Status,
    rejection_reason,
)
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.settings import check

DEMO = "demo"
NO_SHOP = "the sandbox shop is not running; `make demo` and `make up SANDBOX=1` enable it again"
EXAMPLE_QUERY = "SELECT * FROM analytics.segment_members LIMIT 10"


def demo() -> None:
    """Try it: a sandbox shop is connected, synchronised and built.

    From nothing to lists and segments; then a visit to the shop's storefront changes the list.
    """
    started = time.monotonic()
    require_sandbox_data()
    console.out.print("[bold]A CS-Cart shop becomes lists, segments and metrics[/]\n")
    with (
        opened(make=True) as app,
        running_sandbox() as url,
        contextlib.ExitStack() as stack,
    ):
        collector, collector_url = start_collector(app.settings, port=0)
        stack.callback(child_processes.stop, collector)
        console.note(f"[green]✓[/] PostgreSQL, the sandbox shop ({url}) and the collector are up")
        connect_demo(app, url)
        stack.callback(disable_demo, app)
        sync_in_foreground(app, DEMO)
        console.note("[green]✓[/] synchronised, lists and segments built\n")
        report_display.print_overview(reports.overview(app, DEMO)[0])
        console.out.print()
        report_display.print_segments(reports.segment_rows(app, DEMO), DEMO)
        console.out.print()
        show_visit(app, DEMO, url, collector_url)
    console.out.print(
        f"\nDone in {time.monotonic() - started:.0f} s. The data stays to look at:\n"
        f'  {console.command("sql")} "{EXAMPLE_QUERY}"\n'
        f"  {console.command('integration add --help')}   connects your own shop\n"
        "  make up SANDBOX=1   shows this run, its lineage and checks in the Dagster UI\n"
        f"The sandbox shop has ended, and “{DEMO}” is disabled; both enable it again.",
        soft_wrap=True,
    )


def connect_demo(app: AppContext, url: str) -> None:
    """Saves the integration `demo`, or updates it to the sandbox's present address."""
    from cscart_pipelines.sandbox.server import SandboxShop

    shop = SandboxShop(catalogue="empty")
    key = SecretStr(shop.api_key)
    settings = check(
        {"integration": DEMO, "list_name": "Sandbox customers", "url": url, "email": shop.email}
    )
    found = test_connection(settings, key).model_dump(mode="json")
    try:
        known = app.registry.get(DEMO)
    except UnknownIntegrationError:
        app.registry.add(settings, key, found)
        console.note(f"[green]✓[/] connected as integration “{DEMO}”, the connection is tested")
        return
    if known.settings.url != url:
        # The sandbox's port changes from start to start; its host does not.
        app.registry.set_url(DEMO, url)
    app.registry.record_test(DEMO, found)
    if app.registry.get(DEMO).status is Status.DISABLED:
        service_of(app).enable(DEMO)
    console.out.print(f"[green]✓[/] integration “{DEMO}” is there already; it is updated")


def disable_demo(app: AppContext) -> None:
    """Disables `demo` at the end of its shop, which the schedule would report as unreachable."""
    app.registry.release_dead()
    with contextlib.suppress(NotAllowedError, UnknownIntegrationError):
        service_of(app).disable(DEMO, NO_SHOP)


def request_demo_sync(app: AppContext) -> None:
    """Asks the daemon for a synchronisation, where the status allows one."""
    standing = app.registry.standing(app.registry.get(DEMO))
    if (
        rejection_reason(Action.START, standing) is None
        or rejection_reason(Action.RESYNC, standing) is None
    ):
        ask_daemon(app, [DEMO], full=False)
