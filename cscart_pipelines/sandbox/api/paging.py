"""Pages of a list: size, clamping, envelope and the echo of parameters (reference 6).

Pure. Which rows are in the list and in which order is the entities' business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cscart_pipelines.sandbox.http.php import intval
from cscart_pipelines.sandbox.http.responses import SandboxResponse, ok
from cscart_pipelines.sandbox.shop.profiles import Profile


@dataclass(slots=True)
class Listing:
    """A filtered, sorted list about to be cut into a page."""

    entity: str
    keys: Sequence[Any]
    extras: dict[str, Any] = field(default_factory=dict)  # computed params, after the echo
    repeat_last: bool = False
    total_as_text: bool = True
    total_of_page: bool = False
    envelope_in_1_0: bool = False


def sorting(
    params: dict[str, Any], keys: Sequence[str], by: str, order: str = "asc"
) -> dict[str, str]:
    """The sort really used: unknown values fall silently back (reference 6.4)."""
    chosen = params.get("sort_by")
    used_by = chosen if isinstance(chosen, str) and chosen in keys else by
    direction = params.get("sort_order")
    used = direction if direction in ("asc", "desc") else order
    return {
        "sort_order": used,
        "sort_by": used_by,
        "sort_order_rev": "asc" if used == "desc" else "desc",
    }


def page_of(
    listing: Listing,
    params: dict[str, Any],
    *,
    profile: Profile,
    api: str,
    default_size: int,
    limit: int | None = None,
    tells_limit: bool = True,
    render: Callable[[Sequence[Any]], list[Any]],
) -> SandboxResponse:
    """Cuts the page that `params` ask for and renders it."""
    bare = api == "1.0" and not listing.envelope_in_1_0
    asked = params.get("items_per_page")
    total = len(listing.keys)
    size = default_size if asked is None else intval(asked)
    if asked is None and bare:
        size = 0
    if size < 0:
        size = default_size
    if limit is not None:
        size = min(size or limit, limit)
    page = max(1, intval(params.get("page", 1)))
    if size == 0:
        rows = listing.keys
    else:
        if listing.repeat_last:
            page = min(page, max(1, math.ceil(total / size)))
        rows = listing.keys[(page - 1) * size : page * size]
    body = render(rows)
    if bare:
        return ok(body)
    shown: Any = size
    if asked is not None and not (profile.page_size_as_number and tells_limit) and limit != size:
        shown = asked
    echo: dict[str, Any] = {"page": page, "items_per_page": shown}
    echo |= {k: v for k, v in params.items() if k not in ("page", "items_per_page")}
    echo |= listing.extras
    if size != 0:
        counted = len(rows) if listing.total_of_page and not rows else total
        echo["total_items"] = str(counted) if listing.total_as_text else counted
    return ok({listing.entity: body, "params": echo})
