"""`fulfilment ship`, `stock` and `undo`: into the inbox, into the shop, and back.

Not here: reading files (`feed_input`), what is written (`fulfilment.shipments`,
`fulfilment.stock`), the run (`push_run`).
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.fulfilment.display import print_queued, print_receipt
from cscart_pipelines.cli.fulfilment.feed_input import File, read_feed
from cscart_pipelines.cli.fulfilment.push_outcome import PushOptions, print_outcome
from cscart_pipelines.cli.fulfilment.push_run import PushResult, closed_reason, run_push
from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.arguments import Json, Key
from cscart_pipelines.cli.support.confirm import Yes, can_ask, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.fulfilment import push_session
from cscart_pipelines.fulfilment.feeds.ingest import ingest, record_unreadable
from cscart_pipelines.fulfilment.feeds.parse import Parsed, UnreadableFileError
from cscart_pipelines.fulfilment.pushes.due import held_rows, open_work
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.fulfilment.stock.undo import undo as undo_run
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import Integration

LOCK_WAIT_SECONDS = 30.0
"""A command waits so long for the write lock of the shop."""
Queue = Annotated[
    bool,
    typer.Option(
        "--queue", help="Only put the rows into the inbox; the daemon of `up` pushes them."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Write at most N orders (ship) or SKUs (stock)."),
]


def ship(
    key: Key,
    file: File = None,
    queue: Queue = False,
    dry_run: DryRun = False,
    limit: Limit = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write tracking numbers to the shop, then the order's status.

    Columns: order_number,tracking_number,carrier,tracking_url,shipped_at,sku,quantity; an empty
    sku means all that is left of the order.
    """
    _push(PushOptions("shipments", key, file, queue, dry_run, False, limit, as_json, yes=yes))


def stock(
    key: Key,
    file: File = None,
    queue: Queue = False,
    dry_run: DryRun = False,
    release: Annotated[
        bool, typer.Option("--release", help="Write a feed that the circuit breaker holds.")
    ] = False,
    limit: Limit = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write stock levels to the shop, where they differ.

    Columns: sku,quantity[,as_of]; as_of is when it was counted.
    """
    _push(PushOptions("stock", key, file, queue, dry_run, release, limit, as_json, yes=yes))


def undo(
    key: Key,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Id of the run, as `fulfilment journal` shows it.")
    ],
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Undo the stock that one run has written.

    Products get the amounts that they had before, less what was sold since.
    """
    options = PushOptions("stock", key, None, dry_run=dry_run, as_json=as_json, undo=run)
    with opened() as app:
        app.registry.get(key)
        if not dry_run:
            confirm(
                f"This writes the amounts from before the run {run} to the shop {key};"
                " --dry-run shows them",
                yes=yes,
            )
        run_id = None if dry_run else f"undo-{secrets.token_hex(4)}"
        with console.err.status("restoring amounts"):
            outcome = _push_here(app, options, run_id)
    print_outcome(options, outcome)


# --- ship and stock ------------------------------------------------------------------------------


def _push(options: PushOptions) -> None:
    if options.queue and (options.dry_run or options.release):
        other = "--dry-run" if options.dry_run else "--release"
        raise exit_codes.CommandError(
            f"--queue and {other} exclude each other", exit_codes.WRONG_USAGE
        )
    if options.queue and options.file is None:
        raise exit_codes.CommandError(
            "--queue: there is no FILE to put there", exit_codes.WRONG_USAGE
        )
    with opened() as app:
        integration = app.registry.get(options.key)
        closed = closed_reason(app, integration, options.kind)
        if closed is not None and not options.queue:
            raise NotAllowedError(closed)
        parsed = None if options.file is None else _parsed(app, options, integration)
        if options.dry_run:
            with console.err.status("comparing with the shop"):
                outcome = _push_here(app, options, None, parsed)
            print_outcome(options, outcome, parsed=parsed)
            return
        _confirm(options, parsed)
        receipt = None
        if parsed is not None:
            with app.warehouse.connect(autocommit=True) as connection:
                receipt = ingest(connection, options.key, options.kind, options.source, parsed)
        if options.release and (receipt is None or receipt.state == "taken"):
            # Now, not when the push begins: feeds that are held until then have not been looked at.
            with app.warehouse.connect() as connection:
                rows, feed = (parsed.rows, receipt.feed_id) if parsed and receipt else ((), None)
                stock_inbox.release(connection, options.key, rows, feed_id=feed)
        if receipt is not None and not options.as_json:
            print_receipt(options.source, receipt)
            if options.queue and receipt.state == "taken":
                print_queued(options.key, options.kind, closed)
        pushed = None
        stopped = options.queue or (receipt is not None and receipt.state != "taken")
        files = not options.release
        if not stopped and open_work(app, options.key, options.kind, files=files):
            pushed = run_push(app, options.key, options.kind, limit=options.limit, files=files)
        still_held = 0
        if not options.queue:
            with app.warehouse.connect(autocommit=True) as connection:
                still_held = held_rows(connection, options.key, options.kind)
    print_outcome(options, pushed, parsed=parsed, receipt=receipt, still_held=still_held)


def _confirm(options: PushOptions, parsed: Parsed[Any] | None) -> None:
    """Asks before rows are written.

    A script that names what it sends is not asked, except to release a held feed: that such a feed
    is right is a person's decision.
    """
    if options.queue or not (options.release or can_ask()):
        return
    what = "shipments" if options.kind == "shipments" else "stock levels"
    source = "what waits"
    if parsed is not None:
        source = f"{formats.count(len(parsed.rows), 'row')} of {options.source}"
    held_back = ", also what the circuit breaker holds" * options.release
    confirm(
        f"This writes {what} to the shop {options.key}: {source}{held_back}; --dry-run shows it",
        yes=options.yes,
    )


def _parsed(app: AppContext, options: PushOptions, integration: Integration) -> Parsed[Any]:
    assert options.file is not None
    zone = integration.settings.zone
    try:
        return read_feed(options.kind, options.file, options.source, zone)
    except UnreadableFileError as error:
        if not options.dry_run:
            with app.warehouse.connect(autocommit=True) as connection:
                record_unreadable(connection, options.key, options.kind, options.source, str(error))
        raise exit_codes.CommandError(
            f"{options.source}: {error}", exit_codes.WRONG_USAGE
        ) from None


def _push_here(
    app: AppContext,
    options: PushOptions,
    run_id: str | None,
    parsed: Parsed[Any] | None = None,
) -> PushResult:
    """Runs a dry run or an undo in this process, without a run of Dagster."""
    rows = None if parsed is None else parsed.rows
    try:
        with push_session.open_push(
            options.kind, app.warehouse, app.registry, app.settings, options.key,
            run_id=run_id, limit=options.limit, dry_run=options.dry_run, wait=LOCK_WAIT_SECONDS,
            ignore_disabled=options.undo is not None,
        ) as context:  # fmt: skip
            if options.undo is not None:
                report = undo_run(context, options.undo)
            elif options.kind == "stock":
                report = push_stock(context, rows, release=options.release)
            else:
                report = push_shipments(context, rows)
    except push_session.PushFailedError as error:
        report = error.report
    except LookupError as error:
        if options.undo is None or type(error) is not LookupError:
            raise
        raise exit_codes.CommandError(str(error), exit_codes.WRONG_USAGE) from None
    return PushResult(report, run_id)
