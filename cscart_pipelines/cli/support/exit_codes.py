"""Exit codes (docs/contract.md), and which failure ends a command with which."""

from __future__ import annotations

from cscart_pipelines.cscart.errors import (
    AccessDeniedError,
    ApiNotFoundError,
    CredentialsRefusedError,
    RedirectRefusedError,
    ShopError,
    ShopTooOldError,
    TlsError,
    TransientShopError,
    UnreachableError,
)
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

CODES_OF_RUNS = {
    **{
        kind.__name__: SHOP_UNREACHABLE
        for kind in (
            UnreachableError, CredentialsRefusedError, AccessDeniedError, ApiNotFoundError,
            TlsError, RedirectRefusedError, ShopTooOldError, TransientShopError,
        )
    },
    **{kind.__name__: NOT_ALLOWED for kind in (NotAllowedError, ShopWriteLockedError)},
}  # fmt: skip
"""By the class of the failure, as runs record it; all others are RUN_FAILED."""


class CommandError(RuntimeError):
    """A command cannot go on.

    Args:
        message: one or more sentences for the person, without a full stop.
        code: the exit code, for the script.
    """

    def __init__(self, message: str, code: int = RUN_FAILED) -> None:
        super().__init__(message)
        self.code = code


def code_of_run(kind: str | None) -> int:
    """Returns the exit code for a run, or a part of it, that failed.

    Args:
        kind: the class of the failure; None if it is not known.
    """
    return CODES_OF_RUNS.get(kind or "", RUN_FAILED)


def code_of(error: BaseException) -> int | None:
    """Returns the exit code of an expected failure; None for one that is not foreseen."""
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
