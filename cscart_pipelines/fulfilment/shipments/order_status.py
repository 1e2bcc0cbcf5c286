"""Which status an order gets when its tracking is in: shipped, partially shipped, or none. Pure.

Not here: reading the shop's statuses (`reference_data`), writing one (`status_update`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cscart_pipelines.cscart.status_names import StatusNames
from cscart_pipelines.integrations.settings import IntegrationSettings

_FINAL_STATUSES = {"I": "cancelled", "N": "incomplete", "T": "a parent order"}
_FAILED_STATUSES = "FD"
"""Failed and declined, unless the shop says that it keeps the stock for them."""
_BACKORDERED = "B"
"""Gives stock back as well, but is still to be shipped (reference 8.5)."""

Statuses = Mapping[str, tuple[str | None, str | None]]
"""Letter to description and inventory flag: D takes stock, I gives it back."""


@dataclass(frozen=True)
class TargetStatus:
    """The status to write. `letter`: None for none; `reason`: why."""

    letter: str | None
    reason: str


def target_status(
    order_status_now: str,
    left_after: Decimal,
    settings: IntegrationSettings,
    shop_statuses: Statuses,
) -> TargetStatus:
    """Returns the status that an order should get.

    Args:
        order_status_now: letter of its status in the shop.
        left_after: pieces of the order that no shipment holds.
        settings: with the shipped and partially shipped status.
        shop_statuses: those that the shop has.
    """
    if why := _untouchable_reason(order_status_now, shop_statuses):
        return TargetStatus(None, f"order status left at {_label(order_status_now, shop_statuses)}:"
                                f" the order is {why}")  # fmt: skip
    word, configured, when = (
        ("shipped", settings.shipped_status, "everything has shipped")
        if left_after <= 0
        else (
            "partially shipped",
            settings.partially_shipped_status,
            f"{left_after} {'piece is' if left_after == 1 else 'pieces are'} still to ship",
        )
    )
    if not configured:
        return TargetStatus(None, f"{when}, and no {word} status is configured")
    letter = _letter_of(configured, shop_statuses)
    if letter is None:
        has = ", ".join(_label(each, shop_statuses) for each in sorted(shop_statuses)) or "none"
        return TargetStatus(
            None, f"{when}, but the shop has no status {configured!r} ({word} status); it has {has}"
        )
    if letter == order_status_now:
        return TargetStatus(
            None, f"{when}, and the order is {_label(letter, shop_statuses)} already"
        )
    return TargetStatus(letter, f"{when}: {_label(letter, shop_statuses)}")


def _untouchable_reason(now: str, statuses: Statuses) -> str | None:
    """Why the status of an order is not changed any more."""
    if now in _FINAL_STATUSES:
        return _FINAL_STATUSES[now]
    inventory = statuses[now][1] if now in statuses else None
    if now == _BACKORDERED:
        return None
    if inventory == "I" or (inventory is None and now in _FAILED_STATUSES):
        return "given up: its status gives the stock back"
    return None


def _letter_of(configured: str, statuses: Statuses) -> str | None:
    """A letter or a name, among the statuses that the shop has now."""
    names = StatusNames({letter: name or "" for letter, (name, _) in statuses.items()})
    letter = names.letter(configured)
    return letter if letter in statuses else None


def _label(letter: str, statuses: Statuses) -> str:
    description = statuses[letter][0] if letter in statuses else None
    return f"{letter} ({description})" if description else letter
