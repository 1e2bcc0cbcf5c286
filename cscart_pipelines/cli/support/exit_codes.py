"""Exit codes, and which failure leaves with which: the contract's table, in one place."""

from __future__ import annotations

from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.cscart.http.address import InvalidAddressError
from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.local_postgres.client import EmbeddedServerError
from cscart_pipelines.local_postgres.paths import UnusableHomeError
from cscart_pipelines.settings import SettingsError
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError

DONE, RUN_FAILED, WRONG_USAGE, SHOP_UNREACHABLE, NOT_ALLOWED, STOPPED = 0, 1, 2, 3, 4, 130

SHOP_KINDS = frozenset(
    {
        "UnreachableError", "CredentialsRefusedError", "AccessDeniedError", "ApiNotFoundError",
        "TlsError", "RedirectRefusedError", "ShopTooOldError", "TransientShopError",
    }
)  # fmt: skip
"""Failures of a run that mean: the shop could not be reached or refused the credentials."""


class CommandError(RuntimeError):
    """A command cannot go on; the message is for the person, the code for the script."""

    def __init__(self, message: str, code: int = RUN_FAILED) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: BaseException) -> int | None:
    """The exit code of an expected failure; None for a mistake of ours."""
    match error:
        case CommandError():
            return error.code
        case NotAllowedError() | ShopWriteLockedError():
            return NOT_ALLOWED
        case ShopError():
            return SHOP_UNREACHABLE
        case (
            SettingsError()
            | InvalidSettingsError()
            | SecretError()
            | InvalidAddressError()
            | UnknownIntegrationError()
        ):
            return WRONG_USAGE
        case WarehouseUnavailableError() | EmbeddedServerError() | UnusableHomeError():
            return RUN_FAILED
    return None
