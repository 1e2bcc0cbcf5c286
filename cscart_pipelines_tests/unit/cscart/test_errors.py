"""The classes of errors: who may try again, and with what."""

from __future__ import annotations

import pickle

import pytest

from cscart_pipelines.cscart import errors
from cscart_pipelines.cscart.errors import (
    AmbiguousWriteError,
    PermanentShopError,
    RequestCancelledError,
    ShopError,
    TransientShopError,
    UnreachableError,
    privilege,
)

CLASSES = [
    each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ShopError)
]


@pytest.mark.parametrize("each", CLASSES)
def test_every_error_is_of_one_kind_only(each):
    known = (TransientShopError, PermanentShopError, AmbiguousWriteError, RequestCancelledError)
    kinds = [issubclass(each, kind) for kind in known]
    assert sum(kinds) == (0 if each is ShopError else 1)


@pytest.mark.parametrize(
    ("cause", "helps"),
    [
        ("network", False),
        ("busy", False),
        ("blocked", False),
        ("cut", True),
        ("timeout", True),
        ("server", True),
        ("page", True),
    ],
)
def test_a_smaller_page_helps_only_where_the_shop_choked_on_it(cause, helps):
    assert TransientShopError("x", cause=cause).lighter_may_help is helps


def test_no_connection_is_transient_and_no_matter_of_size():
    error = UnreachableError("x")
    assert isinstance(error, TransientShopError)
    assert not error.lighter_may_help


def test_privileges_as_the_reference_lists_them():
    assert privilege("orders") == "view_orders"
    assert privilege("shipments", "PUT") == "edit_order"
    assert privilege("statuses") == "manage_order_statuses"
    assert privilege("version") is None


@pytest.mark.parametrize("each", CLASSES)
def test_errors_cross_process_borders(each):
    error = each("plain words")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == "plain words"
    assert vars(copy) == vars(error)
