"""Words of the settings that mean nothing in the shop: warnings when they are saved.

A shipped status that the shop does not have would otherwise show only when parcels have left and
the orders keep their old status. Not here: what a word means (`integrations.status_words`,
`fulfilment.countries`).
"""

from __future__ import annotations

from collections.abc import Collection

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, formats
from cscart_pipelines.fulfilment.countries import read_countries
from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines.integrations.status_words import read_status_names
from cscart_pipelines.warehouse.driver import Connection


def unknown_words(
    connection: Connection,
    key: str,
    settings: IntegrationSettings,
    fields: Collection[str],
) -> list[str]:
    """Returns a warning for each field with words that mean nothing; the shop is not asked.

    Names of statuses are known after the first synchronisation, and give no warning before it.

    Args:
        connection: to the warehouse.
        key: of the integration.
        settings: its settings.
        fields: names of the settings that are looked at.
    """
    unknown: dict[str, list[str]] = {}
    statuses = read_status_names(connection, key)
    if statuses.present:
        for field in ("shipped_status", "partially_shipped_status"):
            word = getattr(settings, field)
            if word and statuses.letter(word) is None:
                unknown[field] = [word]
        for field in ("settled_statuses", "refund_statuses"):
            unknown[field] = list(statuses.resolve(getattr(settings, field) or ()).unmatched)
        unknown["order_statuses"] = list(statuses.resolve(settings.order_statuses).unmatched)
    lines = [
        f"--{field.replace('_', '-')}: the shop knows no {', '.join(words)}"
        for field, words in unknown.items()
        if words and field in fields
    ]
    if "countries" in fields:
        found = read_countries(connection, key).resolve(settings.countries)
        lines += [f"--countries: {line}" for line in found.warnings()]
    return lines


def print_warnings(lines: Collection[str]) -> None:
    """Prints warnings on standard error, a line each."""
    for line in lines:
        console.err.print(f"[yellow]![/] {formats.plain(line)}", soft_wrap=True)


def print_unknown_words(
    app: AppContext, settings: IntegrationSettings, fields: Collection[str]
) -> None:
    """Prints words without meaning on standard error; the integration may not be saved yet."""
    with app.warehouse.connect() as connection:
        print_warnings(unknown_words(connection, settings.integration, settings, fields))
