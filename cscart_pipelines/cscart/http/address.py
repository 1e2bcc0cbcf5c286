"""The addresses of a shop's API: the base address, and those of its entities.

Pure. Not here: whether a shop answers at an address (`capabilities`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

import idna

Style = Literal["rewrite", "api.php"]
"""How the shop's web server hands requests to the API (reference 2.1, 2.3)."""

Scalar = str | int
Params = Mapping[str, Scalar | Sequence[Scalar]]
"""Query parameters; a list is repeated, so its name ends with [] (`status[]`)."""

API_VERSION = "2.0"
"""Asked for by name: what an address without a version means depends on the shop (2.2)."""

UNVERSIONED = ("version", "versions")
"""Entities that list the versions; their addresses have none (reference 2.1)."""

EXPECTED = "http(s)://host[:port], with the shop's sub-directory if it has one"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NOT_A_SHOP_PATH = re.compile(r"/(api|api\.php|index\.php|admin\.php)(/|$)", re.IGNORECASE)


class InvalidAddressError(ValueError):
    """The text is no base address of a shop; the message names what is expected."""


def normalise_base_url(text: str) -> str:
    """Returns the base address in one spelling: no trailing slash, host in lower case (ASCII).

    Raises:
        InvalidAddressError: The message names what is expected, and does not repeat the text, which
            may hold a password.
    """
    text = text.strip()
    if not text:
        raise InvalidAddressError(f"The address is empty; expected {EXPECTED}.")
    if re.search(r"[\s\x00-\x1f\x7f\\<>\"]", text):
        raise InvalidAddressError(f"The address has blanks or odd characters; expected {EXPECTED}.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidAddressError(f"The host or port is not valid; expected {EXPECTED}.") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not text[len(scheme) :].startswith("://"):
        raise InvalidAddressError(f"The address must start with http:// or https://: {EXPECTED}.")
    if "@" in parts.netloc:
        raise InvalidAddressError(
            f"The address must not hold a user name or password; expected {EXPECTED}."
        )
    if "?" in text or "#" in text:
        raise InvalidAddressError(f"The address must not hold ? or #; expected {EXPECTED}.")
    if port == 0:
        raise InvalidAddressError(f"The port must be between 1 and 65535; expected {EXPECTED}.")
    host = _normalise_host(parts.hostname or "")
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{_normalise_path(parts.path)}"


def _normalise_host(host: str) -> str:
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError:
            raise InvalidAddressError(f"The host is not valid; expected {EXPECTED}.") from None
    host = host.lower().removesuffix(".")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise InvalidAddressError(f"The host is not valid; expected {EXPECTED}.") from None
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise InvalidAddressError(f"The host is missing or not valid; expected {EXPECTED}.")
    return host


def _normalise_path(path: str) -> str:
    path = path.rstrip("/")
    if "//" in path or any(part in {".", ".."} for part in path.split("/")):
        raise InvalidAddressError(f"The sub-directory must not hold // or ..; expected {EXPECTED}.")
    if _NOT_A_SHOP_PATH.search(path):
        raise InvalidAddressError(
            "Give the address of the shop itself, without /api or a .php page: " + EXPECTED + "."
        )
    return quote(path, safe="/%:@!$&'()*+,;=~-._")


@dataclass(frozen=True)
class ApiAddress:
    """Base address plus style; builds the addresses of entities.

    rewrite: `BASE/api/2.0/orders/96?…`. api.php: `BASE/api.php?_d=2.0/orders/96&ajax_custom=1&…`:
    the shipped rewrite rule hands everything after `api/` on as `_d`, so the version travels as
    the first part of `_d` (reference 2.1, 2.3). `base` must be normalised.
    """

    base: str
    style: Style = "rewrite"

    def path(self, entity: str, id: int | str | None = None) -> str:
        """Returns the part that names the entity, version first: `2.0/orders/96`."""
        if entity in UNVERSIONED:
            return entity
        tail = entity.strip("/") if id is None else f"{entity.strip('/')}/{id}"
        return quote(f"{API_VERSION}/{tail}", safe="/")

    def url(self, entity: str, id: int | str | None = None, params: Params | None = None) -> str:
        """Returns the full address of a list (no id) or a row."""
        path = self.path(entity, id)
        query = urlencode(params, doseq=True, safe="/") if params else ""
        if self.style == "rewrite":
            return f"{self.base}/api/{path}" + (f"?{query}" if query else "")
        return f"{self.base}/api.php?_d={path}&ajax_custom=1" + (f"&{query}" if query else "")

    def base_behind(self, asked: str, location: str) -> str | None:
        """Returns the base address that a redirect from `asked` to `location` points to.

        None if the redirect does not lead to the same API call.
        """
        there = urlsplit(urljoin(asked, location))
        suffix = urlsplit(asked).path[len(urlsplit(self.base).path) :]
        path = there.path.rstrip("/")
        if not path.endswith(suffix.rstrip("/")):
            return None
        try:
            return normalise_base_url(
                f"{there.scheme}://{there.netloc}{path[: len(path) - len(suffix.rstrip('/'))]}"
            )
        except InvalidAddressError:
            return None
