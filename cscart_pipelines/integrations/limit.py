"""What an integration takes of an installation: all of it, or some companies or storefronts.

The key of a root administrator reads every storefront of an installation (reference 13). Pure. Not
here: two integrations that take the same (`conflicts.overlap`), applying a changed limit
(`service`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limit:
    """Ids; an empty tuple sets no limit. With both, an order must be inside both.

    Orders carry a company in every version and a storefront from 4.11 on, products and accounts a
    company only (reference 8.1, 8.3, 10.1, 11.1), shipments neither.
    """

    companies: tuple[int, ...] = ()
    storefronts: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.companies or self.storefronts)

    def why_outside(self, company: int | None, storefront: int | None) -> str | None:
        """Returns why an order is not taken, or None. An order without the id is not taken."""
        for name, taken, found in (
            ("company", self.companies, company),
            ("storefront", self.storefronts, storefront),
        ):
            if taken and found not in taken:
                belongs = f"belongs to {name} {found}" if found else f"tells no {name}"
                only = ", ".join(map(str, taken))
                return f"the order {belongs}, and this integration takes only {name} {only}"
        return None

    def takes_company(self, company: int | None) -> bool:
        """Tells whether a product of this company is taken."""
        return not self.companies or company in self.companies

    def takes_account(self, company: int | None, user_id: int, buyers: Collection[int]) -> bool:
        """Tells whether a customer is taken: of one of the companies, or a buyer of a taken order.

        Installations may share accounts between companies, and vendors have none of their own
        (reference 10.4).
        """
        return not self or company in self.companies or user_id in buyers

    def order_filters(self, *, newer: bool) -> dict[str, Any]:
        """Returns parameters of the order list (reference 8.2). `newer`: CS-Cart 4.11 or later."""
        filters = self.company_filters(newer=newer)
        if newer and self.storefronts:
            filters["storefront_id[]"] = list(self.storefronts)
        return filters

    def company_filters(self, *, newer: bool) -> dict[str, Any]:
        """Returns parameters of the product list (reference 11.1)."""
        if len(self.companies) == 1:
            return {"company_id": self.companies[0]}
        return {"company_ids[]": list(self.companies)} if newer and self.companies else {}

    def unknowable(self, capabilities: Mapping[str, Any]) -> str | None:
        """Returns why a shop with these capabilities cannot be limited so, or None."""
        if self.storefronts and not capabilities.get("orders_with_details", True):
            return (
                "orders of this version of CS-Cart do not tell their storefront (4.11 and later"
                " do); expected --companies instead"
            )
        return None
