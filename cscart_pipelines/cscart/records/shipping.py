"""The shipping methods of an order: every shape in which shops send `shipping`, made one.

Pure. By allow-list: of a method only its id, name and group are read, since the rest may hold a
carrier's credentials (reference 8.3). Not here: the other fields of an order (`orders`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cscart_pipelines.cscart.coerce import entries, label, mapping, money, reference, text


class ShippingMethod(NamedTuple):
    """One shipping method of an order.

    `group` is the shipping group of its lines, as text; None if the order has none.
    """

    shipping_id: int | None
    name: str | None
    group: str | None


def shipping_methods(shipping: Any, shipping_ids: Any) -> list[ShippingMethod]:
    """Returns the methods of an order, in the order of its shipping groups. Never raises.

    `shipping` is a list, a map keyed by group, a map keyed by shipping id (then without
    `shipping_id` and `group_key` inside), one object, or a name (reference 8.3, 23). `shipping_ids`
    (text with commas, or a list) fills in what `shipping` leaves open.
    """
    if shipping.__class__ is list and len(shipping) == 1:  # the usual case
        get = mapping(shipping[0]).get
        if shipping_id := reference(get("shipping_id")):
            return [ShippingMethod(shipping_id, _name(shipping[0]), text(get("group_key")))]
    ids = _ids(shipping_ids)
    if shipping.__class__ is dict and _is_method(shipping):
        shipping = [shipping]
    if shipping.__class__ is str:
        shipping = [shipping]
    keyed = shipping.__class__ is dict
    found: list[ShippingMethod] = []
    for key, raw in entries(shipping):
        entry = mapping(raw)
        group = text(entry.get("group_key"))
        shipping_id = reference(entry.get("shipping_id"))
        if keyed and group is None:
            named = reference(key)
            if shipping_id is None and raw and (not ids or named in ids):
                shipping_id = named
            elif shipping_id != named:
                group = key
        name = _name(raw)
        if shipping_id or name:
            found.append(ShippingMethod(shipping_id, name, group))
    if not found:
        return [ShippingMethod(each, None, None) for each in ids]
    claimed = {method.shipping_id for method in found}
    free = (each for each in ids if each not in claimed)  # in the order of the groups, like `found`
    return [
        method if method.shipping_id else method._replace(shipping_id=next(free, None))
        for method in found
    ]


def method_of(methods: Sequence[ShippingMethod], extra: Any) -> ShippingMethod | None:
    """Returns the method of a line, by the group in its `extra`; None if the order has none.

    A line without a group, or with one that has no method, has the first method, as the shop itself
    takes the first group if none is named (reference 9.2).
    """
    if len(methods) < 2:
        return methods[0] if methods else None
    group = text(mapping(extra).get("group_key"))
    if group is not None:
        for method in methods:
            if method.group == group:
                return method
        place = reference(group) or 0
        if place < len(methods) and methods[place].group is None:
            return methods[place]
    return methods[0]


def names_of(methods: Sequence[ShippingMethod]) -> str | None:
    """Returns the names of the methods, each once, with commas; None without any."""
    if len(methods) == 1:
        return methods[0].name
    return ", ".join(dict.fromkeys(each.name for each in methods if each.name)) or None


def ids_of(methods: Sequence[ShippingMethod]) -> str | None:
    """Returns the ids of the methods as the shop writes them, "1,2"; None without any."""
    return ",".join(str(each.shipping_id) for each in methods if each.shipping_id) or None


def _ids(value: Any) -> list[int]:
    parts = value.split(",") if value.__class__ is str else [each for _, each in entries(value)]
    known = (reference(part) for part in (parts or [value]))
    return [each for each in known if each is not None]


def _is_method(shipping: dict[str, Any]) -> bool:
    """Tells whether this is one method and no map of methods: it has a name or an id itself."""
    return _name(shipping) is not None or reference(shipping.get("shipping_id")) is not None


def _name(raw: Any) -> str | None:
    """Returns the name of a method: `shipping`, in derived shops `name`, or the entry itself.

    An amount is the cost of shipping and no name.
    """
    if raw.__class__ is str:
        return None if money(raw) is not None else label(raw)
    get = mapping(raw).get
    return label(get("shipping")) or label(get("name"))
