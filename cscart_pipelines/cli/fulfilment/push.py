"""`fulfilment ship`, `stock` and `undo`: into the inbox, into the shop, and back.

Not here: reading files (`fulfilment.feed_files`), what is written (`fulfilment.tracking`, `stock`),
the run (`pushing`).
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.fulfilment.display import (
    place_in_file,
    print_push,
    print_queued,
    print_receipt,
    print_refusals,
    print_release,
)
from cscart_pipelines.cli.fulfilment.feed_input import STDIN, File, read_feed
from cscart_pipelines.cli.fulfilment.push_run import (
    PushResult,
    closed_reason,
    held,
    run_push,
    waiting,
)
from cscart_pipelines.cli.integration.status import Json, Key
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.confirm import Yes, can_ask, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.fulfilment import push_session
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult, ingest, record_unreadable
from cscart_pipelines.fulfilment.feeds.parse import Parsed, UnreadableFileError
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.fulfilment.stock.undo import undo as undo_run
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import Integration

TURN_SECONDS = 30.0
"""A push that is under way is waited for so long."""
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


@dataclass(frozen=True)
class PushOptions:
    """What was asked for."""

    kind: push_session.PushKind
    key: str
    file: Path | None
    queue: bool = False
    dry_run: bool = False
    release: bool = False
    limit: int | None = None
    as_json: bool = False
    undo: str | None = None
    yes: bool = False

    @property
    def source(self) -> str:
        """The file as refusals name it."""
        return "stdin" if self.file is None or str(self.file) == STDIN else self.file.name


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
    _carry(PushOptions("shipments", key, file, queue, dry_run, False, limit, as_json, yes=yes))


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
    _carry(PushOptions("stock", key, file, queue, dry_run, release, limit, as_json, yes=yes))


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
    wish = PushOptions("stock", key, None, dry_run=dry_run, as_json=as_json, undo=run)
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
            outcome = _here(app, wish, run_id)
    _judge(wish, outcome)


# --- ship and stock ------------------------------------------------------------------------------


def _carry(wish: PushOptions) -> None:
    if wish.queue and (wish.dry_run or wish.release):
        other = "--dry-run" if wish.dry_run else "--release"
        raise exit_codes.CommandError(
            f"--queue and {other} exclude each other", exit_codes.WRONG_USAGE
        )
    if wish.queue and wish.file is None:
        raise exit_codes.CommandError(
            "--queue: there is no FILE to put there", exit_codes.WRONG_USAGE
        )
    with opened() as app:
        integration = app.registry.get(wish.key)
        closed = closed_reason(app, integration, wish.kind)
        if closed is not None and not wish.queue:
            raise NotAllowedError(closed)
        parsed = None if wish.file is None else _parsed(app, wish, integration)
        if wish.dry_run:
            with console.err.status("comparing with the shop"):
                outcome = _here(app, wish, None, parsed)
            _judge(wish, outcome, parsed=parsed)
            return
        _confirm(wish, parsed)
        receipt = None
        if parsed is not None:
            with app.warehouse.connect(autocommit=True) as connection:
                receipt = ingest(connection, wish.key, wish.kind, wish.source, parsed)
        if wish.release and (receipt is None or receipt.state == "taken"):
            # Now, not when the push has its turn: what is held until then nobody has looked at.
            with app.warehouse.connect() as connection:
                rows, feed = (parsed.rows, receipt.feed_id) if parsed and receipt else ((), None)
                stock_inbox.release(connection, wish.key, rows, feed_id=feed)
        if receipt is not None and not wish.as_json:
            print_receipt(wish.source, receipt)
            if wish.queue and receipt.state == "taken":
                print_queued(wish.key, wish.kind, closed)
        pushed = None
        stopped = wish.queue or (receipt is not None and receipt.state != "taken")
        files = not wish.release
        if not stopped and waiting(app, wish.key, wish.kind, files=files):
            pushed = run_push(app, wish.key, wish.kind, limit=wish.limit, files=files)
        still_held = 0 if wish.queue else held(app, wish.key, wish.kind)
    _judge(wish, pushed, parsed=parsed, receipt=receipt, still_held=still_held)


def _confirm(wish: PushOptions, parsed: Parsed[Any] | None) -> None:
    """Asks before rows are written. A script that names what it sends is not asked; nobody but a
    person can know that a held feed is right."""
    if wish.queue or not (wish.release or can_ask()):
        return
    what = "shipments" if wish.kind == "shipments" else "stock levels"
    source = "what waits"
    if parsed is not None:
        source = f"{console.count(len(parsed.rows), 'row')} of {wish.source}"
    held_back = ", also what the circuit breaker holds" * wish.release
    confirm(
        f"This writes {what} to the shop {wish.key}: {source}{held_back}; --dry-run shows it",
        yes=wish.yes,
    )


def _parsed(app: AppContext, wish: PushOptions, integration: Integration) -> Parsed[Any]:
    assert wish.file is not None
    zone = integration.settings.zone
    try:
        return read_feed(wish.kind, wish.file, wish.source, zone)
    except UnreadableFileError as error:
        if not wish.dry_run:
            with app.warehouse.connect(autocommit=True) as connection:
                record_unreadable(connection, wish.key, wish.kind, wish.source, str(error))
        raise exit_codes.CommandError(f"{wish.source}: {error}", exit_codes.WRONG_USAGE) from None


def _here(
    app: AppContext,
    wish: PushOptions,
    run_id: str | None,
    parsed: Parsed[Any] | None = None,
) -> PushResult:
    """In this process: what only looks, and what a person waits for without a bar."""
    rows = None if parsed is None else parsed.rows
    try:
        with push_session.open_push(
            wish.kind, app.warehouse, app.registry, app.settings, wish.key,
            run_id=run_id, limit=wish.limit, dry_run=wish.dry_run, wait=TURN_SECONDS,
            ignore_disabled=wish.undo is not None,
        ) as context:  # fmt: skip
            if wish.undo is not None:
                report = undo_run(context, wish.undo)
            elif wish.kind == "stock":
                report = push_stock(context, rows, release=wish.release)
            else:
                report = push_shipments(context, rows)
    except push_session.PushFailedError as error:
        report = error.report
    except LookupError as error:
        if wish.undo is None or type(error) is not LookupError:
            raise
        raise exit_codes.CommandError(str(error), exit_codes.WRONG_USAGE) from None
    return PushResult(report, run_id)


# --- how it ended --------------------------------------------------------------------------------


def _judge(
    wish: PushOptions,
    outcome: PushResult | None,
    *,
    parsed: Parsed[Any] | None = None,
    receipt: IngestResult | None = None,
    still_held: int = 0,
) -> None:
    """Prints what there is to say. Raises typer.Exit unless all of it went through, CommandError
    when the push was ended before its time."""
    of_file = receipt.refusals if receipt else parsed.refusals if parsed else []
    refusals = [*of_file, *(outcome.report.refusals if outcome else [])]
    refusals.sort(key=place_in_file)
    stopped = receipt is not None and receipt.state != "taken"
    if wish.as_json:
        console.print_json(
            {
                "integration": wish.key,
                "kind": wish.kind,
                "feed": asdict(receipt) if receipt else None,
                "refusals": [asdict(refusal) for refusal in refusals],
                "push": outcome.report.to_json() if outcome else None,
                "failure": outcome.failure if outcome else None,
                "held": still_held,
                "run_id": outcome.run_id if outcome else None,
            }
        )
    else:
        for note in receipt.notes if receipt else parsed.notes if parsed else []:
            console.out.print(f"  [yellow]![/] {console.plain(note)}", soft_wrap=True)
        print_refusals(refusals)
        # A push that was ended before its time, with nothing to tell, says only why.
        told = outcome is not None and (outcome.report.changes or outcome.report.refusals)
        if outcome is not None and (told or outcome.trouble is None):
            print_push(
                outcome.report,
                refused=len(refusals),
                run_id=outcome.run_id,
                failure=outcome.failure,
            )
            if wish.undo and not (outcome.report.changes or refusals):
                console.out.print("  Nothing of that run is left to undo.")
        elif outcome is None and not (wish.queue or stopped):
            console.out.print(f"Nothing waits for {wish.key}.")
        if still_held and not (outcome and outcome.report.held):
            console.out.print(f"  [red]held[/] {still_held:,} stock levels", soft_wrap=True)
            print_release(wish.key)
    if outcome is not None and outcome.trouble is not None:
        raise outcome.trouble
    failed = outcome is not None and (outcome.report.problems or outcome.failure)
    if stopped or still_held or refusals or failed:
        raise typer.Exit(exit_codes.RUN_FAILED)
