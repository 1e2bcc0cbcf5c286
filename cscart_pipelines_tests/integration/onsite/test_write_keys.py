"""Write keys: one for an integration however many ask, replaced, and closed when it must be."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest

from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.onsite import write_keys
from cscart_pipelines.onsite.write_keys import Site, load_sites, rotate, shop_origins, write_key
from cscart_pipelines_tests.support.shop.commands import Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation


def sites(installation: Installation) -> dict[str, Site]:
    with installation.database.connect() as connection:
        return load_sites(connection)


def key_of(installation: Installation, integration: str = "shop") -> str:
    with installation.database.connect() as connection:
        return write_key(connection, integration)


def test_a_key_is_made_once_and_is_random(installation: Installation) -> None:
    installation.save("tea")
    installation.save("hats")
    tea, hats = key_of(installation, "tea"), key_of(installation, "hats")
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", tea)
    assert key_of(installation, "tea") == tea != hats
    assert {key: site.integration for key, site in sites(installation).items()} == {
        tea: "tea",
        hats: "hats",
    }


def test_many_that_ask_at_the_same_time_get_the_same_key(installation: Installation) -> None:
    installation.save()
    found: list[str] = []
    together = threading.Barrier(8)

    def ask() -> None:
        with installation.database.connect() as connection:
            together.wait()
            found.append(write_key(connection, "shop"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert installation.rows("SELECT count(*) FROM onsite.keys") == [(1,)]


def test_an_unknown_integration_gets_no_key(installation: Installation) -> None:
    with installation.database.connect() as connection:
        with pytest.raises(UnknownIntegrationError):
            write_key(connection, "nobody")
        with pytest.raises(UnknownIntegrationError):
            rotate(connection, "nobody", keep_old_for=timedelta(days=1))
    assert installation.rows("SELECT count(*) FROM onsite.keys") == [(0,)]


def test_a_replaced_key_is_taken_for_a_while_and_then_not(installation: Installation) -> None:
    installation.save()
    installation.put("shop", "enabled")
    first = key_of(installation)
    with installation.database.connect() as connection:
        second = rotate(connection, "shop", keep_old_for=timedelta(days=30))
    assert key_of(installation) == second != first
    assert [sites(installation)[key].is_open for key in (first, second)] == [True, True]
    with installation.database.connect() as connection:
        third = rotate(connection, "shop", keep_old_for=timedelta(0))
    # The first was to be taken for a month yet: replacing the second at once ends it too.
    assert {key: site.state for key, site in sites(installation).items()} == {
        first: write_keys.RETIRED, second: write_keys.RETIRED, third: write_keys.OPEN
    }  # fmt: skip


def test_a_later_replacement_does_not_keep_an_old_key_longer(installation: Installation) -> None:
    installation.save()
    installation.put("shop", "enabled")
    first = key_of(installation)
    with installation.database.connect() as connection:
        rotate(connection, "shop", keep_old_for=timedelta(0))
        rotate(connection, "shop", keep_old_for=timedelta(days=30))
    assert sites(installation)[first].state == write_keys.RETIRED


@pytest.mark.parametrize(
    ("status", "first_sync", "state"),
    [
        ("enabled", True, write_keys.OPEN),
        ("syncing", True, write_keys.OPEN),
        ("failed", True, write_keys.OPEN),
        ("disabled", True, write_keys.DISABLED),
        ("disabled", False, write_keys.DISABLED),
        ("ready", False, write_keys.NOT_STARTED),
        ("syncing", False, write_keys.NOT_STARTED),
        ("failed", False, write_keys.NOT_STARTED),
    ],
)
def test_a_key_is_open_from_the_first_enabling_until_it_is_disabled(
    installation: Installation, status: str, first_sync: bool, state: str
) -> None:
    installation.save()
    key = key_of(installation)
    if status != "ready":
        installation.put("shop", status)
    installation.execute(
        "UPDATE registry.integrations SET first_synced_at = CASE WHEN %s THEN now() END", first_sync
    )
    assert sites(installation)[key].state == state


def test_a_removed_integration_is_known_as_removed_and_its_key_never_comes_back(
    installation: Installation,
) -> None:
    installation.save()
    installation.put("shop", "enabled")
    key = key_of(installation)
    installation.service.remove("shop")
    assert sites(installation)[key] == Site("shop", frozenset(), state=write_keys.REMOVED)
    installation.save()
    assert sites(installation)[key] == Site("", frozenset(), state=write_keys.REMOVED)
    assert key_of(installation) != key


def test_settings_of_the_site_are_read(installation: Installation) -> None:
    installation.save(url="https://www.shop.example/store")
    installation.put("shop", "enabled")
    key = key_of(installation)
    ours = frozenset({"https://www.shop.example", "https://shop.example"})
    assert sites(installation)[key] == Site("shop", ours, False, 200, "open")
    installation.execute(
        "INSERT INTO onsite.sites (integration, origins, raw_email, batches_per_second)"
        " VALUES ('shop', '{https://b2b.example}', true, 7)"
    )
    assert sites(installation)[key] == Site("shop", ours | {"https://b2b.example"}, True, 7, "open")


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("https://shop.example", {"https://shop.example", "https://www.shop.example"}),
        ("https://www.shop.example/a/b", {"https://shop.example", "https://www.shop.example"}),
        ("https://shop.example:8443", {"https://shop.example:8443", "https://www.shop.example:8443"}),
        ("http://shop.example", {f"{scheme}://{www}shop.example"
                                 for scheme in ("http", "https") for www in ("", "www.")}),
        ("http://127.0.0.1:8765/store", {"http://127.0.0.1:8765"}),
        ("https://127.0.0.1", {"https://127.0.0.1"}),
        ("http://localhost:8080", {"http://localhost:8080"}),
        ("http://[::1]:80", {"http://[::1]:80"}),
        ("https://www.localhost", {"https://www.localhost"}),
    ],
)  # fmt: skip
def test_pages_of_a_shop_live_at_its_address_and_its_twins(url: str, origins: set[str]) -> None:
    assert shop_origins(url) == origins
