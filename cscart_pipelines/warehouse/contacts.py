"""The e-mails and phones of the raw tables, each distinct text parsed once by `identity`.

The views `cscart.customer_contacts` and `cscart.order_contacts` (of a migration) join the results
to the rows; the models and the erasure of a person read them. Not here: what an address or a mobile
is (`identity`).
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.identity import (
    MOST_EMAIL,
    MOST_PHONE,
    read_email,
    read_mobile,
    region_of,
    sha256,
    written,
)

_NEW_EMAILS = """
    SELECT email FROM (
        SELECT email FROM cscart.customers WHERE integration = %(shop)s
        UNION
        SELECT email FROM cscart.orders WHERE integration = %(shop)s
    ) AS given
    WHERE length(email) <= %(most)s AND NOT EXISTS (
        SELECT FROM cscart.email_addresses AS known
        WHERE known.integration = %(shop)s AND known.raw = given.email
    )
"""

_USED_PHONES = """
    SELECT raw_phone AS raw, country FROM cscart.customer_contacts WHERE integration = %(shop)s
    UNION
    SELECT raw_phone, country FROM cscart.order_contacts WHERE integration = %(shop)s
    UNION
    SELECT raw_shipping_phone, country FROM cscart.order_contacts WHERE integration = %(shop)s
"""

_NEW_PHONES = f"""
    SELECT raw, country FROM ({_USED_PHONES}) AS given
    WHERE length(raw) <= %(most)s AND NOT EXISTS (
        SELECT FROM cscart.phone_numbers AS known
        WHERE known.integration = %(shop)s AND known.raw = given.raw
          AND known.country = given.country
    )
"""  # noqa: S608 - constants

_UNUSED = (
    """
    DELETE FROM cscart.email_addresses AS known
    WHERE integration = %(shop)s
      AND NOT EXISTS (SELECT FROM cscart.customers AS used
                      WHERE used.integration = %(shop)s AND used.email = known.raw)
      AND NOT EXISTS (SELECT FROM cscart.orders AS used
                      WHERE used.integration = %(shop)s AND used.email = known.raw)
    """,
    f"""
    DELETE FROM cscart.phone_numbers AS known
    WHERE integration = %(shop)s AND (raw, country) NOT IN (
        SELECT raw, country FROM ({_USED_PHONES}) AS used WHERE raw IS NOT NULL
    )
    """,  # noqa: S608 - constants
)


def store_contacts(
    connection: psycopg.Connection[Any], integration: str, region: str | None
) -> int:
    """Parses the new texts of one shop, and deletes those that no row has any more.

    Args:
        connection: All is done in one transaction, the caller's if there is one.
        integration: Key of the shop.
        region: Country of phones whose customer's country is not known; numbers that were parsed
            with another one are parsed again. None: only international numbers are understood.

    Returns:
        How many texts were parsed.
    """
    values: dict[str, Any] = {"shop": integration, "region": region or ""}
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            "DELETE FROM cscart.phone_numbers WHERE integration = %(shop)s"
            " AND (country = '' OR region <> country) AND region <> %(region)s",
            values,
        )
        for unused in _UNUSED:
            cursor.execute(unused.encode(), values)
        emails = [
            (raw, address and address.text, address and address.kind, sha256(written(raw)),
             sha256(address.text) if address else None)
            for (raw,) in cursor.execute(_NEW_EMAILS, {**values, "most": MOST_EMAIL}).fetchall()
            for address in [read_email(raw)]
        ]  # fmt: skip
        phones = [
            (raw, country, by or "", read_mobile(raw, by))
            for raw, country in cursor.execute(
                _NEW_PHONES.encode(), {**values, "most": MOST_PHONE}
            ).fetchall()
            for by in [region_of(country) or region]
        ]
        for table, width, rows in (("email_addresses", 5, emails), ("phone_numbers", 4, phones)):
            if not rows:
                continue
            columns = [list(column) for column in zip(*rows, strict=True)]
            texts = ", ".join(["%s::text[]"] * width)
            cursor.execute(
                f"INSERT INTO cscart.{table} SELECT %s, * FROM unnest({texts})"  # noqa: S608
                " ON CONFLICT DO NOTHING".encode(),
                [integration, *columns],
            )
            if len(rows) > 1000:  # the planner would take the table for empty
                cursor.execute(f"ANALYZE cscart.{table}".encode())
    return len(emails) + len(phones)
