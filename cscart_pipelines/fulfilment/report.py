"""What a push did or would do, as plain data that the command line, Dagster and tests read.

Not here: any I/O, and how a report is displayed (`cli/fulfilment/display`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not, and will not be, carried out as it is. `source`: file:line, if known."""

    target: str
    reason: str
    source: str | None = None


@dataclass(frozen=True)
class WrittenChange:
    """One write: its target, the shop before and after, and how it ended.

    Attributes:
        state: a state of the journal; in a dry run always `planned`.
        note: what an operator should know, as the stock rules that had an effect.
        feed: stock on hand as the feed has it.
    """

    kind: str
    target: str
    state: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    note: str | None = None
    feed: int | float | None = None


@dataclass
class PushReport:
    """The outcome of one push to one shop."""

    integration: str
    kind: str
    """shipments or stock."""
    dry_run: bool = False
    changes: list[WrittenChange] = field(default_factory=list)
    refusals: list[RefusedRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Findings about the whole push: carriers without a code, statuses the shop does not have."""
    postponed: list[str] = field(default_factory=list)
    """Orders or products that could not be read, and why; their rows wait."""
    held: str | None = None
    """Why the circuit breaker holds the feed; nothing was written then."""
    unchanged: int = 0
    """Rows for which the shop already had what they ask for."""
    waiting: int = 0
    """Rows that still wait: beyond the limit, or unconfirmed."""
    calls: int = 0
    """Requests to the shop."""
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many changes ended in which state, and the rest."""
        found = Counter(change.state for change in self.changes)
        return {**found, "refused": len(self.refusals), "unchanged": self.unchanged}

    @property
    def problems(self) -> list[str]:
        """What makes a run fail: held feeds, failed or unread targets, ambiguous writes."""
        bad = [c for c in self.changes if c.state in ("failed", "ambiguous")]
        said = [f"{c.target}: {c.note or c.state}" for c in bad]
        return [*([self.held] if self.held else []), *said, *self.postponed]

    def to_json(self) -> dict[str, Any]:
        """Returns the report as plain data, with `counts`."""
        return {**asdict(self), "counts": self.counts}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PushReport:
        """Restores a report from `to_json`."""
        plain = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        plain["changes"] = [WrittenChange(**each) for each in plain.get("changes", [])]
        plain["refusals"] = [RefusedRow(**each) for each in plain.get("refusals", [])]
        return cls(**plain)
