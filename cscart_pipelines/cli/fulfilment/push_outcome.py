"""What `fulfilment ship`, `stock` and `undo` print in the end, and their exit code.

Not here: the commands (`push`), tables of changes and refused rows (`display`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from cscart_pipelines.cli.fulfilment.display import (
    place_in_file,
    print_push,
    print_refusals,
    print_release,
)
from cscart_pipelines.cli.fulfilment.feed_input import STDIN
from cscart_pipelines.cli.fulfilment.push_run import PushResult
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult
from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.push_session import PushKind


@dataclass(frozen=True)
class PushOptions:
    """The arguments and options of a command."""

    kind: PushKind
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


def print_outcome(
    options: PushOptions,
    outcome: PushResult | None,
    *,
    parsed: Parsed[Any] | None = None,
    receipt: IngestResult | None = None,
    still_held: int = 0,
) -> None:
    """Prints how a command ended.

    Args:
        options: of the command.
        outcome: of the push; None if nothing was pushed.
        parsed: the file, if one was read.
        receipt: what of it was taken into the inbox.
        still_held: stock levels that the circuit breaker holds.

    Raises:
        CommandError: the push ended early.
        typer.Exit: something was refused, held or failed.
    """
    of_file = receipt.refusals if receipt else parsed.refusals if parsed else []
    refusals = [*of_file, *(outcome.report.refusals if outcome else [])]
    refusals.sort(key=place_in_file)
    stopped = receipt is not None and receipt.state != "taken"
    if options.as_json:
        machine_output.print_json(
            {
                "integration": options.key,
                "kind": options.kind,
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
            console.out.print(f"  [yellow]![/] {formats.plain(note)}", soft_wrap=True)
        print_refusals(refusals)
        # Of a push that ended early without any change only the reason is printed.
        told = outcome is not None and (outcome.report.changes or outcome.report.refusals)
        if outcome is not None and (told or outcome.ended_early is None):
            print_push(
                outcome.report,
                refused=len(refusals),
                run_id=outcome.run_id,
                failure=outcome.failure,
            )
            if options.undo and not (outcome.report.changes or refusals):
                console.out.print("  Nothing of that run is left to undo.")
        elif outcome is None and not (options.queue or stopped):
            console.out.print(f"Nothing waits for {options.key}.")
        if still_held and not (outcome and outcome.report.held):
            console.out.print(f"  [red]held[/] {still_held:,} stock levels", soft_wrap=True)
            print_release(options.key)
    if outcome is not None and outcome.ended_early is not None:
        raise outcome.ended_early
    failed = outcome is not None and (outcome.report.problems or outcome.failure)
    if stopped or still_held or refusals or failed:
        raise typer.Exit(exit_codes.RUN_FAILED)
