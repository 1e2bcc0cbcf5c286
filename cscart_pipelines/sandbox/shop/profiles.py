"""What differs between shop versions: one frozen `Profile` per version, the only place for it.

Every field is a switch of the reference's simulator checklist (section 19) or of its table of
version differences (section 18). No behaviour here: the other modules ask the profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Profile:
    """How a shop of one version behaves. Section numbers are those of the API reference."""

    name: str
    product_version: str
    current_api: Literal["2.0", "2.1"]  # what an unversioned URL means (2.2)
    page_size: int  # "elements per page" as installed (6.2)
    orders_repeat_last_page: bool  # page past the end (6.3)
    wrong_totals_past_end: bool  # statuses & co: total_items = size of this page (6.3)
    structured_errors: bool  # error bodies carry `messages`/`errors` (7.1)
    page_size_as_number: bool  # params.items_per_page is a number, not the text sent (6.1)
    updated_at: bool  # the field and the filters (8.2, 8.6)
    orders_data: bool  # get_orders_data=1 (8.2)
    quick_status: bool  # PUT of the status alone always answers 200 (8.8)
    shipment_update: Literal["never", "whitelist"]  # 9.3
    carrier_message: bool  # POST shipment without carrier and number says why (9.2)
    shipment_mail: Literal["never", "always", "flag"]  # 9.2
    shipment_filters_newer: bool  # `status` filter and sort key of shipments
    user_type_required: bool  # 10.2
    missing_user_is_list: bool  # unknown user id: 200 with the list envelope (10.3)
    last_login: bool  # users carry last_login (10.1)
    storefront_in_list: bool  # order rows carry storefront_id (8.1)
    storefront_in_detail: bool  # 8.3
    issuer_email: bool  # order rows carry issuer_email (8.1)
    newer_order_filters: bool  # company_ids, storefront_id, parent_order_id (8.2)
    reward_points: bool  # the add-on's `points`
    crash_status: Literal[500, 503]  # 7.2
    price_digits: Literal[2, 6]  # text of product prices (11.1)
    raw_product_fields: bool  # the *_raw twins (11.1)
    rich_product_rows: bool  # category_ids, images and computed extras in the product list
    combinations: bool  # 11.4
    warehouses: bool  # the add-on that splits stock (11.5); no release named: taken as not in 4.7
    form_bodies: bool  # form encoded request bodies (4.2)
    options_method: bool  # OPTIONS answers 200 (4.1)
    method_override: bool  # POST with _METHOD (4.1)
    versions_entity: bool  # GET /versions (2.1)
    payment_received: bool  # statuses tell which are paid (8.5)
    paid_name: Literal["Processed", "Paid"]  # default name of status P (8.5)
    call_requests: bool  # the add-on's status Y
    hidden_version_text: bool  # ?version needs an administrator (4.4)


_V47 = Profile(
    name="4.7",
    product_version="4.7.1",
    current_api="2.0",
    page_size=10,
    orders_repeat_last_page=True,
    wrong_totals_past_end=True,
    structured_errors=False,
    page_size_as_number=False,
    updated_at=False,
    orders_data=False,
    quick_status=False,
    shipment_update="never",
    carrier_message=False,
    shipment_mail="never",
    shipment_filters_newer=False,
    user_type_required=False,
    missing_user_is_list=False,
    last_login=False,
    storefront_in_list=False,
    storefront_in_detail=False,
    issuer_email=False,
    newer_order_filters=False,
    reward_points=False,
    crash_status=503,
    price_digits=6,
    raw_product_fields=False,
    rich_product_rows=False,
    combinations=True,
    warehouses=False,
    form_bodies=False,
    options_method=False,
    method_override=False,
    versions_entity=False,
    payment_received=False,
    paid_name="Processed",
    call_requests=False,
    hidden_version_text=False,
)


def _newer(base: Profile, **changes: object) -> Profile:
    return Profile(**{**base.__dict__, **changes})


_V412 = _newer(
    _V47,
    name="4.12",
    product_version="4.12.2",
    current_api="2.1",
    orders_repeat_last_page=False,
    wrong_totals_past_end=False,
    structured_errors=True,
    page_size_as_number=True,
    orders_data=True,
    quick_status=True,
    shipment_mail="always",
    last_login=True,
    storefront_in_detail=True,
    issuer_email=True,
    newer_order_filters=True,
    reward_points=True,
    crash_status=500,
    rich_product_rows=True,
    combinations=False,
    warehouses=True,
    form_bodies=True,
    options_method=True,
    call_requests=True,
    hidden_version_text=True,
)
_V413 = _newer(
    _V412, name="4.13", product_version="4.13.2", updated_at=True, raw_product_fields=True
)
_V416 = _newer(
    _V413,
    name="4.16",
    product_version="4.16.2",
    shipment_update="whitelist",
    carrier_message=True,
    shipment_filters_newer=True,
    user_type_required=True,
    missing_user_is_list=True,
    price_digits=2,
    payment_received=True,  # "new" in the reference without a release: taken as from here on
    paid_name="Paid",
)
_V420 = _newer(
    _V416,
    name="4.20",
    product_version="4.20.1",
    page_size=50,
    shipment_mail="flag",
    storefront_in_list=True,
    method_override=True,
    versions_entity=True,
)

PROFILES: dict[str, Profile] = {each.name: each for each in (_V47, _V412, _V413, _V416, _V420)}


def profile_named(name: str | Profile) -> Profile:
    """The profile of a version such as ``"4.13"``. Raises ValueError naming the known ones."""
    if isinstance(name, Profile):
        return name
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"unknown shop version {name!r}; known: {', '.join(PROFILES)}") from None
