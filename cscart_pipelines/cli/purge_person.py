"""`purge-person`: the erasure of a person.

Not here: what an erasure removes (`privacy.erasure`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output
from cscart_pipelines.cli.support.arguments import Json
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.identity import read_email, read_mobile
from cscart_pipelines.privacy.erasure import erase_person, known_integrations


def purge_person(
    person: Annotated[
        str,
        typer.Argument(metavar="PERSON", help="E-mail address, or a mobile such as +306912345678."),
    ],
    integration: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only in this integration; default: in all.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a person everywhere; orders stay, without the person.

    From raw tables, lists, segments, fulfilment tables and onsite events, in every spelling of the
    address. A mobile finds a person who has no usable e-mail address.
    """
    if read_email(person) is None and read_mobile(person, None) is None:
        raise exit_codes.CommandError(
            f"PERSON: {person!r} is no e-mail address, and no mobile with its country code such as"
            " +306912345678",
            exit_codes.WRONG_USAGE,
        )
    with opened() as app:
        with app.warehouse.connect(autocommit=True) as connection:
            keys = known_integrations(connection)
        if integration is not None:
            if integration not in keys:
                app.registry.get(integration)  # says that there is none
            keys = [integration]
        confirm(
            f"This erases {person} in {formats.count(len(keys), 'integration')} for good;"
            " orders stay, without the person",
            yes=yes,
        )
        with app.warehouse.open_session(autocommit=True) as connection:
            report = erase_person(connection, keys, person)
    if as_json:
        machine_output.print_json(report)
        return
    for key, erased in report.items():
        console.out.print(f"[bold]{key}[/]" + ("" if erased else "  nothing was there"))
        for name, rows in erased.items():
            console.out.print(f"  {rows:>7,} {name}")
    console.out.print(
        "What the shop itself still has is not loaded again; delete the person there too."
    )
