"""Every distinct e-mail and phone is read once; SQL says of a row what Python says of its texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
import pytest

from cscart_pipelines.identity import read_email, read_mobile
from cscart_pipelines.privacy.erasure import erase_person
from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dbt.builds import insert, order
from cscart_pipelines_tests.unit.test_identity import (
    AROUND,
    FAULTY,
    MOBILE,
    NO_MOBILE,
    NONE,
    RESERVED,
    USABLE,
)

EMAILS: list[str | None] = [None, *AROUND, *FAULTY, *NONE, *RESERVED, *USABLE, "j" * 5000]
PHONES: list[str | None] = [None, *MOBILE, *NO_MOBILE, "6" * 5000]


def fill(
    connection: psycopg.Connection[Any], key: str, texts: Iterable[tuple[str | None, str | None]]
) -> None:
    """Accounts 1, 2, … and guests' orders with the same numbers and texts."""
    rows = [{"integration": key, "content_hash": b"", "email": email, "phone": phone}
            for email, phone in texts]  # fmt: skip
    insert(connection, "cscart.customers", [r | {"user_id": n} for n, r in enumerate(rows, 1)])
    orders = [r | order(n, "2026-05-01T00:00:00Z") for n, r in enumerate(rows, 1)]
    insert(connection, "cscart.orders", orders)


def identities(connection: psycopg.Connection[Any], key: str, view: str) -> list[str | None]:
    number = "user_id" if view.startswith("customer") else "order_id"
    rows = connection.execute(
        f"SELECT identity FROM cscart.{view} WHERE integration = %s ORDER BY {number}".encode(),
        [key],
    )
    return [row[0] for row in rows]


def test_sql_and_python_agree_on_who_a_row_is_about(warehouse_database: Database) -> None:
    texts = [(email, PHONES[n % len(PHONES)]) for n, email in enumerate(EMAILS * 3)]
    texts += [(EMAILS[n % len(EMAILS)], phone) for n, phone in enumerate(PHONES * 3)]
    with warehouse_database.connect() as connection:
        fill(connection, "shop", texts)
        distinct = {e for e, _ in texts if e and len(e) < 300}, {p for _, p in texts if p}
        read = store_contacts(connection, "shop", "GR")
        assert read == sum(map(len, distinct)) + 2 - 1  # empty texts; one is too long
        assert store_contacts(connection, "shop", "GR") == 0
        expected = []
        for email, phone in texts:
            address, mobile = read_email(email), read_mobile(phone, "GR")
            usable = address.text if address and address.kind == "usable" else None
            faulty = address.text if address and address.kind == "faulty" else None
            expected.append(usable or mobile or faulty)
        assert {None, "john@x.gr", "+306912345678", "john@x"} < set(expected)
        assert identities(connection, "shop", "customer_contacts") == expected
        assert identities(connection, "shop", "order_contacts") == expected


def test_a_phone_is_read_by_the_country_of_its_owner_and_again_by_a_new_default(
    warehouse_database: Database,
) -> None:
    with warehouse_database.connect() as connection:
        fill(connection, "shop", [(None, "6912345678"), (None, "6912345678"), ("a@x.gr", None)])
        connection.execute(
            "UPDATE cscart.orders SET user_id = 2, s_country = ' in' WHERE order_id = 2"
        )

        def read(region: str | None) -> tuple[int, list[str | None]]:
            return (
                store_contacts(connection, "shop", region),
                identities(connection, "shop", "customer_contacts"),
            )

        indian = "+916912345678"
        assert read(None) == (3, [None, indian, "a@x.gr"])
        assert read("GR") == (1, ["+306912345678", indian, "a@x.gr"])
        assert read("DE") == (1, [None, indian, "a@x.gr"])
        connection.execute("UPDATE cscart.orders SET email = NULL")
        connection.execute("UPDATE cscart.customers SET email = NULL, phone = NULL")
        store_contacts(connection, "shop", "DE")
        kept = connection.execute("SELECT raw, country FROM cscart.phone_numbers").fetchall()
        assert sorted(kept) == [("6912345678", ""), ("6912345678", "IN")]
        assert connection.execute("SELECT FROM cscart.email_addresses").fetchall() == []


@pytest.mark.parametrize(
    ("who", "kept"),
    [
        ("<JOHN@X.GR>,", [("other@x.gr", "+306912345678"), ("ada-1@example.com", "6912345678")]),
        ("+30 (691) 234-5678", [("john@x.gr", None), ("other@x.gr", "+306912345678")]),
        ("Ada-1@EXAMPLE.com", [("john@x.gr", None), (None, "+306912345678")]),
    ],
)
def test_a_purge_finds_every_spelling_and_nothing_else(
    warehouse_database: Database, who: str, kept: list[tuple[str | None, str | None]]
) -> None:
    if "john" in who.lower():
        gone = [(email, None) for email in AROUND]
    elif "ada" in who.lower():
        gone = [(" ada-1@example.com", "6912345678"), ("<Ada-1@example.COM>", None)]
    else:
        gone = [(None, phone) for phone in MOBILE] + [("a@example.com", "6912345678")]
    with warehouse_database.connect() as connection:
        insert(connection, "registry.integrations", [{
            "integration": "shop", "list_name": "Shop", "url": "https://x", "email": "a@b.gr",
            "timezone": "Europe/Athens", "status": "enabled",
        }])  # fmt: skip
        fill(connection, "shop", [*gone, *kept])
        insert(connection, "fulfilment.orders", [
            {"integration": "shop", "order_number": f"CS{n}", "order_id": 1000 + n, "email": email,
             "status": "P", "total": 1, "currency": "EUR", "ordered_at": "2026-05-01", "pulled_at":
             "2026-05-01", "source_hash": b"", "position": n}
            for n, email in enumerate(AROUND)
        ])  # fmt: skip
        connection.commit()
        report = erase_person(connection, ["shop"], who)["shop"]
        assert report["cscart.customers"] == report["cscart.orders"] == len(gone)
        for table in ("customers", "orders"):
            rows = connection.execute(
                f"SELECT email, phone FROM cscart.{table} WHERE email IS NOT NULL"
                " OR phone IS NOT NULL ORDER BY 1, 2".encode()
            ).fetchall()
            assert sorted(rows, key=str) == sorted(kept, key=str)
        handed_out = connection.execute("SELECT count(email) FROM fulfilment.orders").fetchone()
        assert handed_out == (0 if "john" in who.lower() else len(AROUND),)
        # Not even what was read of them is left.
        raw = connection.execute("SELECT raw FROM cscart.email_addresses").fetchall()
        assert {text for (text,) in raw} == {email for email, _ in kept if email}
