"""What the numbers of the inbox mean: ours by prefix or because they were handed out, or whose."""

from __future__ import annotations

from cscart_pipelines.fulfilment.shipments.order_lookup import match_orders
from cscart_pipelines_tests.support.fulfilment.shops import Connect, connect

__all__ = ["connect"]


def test_numbers_are_ours_by_their_prefix_or_because_we_gave_them_out(connect: Connect) -> None:
    at = connect(order_prefix="CS")
    order = at.order()
    at.execute(
        "INSERT INTO fulfilment.orders (integration, order_number, order_id, status, ordered_at,"
        " total, currency, position, source_hash) VALUES (%s, 'OLD-9', 9, 'P', now(), 1, 'EUR', 1,"
        " '\\x00')",
        at.key,
    )
    spelled = [f"CS{order.order_id}", f" cs{order.order_id} ", "old-9", "CS", "9", "X1"]
    marked = [f'="CS{order.order_id}"', f"'CS{order.order_id}\u00a0", "'OLD-9"]
    with at.database.connect() as connection:
        meant = match_orders(connection, at.key, "CS", spelled)
        assert list(match_orders(connection, at.key, "CS", marked).orders.values()) == [
            order.order_id, order.order_id, 9,
        ]  # fmt: skip
        nothing = match_orders(connection, at.key, "CS", [])
    assert meant.orders == {spelled[0]: order.order_id, spelled[1]: order.order_id, "old-9": 9}
    assert list(meant.foreign) == ["CS", "9", "X1"]
    assert all("expected CS and the order's id" in reason for reason in meant.foreign.values())
    assert (nothing.orders, nothing.foreign) == ({}, {})


def test_a_foreign_number_names_whose_it_seems_to_be(connect: Connect) -> None:
    at = connect(order_prefix="CS")
    connect(key="other", order_prefix="OT")
    with at.database.connect() as connection:
        meant = match_orders(connection, at.key, "CS", ["OT12", "ZZ12"])
    assert meant.foreign["OT12"].endswith("it looks like an order of other")
    assert "looks like" not in meant.foreign["ZZ12"]
