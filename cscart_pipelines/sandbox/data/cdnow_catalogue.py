"""A made-up catalogue for CDNOW's records: 120 albums in 10 categories, and lines cut to a value.

CDNOW gives the number of CDs and the dollars of a purchase, not what was bought.
"""

from __future__ import annotations

import random
from decimal import Decimal

from cscart_pipelines.sandbox.shop.model import Line, Product
from cscart_pipelines.sandbox.shop.orders import item_id
from cscart_pipelines.sandbox.shop.store import Store

CATEGORIES = (
    "Rock",
    "Pop",
    "Jazz",
    "Classical",
    "Blues",
    "Electronic",
    "Hip-hop",
    "Folk",
    "Soundtracks",
    "World",
)
PRODUCTS_PER_CATEGORY = 12
_ADJECTIVES = ("Blue", "Silent", "Golden", "Northern", "Paper", "Electric")
_NOUNS = ("Rivers", "Windows")
CENT = Decimal("0.01")


def fill_catalogue(store: Store, created: int) -> list[Product]:
    """Adds categories and products (codes CD-001 …) as created at `created` (epoch seconds)."""
    made: list[Product] = []
    for position, name in enumerate(CATEGORIES):
        category = store.add_category(name, position=position * 10)
        for number in range(PRODUCTS_PER_CATEGORY):
            index = position * PRODUCTS_PER_CATEGORY + number + 1
            title = f"{_ADJECTIVES[number % 6]} {_NOUNS[number // 6]}"
            made.append(
                store.add_product(
                    f"{title} ({name} album)",
                    Decimal(999 + (index * 137) % 1200) * CENT,
                    product_code=f"CD-{index:03d}",
                    main_category=category.category_id,
                    amount=200 + (index * 31) % 300,
                    timestamp=created,
                    status="D" if index % 40 == 0 else "A",
                )
            )
    return made


def cut_lines(
    dice: random.Random,
    products: list[Product],
    favourite: int,
    pieces: int,
    value: Decimal,
    *,
    discounted: bool,
) -> list[Line]:
    """Lines whose sums are exactly `value` and whose quantities are exactly `pieces`.

    Of several pieces the last line has one, so that its price takes what rounding leaves over.
    `favourite` is a category that gets about half of the lines. With `discounted` each line shows
    a tenth off in `discount`; the price is after it, so totals stay.
    """
    count = 1 if pieces == 1 else dice.randint(2, min(pieces, 5))
    if pieces > 1 and count == 2 and pieces > 2 and (value / pieces) % CENT == 0:
        count = 1
    chosen: list[Product] = []
    while len(chosen) < count:
        if dice.random() < 0.5:
            pick = products[favourite * PRODUCTS_PER_CATEGORY + dice.randrange(12)]
        else:
            pick = dice.choice(products)
        if pick not in chosen:
            chosen.append(pick)
    if count == 1:
        return [_line(chosen[0], value / pieces, pieces, discounted)]
    amounts = [1] * count
    for _ in range(pieces - count):
        amounts[dice.randrange(count - 1)] += 1
    left = value
    lines: list[Line] = []
    for product, amount in zip(chosen[:-1], amounts[:-1], strict=True):
        rest = pieces - sum(line.amount for line in lines)
        price = (left / rest * Decimal(dice.randint(80, 105)) / 100).quantize(CENT)
        price = min(price, (left / amount).quantize(CENT, rounding="ROUND_DOWN"))
        lines.append(_line(product, price, amount, discounted))
        left -= price * amount
    lines.append(_line(chosen[-1], left, 1, discounted))
    return lines


def _line(product: Product, price: Decimal, amount: int, discounted: bool) -> Line:
    return Line(
        item_id=item_id(product.product_id),
        product_id=product.product_id,
        product_code=product.product_code,
        product=product.product,
        price=price.quantize(CENT),
        amount=amount,
        discount=(price / 9).quantize(CENT) if discounted else Decimal("0.00"),
        company_id=product.company_id,
    )
