"""Words of the settings that mean nothing in the shop, told when they are saved.

A shipped status that no status bears would otherwise show only when parcels have left and the
orders keep their old status. Not here: what a word means (`fulfilment.order_statuses`,
`fulfilment.countries`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

from cscart_pipelines.cli import console
from cscart_pipelines.fulfilment.countries import read_countries
from cscart_pipelines.fulfilment.order_statuses import read_status_names
from cscart_pipelines.integrations.settings import IntegrationSettings


def unknown_words(
    connection: psycopg.Connection[Any],
    key: str,
    settings: IntegrationSettings,
    fields: Collection[str],
) -> dict[str, tuple[str, ...]]:
    """Option -> its words that mean nothing, of these fields; needs no answer of the shop.

    Nothing is said about statuses before the first synchronisation has read their names.
    """
    found: dict[str, tuple[str, ...]] = {}
    statuses = read_status_names(connection, key)
    if statuses.present:
        for field in ("shipped_status", "partially_shipped_status"):
            word = getattr(settings, field)
            if word and statuses.letter(word) is None:
                found[field] = (word,)
        found["order_statuses"] = statuses.resolve(settings.order_statuses).unmatched
        found["countries"] = read_countries(connection, key).resolve(settings.countries).unmatched
    return {
        f"--{field.replace('_', '-')}": words
        for field, words in found.items()
        if words and field in fields
    }


def tell(unknown: dict[str, tuple[str, ...]]) -> None:
    for option, words in unknown.items():
        said = console.plain(", ".join(words))
        console.err.print(f"[yellow]![/] {option}: the shop knows no {said}", soft_wrap=True)
