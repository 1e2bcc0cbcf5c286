"""Which orders a list holds and in which order: every filter of reference 8.2, sorts of 6.4.

Reads the store, changes nothing. Unknown parameters are not looked at, as in the shop.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from cscart_pipelines.sandbox.api.base import Context
from cscart_pipelines.sandbox.api.paging import sorting
from cscart_pipelines.sandbox.http.php import as_list, decimal, intval, truthy
from cscart_pipelines.sandbox.shop.model import Order

Test = Callable[[Order], bool]

SORTS: dict[str, Callable[[Order], Any]] = {
    "order_id": lambda o: o.order_id,
    "status": lambda o: o.status,
    "customer": lambda o: (o.lastname, o.firstname),
    "email": lambda o: o.email,
    "date": lambda o: (o.timestamp, o.order_id),
    "total": lambda o: o.total,
}


def shows_incomplete(params: dict[str, Any]) -> bool:
    """Whether the request asks for incomplete orders too."""
    return truthy(params.get("include_incompleted")) or "N" in as_list(params.get("status", ""))


def matching(context: Context) -> tuple[list[int], dict[str, str]]:
    """Ids of the matching orders, sorted, and the sort that was used.

    The result is kept until any order changes, so that paging does not filter anew each time.
    """
    sort = sorting(context.params, tuple(SORTS), "date", "desc")
    state = context.state
    asked = {k: v for k, v in context.params.items() if k not in ("page", "items_per_page")}
    moving = truthy(asked.get("period")) and context.store.now()
    cache_key = (repr(sorted(asked.items())), context.company_id, moving)
    held = state.cache.get(cache_key)
    if held is not None and held[0] == context.store.orders_revision:
        return held[1], sort
    tests = _tests(context)
    found = [o for o in context.store.orders.values() if all(test(o) for test in tests)]
    found.sort(key=lambda o: o.order_id)
    found.sort(key=SORTS[sort["sort_by"]], reverse=sort["sort_order"] == "desc")
    keys = [order.order_id for order in found]
    if len(state.cache) > 64:
        state.cache.clear()
    state.cache[cache_key] = (context.store.orders_revision, keys)
    return keys, sort


def _tests(context: Context) -> list[Test]:
    params = context.params
    tests: list[Test] = [lambda o: o.is_parent_order == "N"]
    if not shows_incomplete(params):
        tests.append(lambda o: o.status != "N")
    if context.company_id is not None:
        scope = context.company_id
        tests.append(lambda o: o.company_id == scope)
    tests += _exact(params, newer=context.profile.newer_order_filters)
    texts = _texts(params)
    if truthy(params.get("compact")) and texts:
        tests.append(lambda o: any(test(o) for test in texts))
    else:
        tests += texts
    span = context.period()
    if span is not None:
        start, end = span
        tests.append(lambda o: start <= o.timestamp <= end)
    if context.profile.updated_at:
        if "updated_at_from" in params:
            since = intval(params["updated_at_from"])
            tests.append(lambda o: o.updated_at >= since)
        if "updated_at_to" in params:
            until = intval(params["updated_at_to"])
            tests.append(lambda o: o.updated_at <= until)
    return tests


def _exact(params: dict[str, Any], *, newer: bool) -> list[Test]:
    tests: list[Test] = []
    if truthy(params.get("status")):
        letters = set(as_list(params["status"]))
        tests.append(lambda o: o.status in letters)
    one_of: dict[str, tuple[str, bool]] = {
        "user_id": ("user_id", False),
        "company_id": ("company_id", False),
        "order_id": ("order_id", True),
        "shippings": ("shipping_id", False),
        "payments": ("payment_id", False),
        "invoice_id": ("invoice_id", False),
        "credit_memo_id": ("credit_memo_id", False),
    }
    if newer:
        one_of |= {
            "company_ids": ("company_id", False),
            "storefront_id": ("storefront_id", False),
            "parent_order_id": ("parent_order_id", False),
        }
    for name, (field, split) in one_of.items():
        if truthy(params.get(name)):
            wanted = {intval(each) for each in as_list(params[name], split=split)}
            tests.append(lambda o, f=field, w=wanted: getattr(o, f) in w)  # type: ignore[misc]
    if truthy(params.get("has_invoice")):
        tests.append(lambda o: o.invoice_id is not None)
    if truthy(params.get("has_credit_memo")):
        tests.append(lambda o: o.credit_memo_id is not None)
    if truthy(params.get("no_issuer")):
        tests.append(lambda o: o.issuer_id is None)
    if truthy(params.get("tax_exempt")):
        exempt = params["tax_exempt"]
        tests.append(lambda o: o.tax_exempt == exempt)
    if truthy(params.get("p_ids")):
        products = {intval(each) for each in as_list(params["p_ids"], split=True)}
        tests.append(lambda o: any(line.product_id in products for line in o.lines))
    low, high = _amount(params.get("total_from")), _amount(params.get("total_to"))
    if low is not None:
        tests.append(lambda o: o.total >= low)
    if high is not None:
        tests.append(lambda o: o.total <= high)
    return tests


def _texts(params: dict[str, Any]) -> list[Test]:
    tests: list[Test] = []
    fields: dict[str, Callable[[Order], str]] = {
        "email": lambda o: o.email,
        "cname": lambda o: f"{o.firstname} {o.lastname}",
        "phone": lambda o: o.phone,
        "company": lambda o: o.company,
    }
    for name, read in fields.items():
        if truthy(params.get(name)) and isinstance(params[name], str):
            part = params[name].lower()
            tests.append(lambda o, r=read, p=part: p in r(o).lower())  # type: ignore[misc]
    return tests


def _amount(value: Any) -> Decimal | None:
    return decimal(value) if truthy(value) else None
