"""What happens when a client writes: statuses, re-pricing, shipments, stock, accounts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cscart_pipelines.sandbox.shop.model import Mail
from cscart_pipelines.sandbox.shop.shipments import ShipmentRefusedError
from cscart_pipelines_tests.support.shop.sandboxes import (
    NOW,
    VERSIONS,
    Api,
    Clock,
    sample,
    small_shop,
)


def mailed(mails: list[Mail]) -> list[str]:
    return [mail.kind for mail in mails]


def test_the_quick_status_put_says_200_whatever_happens() -> None:
    clock = Clock()
    with small_shop(clock=clock) as shop:
        api = Api(shop)
        clock.now += 60
        missing = api.put("orders/99999999", {"status": "P"})
        same = api.put("orders/1001", {"status": "O"})
        assert shop.store.orders[1001].updated_at != NOW + 60
        real = api.put("orders/1001", {"status": "P"})
        assert shop.store.orders[1001].updated_at == NOW + 60
    assert missing.status_code == same.status_code == real.status_code == 200
    assert missing.json() == {"order_id": "99999999"} and real.json() == {"order_id": "1001"}


def test_status_letters_are_not_validated_but_cut() -> None:
    with small_shop() as shop:
        api = Api(shop)
        for sent, stored in (("Processed", "P"), ("Shipped", "S"), ("p", "p"), ("N", "N")):
            api.put("orders/1001", {"status": sent})
            assert shop.store.orders[1001].status == stored
        assert len(api.get("orders")["orders"]) == 4  # N left the default list


def test_old_shops_recalculate_on_every_put_and_know_unknown_orders() -> None:
    with small_shop("4.7") as shop:
        shop.store.edit_product(1, price=Decimal("100.00"))
        api = Api(shop)
        assert api.put("orders/99999999", {"status": "P"}).status_code == 400
        assert api.put("orders/1001", {"status": "P"}).json() == {"order_id": "1001"}
        order = shop.store.orders[1001]
        assert (order.status, order.total) == ("P", Decimal("219.95"))


def test_any_other_key_reprices_the_order_at_todays_prices() -> None:
    with small_shop("4.20") as shop:
        before = shop.store.orders[1001].total
        shop.store.edit_product(1, price=Decimal("100.00"))
        api = Api(shop)
        api.put("orders/1001", {"status": "P"})
        assert shop.store.orders[1001].total == before == Decimal("39.85")
        api.put("orders/1001", {"status": "C", "notes": "hello"})
        order = shop.store.orders[1001]
        assert (order.total, order.notes, order.status) == (Decimal("219.95"), "hello", "C")
        api.put("orders/1001", {"products": {"x": {"product_id": 3, "amount": 2, "price": 1}}})
        assert [(line.product_id, line.amount) for line in order.lines] == [(3, 2)]
        api.put("orders/1001", {"total": "7.50"})
        assert order.total == Decimal("7.50")
        assert api.put("orders/9", {"notes": "x"}).status_code == 400


def test_status_mails_go_out_only_with_a_flag_and_any_value_is_one() -> None:
    with small_shop() as shop:
        api = Api(shop)
        api.put("orders/1001", {"status": "P"})
        assert shop.mails == []
        api.put("orders/1001", {"status": "C", "notify_user": "false"})
        assert [(m.kind, m.to) for m in shop.mails] == [("order_status", "buyer0@example.com")]
        api.put("orders/1002", {"status": "C", "notify_department": "Y", "notify_user": 0})
        assert [m.to for m in shop.mails[1:]] == ["department"]


def test_stock_moves_by_the_new_statuss_flag_and_may_end_in_backorder() -> None:
    with small_shop(orders=1) as shop:
        store, api = shop.store, Api(shop)
        assert store.products[1].amount == 98
        api.put("orders/1001", {"status": "C"})
        assert store.products[1].amount == 98
        api.put("orders/1001", {"status": "I"})
        assert store.products[1].amount == 100
        store.set_stock(1, 1)
        api.put("orders/1001", {"status": "P"})
        assert store.orders[1001].status == "B" and store.products[1].amount == 1


def test_deleting_an_order_gives_stock_back_and_removes_its_shipments() -> None:
    with small_shop(orders=1) as shop:
        shop.store.create_shipment(1001)
        api = Api(shop)
        gone = api.delete("orders/1001")
        assert (gone.status_code, gone.content) == (204, b"")
        assert shop.store.products[1].amount == 100 and not shop.store.shipments
        assert api.delete("orders/1001").status_code == 404


def test_creating_an_order() -> None:
    body = {
        "user_id": "0",
        "payment_id": "2",
        "shipping_id": "1",
        "products": {"1": {"product_id": "1", "amount": "3"}},
        "user_data": {"email": "new@example.com", "firstname": "N" * 40, "s_country": "IE"},
    }
    with small_shop(orders=0) as shop:
        api = Api(shop)
        assert api.post("orders", body).status_code == 400  # without the store's prefix
        made = api.post("stores/1/orders", body)
        short = api.post("stores/1/orders", body | {"payment_id": ""})
    assert made.status_code == 201
    answer = made.json()
    assert answer["order_id"] == 1001 and answer["order_data"]["total"] == "29.85"
    assert len(answer["order_data"]["firstname"]) == 32
    assert answer["order_data"]["s_country_descr"] == "Ireland"
    assert short.json()["messages"] == ["The payment_id field is required"]
    with small_shop("4.7", orders=0) as shop:
        assert Api(shop).post("stores/1/orders", body).json() == {"order_id": "1001"}


def test_shipments_are_clamped_to_what_is_left() -> None:
    with small_shop() as shop:
        order = shop.store.orders[1001]
        first, second = (line.item_id for line in order.lines)
        api = Api(shop)
        base = {"order_id": 1001, "shipping_id": 1, "carrier": "ups", "tracking_number": "1Z"}
        before = order.updated_at
        one = api.post("shipments", base | {"products": {first: 1}})
        most = api.post("shipments", base | {"products": {first: 9}})
        nothing = api.post("shipments", base | {"products": {second: 0}})
        rest = api.post("shipments", base)
        done = api.post("shipments", base)
        assert one.status_code == 201 and one.json() == {"shipment_id": 301}
        shown = api.get(f"shipments/{most.json()['shipment_id']}")
        assert shown["products"] == {first: "1"}
        assert shop.store.shipments[rest.json()["shipment_id"]].products == {second: 1}
        assert (order.status, order.updated_at) == ("O", before)
        detail = api.get("orders/1001")
        assert detail["shipment_ids"] == ["301", "302", "303"]
        assert "need_shipment" not in detail["shipping"][0]
    assert nothing.json()["messages"] == ["Products for shipment were not selected"]
    assert done.json() == sample("error-400-shipment-all-shipped.synthetic")


@pytest.mark.parametrize("version", VERSIONS)
def test_shipment_rules_by_version(version: str) -> None:
    newer = version in ("4.16", "4.20")
    with small_shop(version) as shop:
        api = Api(shop)
        bare = api.post("shipments", {"order_id": 1001, "shipping_id": 1})
        body = {"order_id": 1001, "shipping_id": 1, "tracking_number": "N" * 300}
        assert api.post("shipments", body).status_code == 201
        assert len(shop.store.shipments[301].tracking_number) == 255
        always = ["shipment"] if version in ("4.12", "4.13", "4.16") else []
        assert mailed(shop.mails) == always
        wrong = api.put("shipments/301", {"carrier": "ups"})
        right = api.put("shipments/301", {"tracking_number": "T2", "status": "S"})
        if newer:
            assert right.json() == {"shipment_id": "301"}
            assert shop.store.shipments[301].tracking_number == "T2"
            assert api.put("shipments/301", {"status": "Z"}).status_code == 400
            assert api.put("shipments/999", {"comments": "x"}).status_code == 200
        else:
            assert right.status_code == 400
        assert api.delete("shipments/301").status_code == 204
        assert api.delete("shipments/301").status_code == 404
    assert bare.status_code == wrong.status_code == 400
    if newer:
        assert bare.json() == sample("error-400-shipment-carrier-4.16.synthetic")
        assert wrong.json() == sample("error-400-shipment-update-4.15.synthetic")
    else:
        assert bare.json() == {"message": "Bad Request", "status": 400}


def test_shipment_mail_on_4_20_needs_the_flag_and_order_status_mails_by_itself() -> None:
    with small_shop("4.20") as shop:
        api = Api(shop)
        body = {"order_id": 1001, "shipping_id": 1, "carrier": "ups", "notify_user": 1}
        api.post("shipments", body | {"order_status": "C"})
        assert mailed(shop.mails) == ["shipment", "order_status"]
        assert shop.store.orders[1001].status == "C"


def test_a_missing_field_of_a_shipment_is_named() -> None:
    with small_shop("4.7") as shop:
        answer = Api(shop).post("shipments", {"carrier": "ups"})
    assert answer.json() == sample("error-400-pre4.11.synthetic")


def test_writing_stock_sets_the_amount_and_may_mail_those_who_wait() -> None:
    clock = Clock()
    with small_shop(orders=0, clock=clock) as shop:
        api = Api(shop)
        clock.now += 9
        assert api.put("products/1", {"amount": 0}).json() == {"product_id": "1"}
        assert shop.mails == []
        api.put("products/1", {"amount": "15"})
        assert mailed(shop.mails) == ["back_in_stock"]
        assert shop.store.products[1].updated_timestamp == NOW + 9
        assert api.get("products/1")["amount"] == "15"
        api.put("products/1", {"amount": 99_999_999})
        assert shop.store.products[1].amount == 8_388_607
        assert api.put("products/999", {"amount": 1}).status_code == 404


def test_deleting_an_account_frees_its_orders_silently() -> None:
    clock = Clock()
    with small_shop(orders=0, clock=clock) as shop:
        api = Api(shop)
        body = {"email": "k@example.com", "user_type": "C", "company_id": 1, "firstname": "K"}
        made = api.post("users", body)
        user_id = made.json()["user_id"]
        order = shop.store.place_order(user_id=user_id, lines=[(1, 1)])
        assert order.email == "k@example.com" and order.firstname == "K"
        row = api.get("orders")["orders"][0]
        clock.now += 100
        assert api.put(f"users/{user_id}", {"phone": "1"}).json() == {
            "user_id": str(user_id),
            "profile_id": False,
        }
        assert api.delete(f"users/{user_id}").status_code == 204
        after = api.get("orders")["orders"][0]
        assert api.get(f"orders/{order.order_id}")["updated_at"] == str(NOW)
        assert api.post("users", {"user_type": "C"}).status_code == 400
        assert api.delete("users/1").status_code == 400  # the root administrator
    assert made.status_code == 201
    assert (row["user_id"], after["user_id"]) == (str(user_id), "0")


def test_direct_edits_may_leave_the_change_date_alone() -> None:
    clock = Clock()
    with small_shop(clock=clock) as shop:
        before = shop.store.orders[1001].updated_at
        clock.now += 5
        shop.store.edit_order(1001, touch=False, email="other@example.com")
        assert shop.store.orders[1001].updated_at == before
        assert Api(shop).get("orders/1001")["email"] == "other@example.com"
        shop.store.edit_order(1001, notes="x")
        assert Api(shop).get("orders/1001")["updated_at"] == str(NOW + 5)


def test_the_store_refuses_a_shipment_of_nothing() -> None:
    with small_shop() as shop:
        shop.store.create_shipment(1001)
        with pytest.raises(ShipmentRefusedError):
            shop.store.create_shipment(1001)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_product_split_by_warehouses_takes_an_amount_and_does_nothing(version: str) -> None:
    with small_shop(version, orders=0) as shop:
        api = Api(shop)
        if version == "4.7":
            with pytest.raises(ValueError, match="no warehouses"):
                shop.store.split_stock(1, {10: 3, 11: 4})
            assert api.put("products/1", {"warehouses": {"10": 3}}).status_code == 200
            assert api.get("products/1")["amount"] == "100"
            return
        shop.store.split_stock(1, {10: 3, 11: 4})
        assert api.get("products", pid="1")["products"][0]["amount"] == "7"
        answer = api.put("products/1", {"amount": 50})
        assert (answer.status_code, answer.json()) == (200, {"product_id": "1"})
        assert api.get("products/1")["amount"] == "7"
        api.put("products/1", {"warehouses": {"11": 9}})  # replaces the set
        assert api.get("products/1")["amount"] == "9"
        assert shop.store.products[1].warehouses == {11: 9}
        shop.store.place_order(lines=[(1, 2)])
        assert (api.get("products/1")["amount"], shop.store.products[1].warehouses) == (
            "7",
            {11: 7},
        )
