"""`integration onsite`: what the collector and the tag may do for one shop.

Not here: the tracking file and its write keys (`tracking_file`), the collector's process
(`services.collector`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from cscart_pipelines.cli.integration.options import yes_no
from cscart_pipelines.cli.support import console, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Json, Key
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.onsite import site_settings
from cscart_pipelines.onsite.write_keys import shop_origins

Row = dict[str, Any]
MOST_DAYS, MOST_BATCHES = 3650, 100_000
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[1-9][0-9]{0,4})?")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def onsite(
    key: Key,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Accept events of pages on this site too; repeatable."),
    ] = None,
    remove_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Accept events of this site no longer; repeatable."),
    ] = None,
    raw_email: Annotated[
        str | None,
        typer.Option(metavar="yes|no", help="Keep e-mail addresses, not only their SHA-256."),
    ] = None,
    retention_days: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_DAYS, metavar="N", help="Days after which raw events are deleted."
        ),
    ] = None,
    batches_per_second: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_BATCHES,
            metavar="N",
            help="Batches a second that are accepted; more are refused for now (429).",
        ),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Show or change the settings of onsite tracking.

    Events of pages at the shop's own address, with and without www, are always accepted. The
    tracking file: docs/onsite.md
    """
    more, less, problems = _origins(origin), _origins(remove_origin), {}
    for name, found in (("origin", more), ("remove_origin", less)):
        if wrong := [text for text, spelled in found.items() if spelled is None]:
            problems[name] = (
                f"{', '.join(map(repr, wrong))}: expected the address of a site, "
                "as https://shop.example"
            )
    given: Row = {"retention_days": retention_days, "batches_per_second": batches_per_second}
    try:
        given |= yes_no(raw_email=raw_email)
    except InvalidSettingsError as error:
        problems |= error.problems
    if problems:
        raise InvalidSettingsError(problems)
    changed = {name: value for name, value in given.items() if value is not None}
    with opened() as app:
        own = shop_origins(app.registry.get(key).settings.url)
        with app.warehouse.connect(autocommit=True) as connection:
            if retention_days is not None:
                kept = site_settings.read_settings(connection, key)
                if retention_days < kept["retention_days"]:
                    confirm(
                        "With the next nightly run this deletes raw events that are older than"
                        f" {formats.count(retention_days, 'day')}",
                        yes=yes,
                    )
            before, now = site_settings.change_settings(
                connection,
                key,
                changed,
                add_origins={one for one in more.values() if one} - own,
                remove_origins={one for one in less.values() if one},
                own_origins=own,
            )
    if as_json:
        machine_output.print_json({"own_origins": sorted(own), **now})
        return
    _show(own, now)
    if before["raw_email"] != now["raw_email"]:
        console.out.print(
            "[yellow]![/] What the tag sends is written into the tracking file: make it again with "
            f"{console.command(f'integration tracking-file {key}')}, import and publish it.",
            soft_wrap=True,
        )


def as_origin(text: str) -> str | None:
    """Returns an origin as browsers spell it: scheme, host, and the port unless it is the default.

    None if the text is no origin, a slash at its end apart.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return None
    scheme, host = parts.scheme.lower(), parts.netloc.lower()
    if scheme not in DEFAULT_PORTS or parts.path not in ("", "/") or port == 0:
        return None
    if parts.query or parts.fragment or not HOST.fullmatch(host):
        return None
    return f"{scheme}://{host.removesuffix(DEFAULT_PORTS[scheme])}"


def _origins(texts: list[str] | None) -> dict[str, str | None]:
    return {text: as_origin(text) for text in texts or ()}


def _show(own: frozenset[str], now: Row) -> None:
    table = tables.table("setting", ("value", "text"), ("meaning", "text"))
    for name, value, words in (
        ("own origins", "\n".join(sorted(own)), "pages of the shop: always accepted"),
        ("origins", "\n".join(now["origins"]) or "none", "other sites whose pages are accepted"),
        (
            "raw-email",
            "yes" if now["raw_email"] else "no",
            "keep e-mail addresses, not only their SHA-256",
        ),
        ("retention-days", f"{now['retention_days']:,}", "days after which raw events are deleted"),
        ("batches-per-second", f"{now['batches_per_second']:,}", "more are refused for now (429)"),
    ):
        table.add_row(name, formats.plain(value), words)
    tables.show(table)
