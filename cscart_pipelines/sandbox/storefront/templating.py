"""Renders the storefront's templates (Jinja2), with escaping of everything that comes from data."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from cscart_pipelines.sandbox.shop.model import COUNTRIES, Product

CURRENCY = "EUR"


def render(template: str, **values: Any) -> Markup:
    """A template as HTML that other templates may include."""
    return Markup(_ENVIRONMENT.get_template(template).render(values))  # noqa: S704 - escaped


def href(dispatch: str, **params: object) -> str:
    """A link below the shop, not escaped. `dispatch` may carry parameters already."""
    rest = urlencode({key: str(value) for key, value in params.items()})
    return f"index.php?dispatch={dispatch}{'&' if rest else ''}{rest}"


def json_for_script(value: Any) -> Markup:
    """JSON that may stand inside a script element, whatever the data says."""
    text = orjson.dumps(value, default=str).decode()
    for char, escaped in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(char, escaped)
    return Markup(text)  # noqa: S704 - escaped


def _money(value: Decimal) -> str:
    return f"€{value:,.2f}"


def _initials(product: Product) -> str:
    words = [word for word in product.product.split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper()


def _element_id(name: str) -> str:
    return "elm_" + "".join(c if c.isalnum() else "_" for c in name).strip("_")


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals |= {"href": href, "COUNTRIES": COUNTRIES}
_ENVIRONMENT.filters |= {
    "json": json_for_script,
    "money": _money,
    "initials": _initials,
    "element_id": _element_id,
}
