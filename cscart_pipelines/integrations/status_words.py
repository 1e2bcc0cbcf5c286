"""Statuses in the settings: given by letter or by name, kept as the letters of the shop.

Not here: what a name means (`cscart.status_names`), words that became unknown later, which the
synchronisation reports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from pydantic import SecretStr

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.cscart.status_names import StatusNames, read_names
from cscart_pipelines.integrations.connection import BRIEF
from cscart_pipelines.integrations.settings import IntegrationSettings, InvalidSettingsError

SINGLE = ("shipped_status", "partially_shipped_status")
FIELDS = frozenset(("settled_statuses", "refund_statuses", "order_statuses", *SINGLE))
NEED_LETTERS = ("settled_statuses", "refund_statuses")
"""What counts as a purchase is decided by letter; the others may wait for the shop's names."""


def ask_shop(
    settings: IntegrationSettings, api_key: SecretStr, capabilities: Mapping[str, Any]
) -> StatusNames | None:
    """Reads the shop's statuses; None if it cannot be reached or does not show them."""
    if not (capabilities.get("readable") or {}).get("statuses", True):
        return None
    with (
        contextlib.suppress(ShopError),
        ShopClient(
            settings.url,
            settings.email,
            api_key,
            style=capabilities.get("style", "rewrite"),
            **BRIEF,
        ) as client,
    ):
        names = read_names(client)
        return names if names.present else None
    return None


def read_status_names(connection: psycopg.Connection[Any], integration: str) -> StatusNames:
    """Reads the statuses of a shop from the warehouse, as they were synchronised last."""
    cursor = connection.cursor(row_factory=tuple_row)
    present = cursor.execute(
        "SELECT status, coalesce(description, '') FROM cscart.statuses"
        " WHERE integration = %s AND type = 'O' AND deleted_at IS NULL",
        [integration],
    ).fetchall()
    seen = cursor.execute(
        "SELECT DISTINCT status FROM cscart.orders WHERE integration = %s", [integration]
    ).fetchall()
    return StatusNames(dict(present), frozenset(row[0] for row in seen))


def with_letters_of_shop(
    settings: IntegrationSettings, api_key: SecretStr, capabilities: Mapping[str, Any]
) -> IntegrationSettings:
    """Replaces names by letters for a new integration, whose shop is asked for its statuses.

    Raises:
        InvalidSettingsError: As `as_letters`.
    """
    if not any(getattr(settings, field) for field in FIELDS):
        return settings
    names = ask_shop(settings, api_key, capabilities)
    return as_letters(settings, names or StatusNames({}), certain=names is not None)


def as_letters(
    settings: IntegrationSettings,
    names: StatusNames,
    fields: Collection[str] = FIELDS,
    *,
    certain: bool,
) -> IntegrationSettings:
    """Returns the settings with letters in place of names.

    Args:
        settings: As a person gave them.
        names: The statuses of the shop.
        fields: The settings to translate.
        certain: The names are those that the shop has now. Otherwise letters are taken as they are,
            and words that may wait are translated by the next synchronisation.

    Raises:
        InvalidSettingsError: A word means no status, or several where one is expected.
    """
    problems: dict[str, str] = {}
    for field in sorted(FIELDS & set(fields)):
        for word in _words(settings, field):
            letters = names.letters(word)
            if not letters and certain:
                problems.setdefault(field, names.advice(word))
            elif field in SINGLE and len(letters) > 1:
                several = ", ".join(letters)
                problems.setdefault(field, f"{word!r} is the name of several statuses: {several}")
            elif not letters and len(word) > 1 and field in NEED_LETTERS:
                problems.setdefault(
                    field,
                    f"the shop's statuses could not be read, so {word!r} cannot be looked up;"
                    " expected letters, as P,C",
                )
    if problems:
        raise InvalidSettingsError(problems)
    return translated(settings, names, fields)


def translated(
    settings: IntegrationSettings, names: StatusNames, fields: Collection[str] = FIELDS
) -> IntegrationSettings:
    """Returns the settings with letters in place of the words that `names` knows."""
    values: dict[str, Any] = {}
    for field in FIELDS & set(fields):
        words = _words(settings, field)
        if field in SINGLE:
            for word in words:
                values[field] = names.letter(word) or word
        elif words:
            found = (letter for word in words for letter in names.letters(word) or (word,))
            values[field] = tuple(dict.fromkeys(found))
    return settings.model_copy(update=values)


def _words(settings: IntegrationSettings, field: str) -> tuple[str, ...]:
    given = getattr(settings, field) or ()
    return (given,) if isinstance(given, str) else tuple(given)
