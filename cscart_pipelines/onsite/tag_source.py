"""The script of the onsite tracking tag, joined from its parts in `tag/`.

The parts share one scope and are read in the order of their names; they are not minified, so that a
shop's owner can read in Tag Manager what runs on the shop's pages. Not here: the container file
around it (`container`).
"""

from __future__ import annotations

from importlib.resources import files

PLACES = ("collector", "write_key", "options")
"""What the script takes from variables of the container: `@collector@` and so on in its text."""


def tag_script(values: dict[str, str]) -> str:
    """The script with `values`, one for each of PLACES, inserted.

    `{{name of a variable}}` as a value is what Tag Manager replaces itself.

    Raises:
        ValueError: A value holds quotes, backslashes or line ends: it would end the quotes around
        it.
    """
    parts = sorted(
        (part for part in (files(__package__) / "tag").iterdir() if part.name.endswith(".js")),
        key=lambda part: part.name,
    )
    body = "\n".join(part.read_text(encoding="utf-8").strip("\n") + "\n" for part in parts)
    for place in PLACES:
        value = values[place]
        if any(odd in value for odd in ("'", '"', "\\", "\n", "\r", "<")):
            raise ValueError(f"{place} cannot stand inside quotes")
        body = body.replace(f"@{place}@", value)
    return f"(function () {{\n'use strict';\n\n{body}\n}})();\n"


def tag_html(values: dict[str, str]) -> str:
    """The script as an element of HTML, as Tag Manager puts it into the page."""
    return f"<script>\n{tag_script(values)}</script>\n"
