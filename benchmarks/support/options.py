"""What a run of benchmarks is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SIZES = (2_000, 20_000, 200_000)
QUICK_SIZES = (2_000,)


def _silent(_: str) -> None:
    return None


@dataclass(frozen=True)
class Options:
    """`say` is told what is being done now."""

    orders: tuple[int, ...] = SIZES
    """Sizes of shops, ascending. No benchmark reads more orders than the largest."""
    quick: bool = False
    """Fewer rounds: figures are rough."""
    minutes: float = 60.0
    """How long an instance is left alone (`soak`)."""
    say: Callable[[str], object] = _silent
