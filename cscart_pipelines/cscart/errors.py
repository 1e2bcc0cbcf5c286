"""The errors of a shop, in classes: transient, permanent, ambiguous, cancelled.

Every message is one plain line for an operator: what happened and what to do. Never in a message:
credentials, query strings, raw answers of the shop. Not here: when to retry (`client`), what a run
does about it (`sync`).

Client, paginator and run each decide about retries by these classes, so that retries do not
multiply: the client has already retried a `TransientShopError` when it is raised; a
`PermanentShopError` is never retried; after an `AmbiguousWriteError` the shop must be read first;
`RequestCancelledError` ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Cause = Literal["network", "cut", "timeout", "busy", "server", "page", "blocked"]
"""Why a call may work later.

network  no connection: name, refusal, time-out of the connection
cut      the connection broke while the shop was answering
timeout  connected, but no answer in time
busy     429
server   5xx
page     something that is not JSON (a crash page, a maintenance page, half an answer)
blocked  a 4xx page that is not the shop's: a firewall in front of it
"""

_LIGHTER_MAY_HELP = frozenset({"cut", "timeout", "server", "page"})


class ShopError(Exception):
    """A request to the shop failed. The message is safe to show and to store."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TransientShopError(ShopError):
    """The call failed, even after the client's own retries, but may work later.

    `retry_after`: seconds for which the shop asked to wait, if it did.
    """

    def __init__(
        self, message: str, *, cause: Cause = "server", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.retry_after = retry_after

    @property
    def lighter_may_help(self) -> bool:
        """True if a smaller page might pass where this one failed (reference 15)."""
        return self.cause in _LIGHTER_MAY_HELP


class UnreachableError(TransientShopError):
    """No connection to the shop: unknown name, refusal, time-out.

    Transient, because networks come back; a class of its own, so that the connection test can
    name it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, cause="network")


class PermanentShopError(ShopError):
    """The shop answered, and asking the same again would be answered the same."""

    def __init__(
        self, message: str, *, status: int | None = None, messages: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.messages = tuple(messages)


class CredentialsRefusedError(PermanentShopError):
    """401: unknown e-mail, wrong key, or a user that is disabled (reference 3.1)."""


class AccessDeniedError(PermanentShopError):
    """403: the credentials are right, but the user may not do this (reference 3.2)."""


class NotFoundError(PermanentShopError):
    """404 in the API's own words: the shop works, but has no such entity or row."""


class ApiNotFoundError(PermanentShopError):
    """The address does not serve CS-Cart's API: no rewriting, not a shop, or a web page."""


class TlsError(PermanentShopError):
    """The certificate or the protocol of an https address cannot be trusted.

    `certificate`: it failed before anything was sent; other TLS errors may come in the middle of an
    answer.
    """

    def __init__(self, message: str, *, certificate: bool = False) -> None:
        super().__init__(message)
        self.certificate = certificate


class RedirectRefusedError(PermanentShopError):
    """The address redirects. It is not followed, because the key would be sent (reference 7.4).

    `suggested_base`: the base address to use instead, if the redirect leads to one.
    """

    def __init__(
        self, message: str, *, status: int | None = None, suggested_base: str | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.suggested_base = suggested_base


class ShopTooOldError(PermanentShopError):
    """The API answers, but lacks what every supported version has."""


class RejectedWriteError(PermanentShopError):
    """The shop understood a write and refused it: nothing was changed."""


class AmbiguousWriteError(ShopError):
    """A write was sent, and its outcome is unknown: it must be read back first."""


class RequestCancelledError(ShopError):
    """The caller has cancelled the read; nothing is known of the shop."""


_PRIVILEGES = {
    "orders": ("view_orders", "create_order", "edit_order", "delete_orders"),
    "shipments": ("view_orders", "edit_order", "edit_order", "edit_order"),
    "users": ("view_users", "manage_users", "manage_users", "manage_users"),
    "products": ("view_catalog", "manage_catalog", "manage_catalog", "manage_catalog"),
    "categories": ("view_catalog", "manage_catalog", "manage_catalog", "manage_catalog"),
    "statuses": ("manage_order_statuses",) * 4,
    "shippings": ("view_shipping", "manage_shipping", "manage_shipping", "manage_shipping"),
    "settings": ("view_settings", "update_settings", "update_settings", "update_settings"),
}
_VERBS = ("GET", "POST", "PUT", "DELETE")


def privilege(entity: str, verb: str = "GET") -> str | None:
    """Returns the privilege of a user group that allows `verb` on `entity` (reference 3.2)."""
    known = _PRIVILEGES.get(entity)
    return known[_VERBS.index(verb)] if known and verb in _VERBS else None
