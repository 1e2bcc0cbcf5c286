"""What a shop consists of: customers, orders with their lines, products, shipments, statuses.

Plain records in the shop's own field names; money is Decimal in the primary currency, times are
epoch seconds. No JSON (`api/render_*`), no rules of change (`store`, `orders`, `shipments`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal("0.00")

COUNTRIES = {
    "AT": "Austria",
    "BE": "Belgium",
    "BG": "Bulgaria",
    "CY": "Cyprus",
    "DE": "Germany",
    "ES": "Spain",
    "FR": "France",
    "GB": "United Kingdom",
    "GR": "Greece",
    "IE": "Ireland",
    "IT": "Italy",
    "NL": "Netherlands",
    "PL": "Poland",
    "RO": "Romania",
    "US": "United States",
}


@dataclass(slots=True)
class PostalAddress:
    """One of an order's two addresses; `country` is ISO 3166-1 alpha-2."""

    firstname: str = ""
    lastname: str = ""
    address: str = ""
    address_2: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    zipcode: str = ""
    phone: str = ""


Amount = int | Decimal
"""Pieces; a Decimal where an add-on sells by weight (reference 23)."""


@dataclass(slots=True)
class Category:
    """A category of products."""

    category_id: int
    category: str
    parent_id: int = 0
    status: str = "A"
    position: int = 0
    company_id: int = 1


@dataclass(slots=True)
class Product:
    """A product."""

    product_id: int
    product: str
    product_code: str
    price: Decimal
    amount: Amount = 100
    main_category: int = 0
    list_price: Decimal = ZERO
    company_id: int = 1
    status: str = "A"
    tracking: str = "B"
    product_type: str = "P"
    parent_product_id: int = 0
    timestamp: int = 0
    updated_timestamp: int = 0
    weight: Decimal = Decimal("0.100")
    warehouses: dict[int, int] = field(default_factory=dict)
    """Pieces by warehouse of a product that is split; `amount` is their sum (reference 11.5)."""


@dataclass(slots=True)
class Customer:
    """A row of the users table; administrators have `user_type` A."""

    user_id: int
    email: str
    firstname: str = ""
    lastname: str = ""
    phone: str = ""
    company: str = ""
    company_id: int = 1
    status: str = "A"
    user_type: str = "C"
    is_root: str = "N"
    timestamp: int = 0
    last_login: int = 0
    anonymized: str = "N"
    address: PostalAddress = field(default_factory=PostalAddress)


@dataclass(slots=True)
class Line:
    """An order line.

    `price` is after the line discount, `discount` is per unit; `shipping_id` is 0 where the order's
    method is the line's, too; `variation` stands in brackets behind the name.
    """

    item_id: str
    product_id: int
    product_code: str
    product: str
    price: Decimal
    amount: Amount
    discount: Decimal = ZERO
    company_id: int = 1
    shipping_id: int = 0
    variation: str = ""

    @property
    def subtotal(self) -> Decimal:
        """Price times quantity."""
        return self.price * self.amount


@dataclass(slots=True)
class Order:
    """An order."""

    order_id: int
    user_id: int = 0
    email: str = ""
    firstname: str = ""
    lastname: str = ""
    phone: str = ""
    company: str = ""
    status: str = "O"
    total: Decimal = ZERO
    timestamp: int = 0
    updated_at: int = 0
    lines: list[Line] = field(default_factory=list)
    subtotal_discount: Decimal = ZERO
    shipping_cost: Decimal = ZERO
    promotion_ids: str = ""
    shipping_id: int = 1
    payment_id: int = 2
    company_id: int = 1
    storefront_id: int = 1
    parent_order_id: int = 0
    is_parent_order: str = "N"
    issuer_id: int | None = None
    invoice_id: int | None = None
    credit_memo_id: int | None = None
    notes: str = ""
    details: str = ""
    lang_code: str = "en"
    secondary_currency: str = "EUR"
    tax_exempt: str = "N"
    ship_to: PostalAddress = field(default_factory=PostalAddress)
    bill_to: PostalAddress = field(default_factory=PostalAddress)
    revision: int = 0  # counts every change that alters an answer: caches compare it

    @property
    def subtotal(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.subtotal for line in self.lines), ZERO)

    @property
    def methods(self) -> list[int]:
        """The shipping method of each shipping group; the order's own is that of the first."""
        others = (line.shipping_id for line in self.lines if line.shipping_id)
        return list(dict.fromkeys([self.shipping_id, *others]))

    @property
    def discount(self) -> Decimal:
        """What discounts took off all lines and the order."""
        return sum((line.discount * line.amount for line in self.lines), ZERO)


@dataclass(slots=True)
class Shipment:
    """`products` maps item ids to quantities; empty while its lines are not written yet."""

    shipment_id: int
    order_id: int
    timestamp: int
    shipping_id: int = 1
    carrier: str = ""
    tracking_number: str = ""
    comments: str = ""
    status: str = "P"
    products: dict[str, Amount] = field(default_factory=dict)


@dataclass(slots=True)
class ShopStatus:
    """`inventory` D takes stock, I gives it back; `paid` is the shop's payment_received."""

    status_id: int
    status: str
    description: str
    type: str = "O"
    inventory: str = ""
    paid: bool = False
    color: str = "#97cf4d"
    is_default: str = "Y"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that the shop would have sent."""

    kind: str  # order_status, shipment, back_in_stock
    to: str  # an address, or "department" / "vendor"
    time: float
    order_id: int | None = None
    shipment_id: int | None = None
    subject: str = ""
