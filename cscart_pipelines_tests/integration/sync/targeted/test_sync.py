"""Single orders and people read again: what the shop has is loaded, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import CredentialsRefusedError, TransientShopError
from cscart_pipelines.identity import sha256, written
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines.integrations.sync_runs import optimistic_load
from cscart_pipelines.integrations.sync_runs.optimistic_load import ConcurrentSyncError
from cscart_pipelines.privacy import erasure
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.targeted import reads
from cscart_pipelines.sync.targeted.sync import TargetedReport, sync_targeted
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.shop.syncs import Connected, connected, fill_shop

pytestmark = pytest.mark.begun_first

PROFILES = ("4.7", "4.16", "4.20")
UNSEEN = ("products", "shipments", "categories", "statuses")


@pytest.fixture(params=PROFILES)
def shop(
    request: pytest.FixtureRequest, warehouse_database: Database, settings: Settings
) -> Iterator[Connected]:
    """Synchronised once; the shop's requests are counted from then on."""
    with connected(warehouse_database, settings, request.param) as made:
        fill_shop(made.store)
        made.sync()
        made.later(1)
        made.shop.requests.clear()
        yield made


@pytest.fixture
def newest(warehouse_database: Database, settings: Settings) -> Iterator[Connected]:
    """The same, of one version."""
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        made.later(1)
        made.shop.requests.clear()
        yield made


def address_hash(email: str) -> str:
    """As browsers send it."""
    return sha256(written(email))


def look(
    shop: Connected,
    orders: Collection[int] = (),
    people: Mapping[str, Collection[str]] | Collection[str] = (),
    *,
    client: ShopClient | None = None,
    announce: Collection[str] = (),
    before_loading: Any = None,
) -> TargetedReport:
    """People as addresses."""
    known = people if isinstance(people, Mapping) else dict.fromkeys(people, ())
    hashed = {
        address_hash(email): [address_hash(other) for other in others]
        for email, others in known.items()
    }
    with shop.warehouse.connect(autocommit=True) as connection:
        begun = optimistic_load.begin(connection, shop.registry, shop.key)
        if before_loading is not None:
            before_loading()
        with client or shop.client() as asked:
            return sync_targeted(
                connection, begun, asked, orders, hashed, announce=announce, run_id="run"
            )


def records(shop: Connected) -> list[tuple[Any, ...]]:
    return shop.query(
        "SELECT state, rows_done, run_id, finished_at >= started_at FROM registry.sync_runs"
        " WHERE integration = %s AND kind = 'onsite' ORDER BY id"
    )


def status(shop: Connected) -> str:
    return str(shop.registry.get(shop.key).status)


def asked(shop: Connected) -> list[str]:
    return [request.path.rpartition("/api/2.0/")[2] for request in shop.shop.requests]


# --- orders --------------------------------------------------------------------------------------


def test_a_new_order_of_a_customer(shop: Connected) -> None:
    made = shop.store.place_order(user_id=3, lines=[(1, 2), (2, 1)])
    report = look(shop, [made.order_id])
    assert (report.orders, report.changes.inserted, report.missing) == (1, 1, set())
    assert shop.differences(without=UNSEEN) == {}
    assert records(shop) == [("succeeded", 1, "run", True)]
    assert status(shop) == "enabled"


def test_a_new_order_of_a_guest_makes_the_guest_known(shop: Connected) -> None:
    made = shop.store.place_order(email=" New.Guest@Example.com", firstname="Zoë")
    report = look(shop, [made.order_id], ["new.guest@example.com"])
    assert report.unknown == set()
    assert shop.differences(without=UNSEEN) == {}


def test_an_order_whose_buyer_registered_with_it_brings_the_account(shop: Connected) -> None:
    account = shop.store.add_customer("fresh@example.com")
    made = shop.store.place_order(user_id=account.user_id)
    report = look(shop, [made.order_id])
    assert (report.orders, report.customers) == (1, 1)
    assert shop.differences(without=UNSEEN) == {}


def test_an_order_entered_by_staff_brings_no_account_of_staff(newest: Connected) -> None:
    made = newest.store.place_order(user_id=1)
    assert look(newest, [made.order_id]).customers == 0
    assert newest.differences(without=UNSEEN) == {}


def test_a_changed_order_and_its_lines(shop: Connected) -> None:
    number = min(shop.store.orders)
    shop.store.edit_order(number, lines=[(5, 7)], status="C")
    report = look(shop, [number])
    assert (report.changes.updated, report.changes.inserted) == (1, 0)
    assert shop.differences(without=UNSEEN) == {}


def test_an_order_that_the_shop_does_not_show_yet_is_only_reported(shop: Connected) -> None:
    report = look(shop, [999_999])
    assert report.missing == {999_999}
    assert records(shop) == []
    assert shop.differences(without=UNSEEN) == {}


def test_a_deleted_order_is_left_to_the_sweep(newest: Connected) -> None:
    number = min(newest.store.orders)
    newest.store.delete_order(number)
    assert look(newest, [number]).missing == {number}
    assert (number,) in newest.live("orders")
    newest.sync()
    assert newest.differences(without=UNSEEN) == {}


def test_of_a_split_order_the_parts_are_loaded(
    warehouse_database: Database, settings: Settings
) -> None:
    """The completion page tells the number of the parent, which never counts."""
    for profile in PROFILES:
        with connected(warehouse_database, settings, profile, multivendor=True) as shop:
            for product in list(shop.store.products.values())[:2]:
                shop.store.edit_product(product.product_id, company_id=product.product_id)
            shop.sync()
            shop.later(1)
            parent = shop.store.place_order(email="a@example.com", lines=[(1, 1), (2, 1)])
            assert parent.is_parent_order == "Y"
            report = look(shop, [parent.order_id])
            assert (report.orders, report.missing) == (2, set())
            assert shop.differences(without=UNSEEN) == {}


def test_a_broken_order_keeps_no_other(newest: Connected) -> None:
    first = newest.store.place_order(email="a@example.com")
    second = newest.store.place_order(email="b@example.com")
    newest.shop.faults.poison(first.order_id)
    report = look(newest, [first.order_id, second.order_id])
    assert report.missing == {first.order_id}
    assert (second.order_id,) in newest.live("orders")
    # Alone it is no sign that the shop is in trouble either.
    assert look(newest, [first.order_id]).missing == {first.order_id}


# --- people --------------------------------------------------------------------------------------


def test_a_new_account_is_found_among_the_newest(shop: Connected) -> None:
    shop.store.add_customer("Someone@Example.com", firstname="New")
    shop.store.add_customer("another@example.com", firstname="New too")
    report = look(shop, (), ["someone@example.com"])
    assert report.unknown == set()
    assert report.changes.inserted == 2  # whoever came with them is loaded too
    assert asked(shop) == ["users"]
    assert shop.differences(without=UNSEEN) == {}


def test_many_new_accounts_on_several_pages(
    newest: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "NEWEST", 4)
    for number in range(11):
        newest.store.add_customer(f"new{number}@example.com")
    report = look(newest, (), ["new0@example.com"])
    assert (report.unknown, report.changes.inserted) == (set(), 11)
    assert asked(newest) == ["users"] * 3
    assert newest.differences(without=UNSEEN) == {}


def test_a_changed_profile(shop: Connected) -> None:
    number = max(shop.store.customers)
    person = shop.store.edit_customer(number, firstname="Changed", phone="+49301234567")
    report = look(shop, (), [person.email.upper()])
    assert (report.unknown, report.changes.updated) == (set(), 1)
    assert asked(shop) == [f"users/{number}"]
    assert shop.differences(without=UNSEEN) == {}


def test_a_changed_address_is_followed_from_the_one_before(shop: Connected) -> None:
    number = sorted(shop.store.customers)[2]
    before = shop.store.customers[number].email
    shop.store.edit_customer(number, email="moved@example.com")
    report = look(shop, (), {"moved@example.com": [before]})
    assert (report.unknown, report.changes.updated) == (set(), 1)
    assert asked(shop) == [f"users/{number}"]
    assert shop.differences(without=UNSEEN) == {}


def test_a_page_that_still_tells_the_old_address_is_understood(shop: Connected) -> None:
    number = sorted(shop.store.customers)[2]
    before = shop.store.customers[number].email
    shop.store.edit_customer(number, email="moved@example.com")
    assert look(shop, (), [before]).unknown == set()
    assert shop.differences(without=UNSEEN) == {}


def test_who_cannot_be_found_in_the_shop_is_nobody(shop: Connected) -> None:
    report = look(shop, (), ["stranger@example.com"])
    assert report.unknown == {address_hash("stranger@example.com")}
    assert report.changes.written == 0
    assert records(shop) == []
    assert shop.differences(without=UNSEEN) == {}


def test_an_account_that_is_gone_is_left_to_the_sweep(shop: Connected) -> None:
    number = max(shop.store.customers)
    email = shop.store.customers[number].email
    shop.store.delete_customer(number)
    assert look(shop, (), [email]).unknown == {address_hash(email)}
    assert (number,) in shop.live("customers")
    shop.sync()
    assert shop.differences() == {}


def test_nothing_changed_is_no_news(newest: Connected) -> None:
    person = newest.store.customers[max(newest.store.customers)]
    before = newest.versions("customers"), newest.versions("orders")
    report = look(newest, [min(newest.store.orders)], [person.email])
    assert (report.orders, report.customers, report.changes.written) == (1, 1, 0)
    assert (newest.versions("customers"), newest.versions("orders")) == before
    assert records(newest) == []
    # What they said about mail is news, if they are in a list at all.
    look(newest, (), ["stranger@example.com"], announce=[address_hash("stranger@example.com")])
    assert records(newest) == []
    look(newest, (), [person.email], announce=[address_hash(person.email)])
    assert records(newest) == [("succeeded", 0, "run", True)]


def test_what_a_guest_said_about_mail_is_news(newest: Connected) -> None:
    newest.store.place_order(email="guest@example.com")
    newest.sync()
    assert look(
        newest, (), ["guest@example.com"], announce=[address_hash("guest@example.com")]
    ).unknown
    assert records(newest) == [("succeeded", 0, "run", True)]


# --- beside others -------------------------------------------------------------------------------


def test_the_next_synchronisation_has_nothing_left_to_do(shop: Connected) -> None:
    account = shop.store.add_customer("fresh@example.com")
    made = shop.store.place_order(user_id=account.user_id)
    look(shop, [made.order_id], ["fresh@example.com"])
    assert shop.sync().written() == 0
    assert shop.differences(without=UNSEEN) == {}


def test_not_beside_a_synchronisation_of_the_same_shop(newest: Connected) -> None:
    with newest.session() as session:
        with pytest.raises(NotAllowedError, match="in progress"):
            look(newest, [1001])
        session.succeed({})
    assert look(newest, [1001]).orders == 1


def test_what_was_read_before_a_synchronisation_is_not_loaded_after_it(newest: Connected) -> None:
    number = min(newest.store.orders)
    client = newest.client()

    def resync() -> None:
        newest.store.edit_order(number, firstname="Later")
        newest.sync()

    with pytest.raises(ConcurrentSyncError, match="begun meanwhile"):
        look(newest, [number], client=client, before_loading=resync)
    assert newest.differences() == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE registry.integrations SET status = 'disabled' WHERE integration = %s", "disabled"),
        ("DELETE FROM registry.integrations WHERE integration = %s", "removed"),
    ],
)
def test_not_into_an_integration_that_went_meanwhile(
    change: str, why: str, newest: Connected
) -> None:
    def go() -> None:
        with newest.warehouse.connect(autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(change.encode(), [newest.key])

    made = newest.store.place_order(email="a@example.com")
    with pytest.raises(ConcurrentSyncError, match=why):
        look(newest, [made.order_id], before_loading=go)
    assert (made.order_id,) not in newest.live("orders")


@pytest.mark.parametrize("status", ["disabled", "ready"])
def test_a_shop_that_may_not_be_synchronised_is_not_asked(status: str, newest: Connected) -> None:
    with newest.warehouse.connect(autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE registry.integrations SET status = %s", [status])
    with pytest.raises(NotAllowedError):
        look(newest, [1001])
    assert asked(newest) == []


def test_before_the_first_synchronisation_is_complete_nothing_is_read(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as shop:
        with shop.session() as session:
            session.fail("x", permanent=False)
        with pytest.raises(NotAllowedError, match="first synchronisation"):
            look(shop, [1001])


def test_a_synchronisation_may_begin_while_the_shop_is_read(newest: Connected) -> None:
    """Nobody is told that the shop is busy because a visit is being followed."""
    made = newest.store.place_order(email="a@example.com")
    taken = []

    def take(request: Any) -> None:
        if not taken:
            with newest.session() as session:
                taken.append(session)
                session.succeed({})

    newest.shop.before_request(take)
    with pytest.raises(ConcurrentSyncError):
        look(newest, [made.order_id])
    assert taken and status(newest) == "enabled"


def test_forgotten_people_stay_forgotten(shop: Connected) -> None:
    person = shop.store.customers[max(shop.store.customers)]
    guest = shop.store.place_order(email="gone@example.com")
    own = shop.store.place_order(user_id=person.user_id)

    def go() -> None:  # even between reading and loading
        with shop.warehouse.connect(autocommit=True) as connection:
            for email in (person.email, "gone@example.com"):
                erasure.erase_person(connection, [shop.key], email)

    look(shop, [guest.order_id, own.order_id], [person.email], before_loading=go)
    assert (person.user_id,) not in shop.live("customers")
    for order in (guest, own):
        row = shop.live("orders")[(order.order_id,)]
        assert (row["email"], row["user_id"], row["total"]) == (None, None, order.total)


def test_an_order_tells_that_its_account_was_made_anonymous(shop: Connected) -> None:
    """Only the order was seen in a browser; what the shop has written over it makes nobody."""
    person = shop.store.customers[max(shop.store.customers)]
    own = shop.store.place_order(user_id=person.user_id, email=person.email, firstname="Ada")
    look(shop, [own.order_id])
    assert shop.live("orders")[(own.order_id,)]["email"] == person.email
    shop.store.anonymise_customer(person.user_id)
    shop.later(1)
    assert look(shop, [own.order_id]).changes.written > 0
    assert (person.user_id,) not in shop.live("customers")
    row = shop.live("orders")[(own.order_id,)]
    assert (row["email"], row["user_id"], row["firstname"]) == (None, None, None)
    assert row["s_country"] != "Bo"
    kept = shop.query("SELECT raw FROM cscart.email_addresses WHERE integration = %s")
    assert not {person.email, f"anon{person.user_id}@nowhere.gr"} & {raw for (raw,) in kept}


def test_a_browser_knows_the_address_that_the_shop_has_something_around(shop: Connected) -> None:
    person = shop.store.add_customer("<Around@x.gr>,")
    look(shop, (), ["around@x.gr"])
    shop.store.edit_customer(person.user_id, firstname="Ada")
    assert look(shop, (), ["around@x.gr"]).customers == 1
    assert shop.live("customers")[(person.user_id,)]["firstname"] == "Ada"


def test_a_shop_that_is_down_changes_nothing(shop: Connected) -> None:
    made = shop.store.place_order(email="a@example.com")
    shop.shop.faults.add("server_error")
    with pytest.raises(TransientShopError):
        look(shop, [made.order_id], ["a@example.com"])
    assert records(shop) == []
    assert status(shop) == "enabled"


def test_refused_credentials_are_said_by_the_next_synchronisation(newest: Connected) -> None:
    wrong = ShopClient(newest.shop.url, newest.shop.email, "wrong")
    with pytest.raises(CredentialsRefusedError):
        look(newest, [1001], client=wrong)
    assert status(newest) == "enabled"


def test_an_unreadable_order_is_set_aside_until_it_can_be_read(newest: Connected) -> None:
    made = newest.store.place_order(email="a@example.com", status="")
    assert look(newest, [made.order_id]).rejected == 1
    assert f"orders {made.order_id}" in newest.rejects()
    newest.store.edit_order(made.order_id, status="O")
    look(newest, [made.order_id])
    assert newest.rejects() == {}
    assert newest.differences(without=UNSEEN) == {}


def test_records_that_are_in_the_lists_give_way_to_new_ones(newest: Connected) -> None:
    for number in range(3):
        newest.store.edit_order(1001, firstname=f"Name {number}")
        look(newest, [1001])
        with newest.warehouse.connect(autocommit=True) as connection:
            if number == 1:
                connection.execute(
                    "INSERT INTO registry.list_builds (integration, covers_sync, as_of)"
                    " SELECT integration, max(id), now() FROM registry.sync_runs GROUP BY 1"
                )
    assert len(records(newest)) == 1
    kinds = newest.query("SELECT kind FROM registry.sync_runs WHERE integration = %s ORDER BY id")
    assert [row[0] for row in kinds] == ["first", "onsite"]


# --- what an integration takes -------------------------------------------------------------------


def test_what_is_outside_the_limit_is_not_loaded(newest: Connected) -> None:
    IntegrationService(newest.warehouse, newest.registry, newest.settings).edit(
        newest.key, {"companies": "1"}
    )
    newest.sync()
    theirs = newest.store.add_customer("theirs@example.com", company_id=2)
    buyer = newest.store.add_customer("buyer@example.com", company_id=2)
    orders = [
        newest.store.place_order(user_id=buyer.user_id, company_id=1).order_id,
        newest.store.place_order(user_id=theirs.user_id, company_id=2).order_id,
    ]
    report = look(newest, orders, ["theirs@example.com", "buyer@example.com"])
    assert (report.orders, report.missing) == (1, set())
    assert (orders[0],) in newest.live("orders")
    assert (orders[1],) not in newest.live("orders")
    assert (buyer.user_id,) in newest.live("customers")
    assert (theirs.user_id,) not in newest.live("customers")


def test_a_limit_that_is_changed_meanwhile_stops_the_loading(newest: Connected) -> None:
    made = newest.store.place_order(user_id=3, company_id=2)
    service = IntegrationService(newest.warehouse, newest.registry, newest.settings)
    with pytest.raises(ConcurrentSyncError, match="was changed meanwhile"):
        look(
            newest,
            [made.order_id],
            before_loading=lambda: service.edit(newest.key, {"companies": "1"}),
        )
    assert (made.order_id,) not in newest.live("orders")
