"""The circuit breaker: a push that would empty the shop is held until a person releases it. Pure.

Not here: empty feeds and feeds older than the last one (`feeds/ingest_stock`), what holding means
(`inbox`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class BreakerDecision:
    """How many products would newly show zero, of how many that have stock now."""

    emptied: int
    stocked: int
    threshold: Decimal

    @property
    def held(self) -> str | None:
        """Why the push is held; None if it is not."""
        if self.emptied == 0 or self.emptied <= self.threshold * self.stocked:
            return None
        return (
            f"held: {self.emptied:,} of the {self.stocked:,} products with stock would be set to"
            f" zero, more than {float(self.threshold) * 100:g} %"
        )


def evaluate(
    amounts: Mapping[int, Decimal | None], on_hand: Mapping[int, Decimal], most_to_zero: Decimal
) -> BreakerDecision:
    """Evaluates one feed, whatever the rules make of it.

    Args:
        amounts: what every tracked product of the shop has now, by product id.
        on_hand: what the feed says, by product id.
        most_to_zero: the largest share of stocked products that may become zero, 0 to 1.
    """
    stocked = {product_id for product_id, amount in amounts.items() if (amount or 0) > 0}
    emptied = sum(
        1 for product_id, amount in on_hand.items() if amount <= 0 and product_id in stocked
    )
    return BreakerDecision(emptied, len(stocked), most_to_zero)
