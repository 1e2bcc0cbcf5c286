"""`integration onsite`: what is set is shown, reaches the collector and the file, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cscart_pipelines.cli.integration.onsite import as_origin
from cscart_pipelines.onsite.site_settings import DEFAULTS, MOST_ORIGINS
from cscart_pipelines.onsite.write_keys import Site, load_sites, write_key
from cscart_pipelines_tests.support.shop.commands import Installation, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

OWN = ["https://shop.example", "https://www.shop.example"]


@pytest.fixture(autouse=True)
def shop(installation: Installation) -> None:
    installation.save()
    installation.put("shop", "enabled")


def site(installation: Installation) -> Site:
    """As the collector reads it."""
    with installation.database.connect() as connection:
        write_key(connection, "shop")
        [found] = load_sites(connection).values()
        return found


def as_json(run: Run, *options: str) -> Any:
    done = run("integration", "onsite", "shop", *options, "--json")
    assert done.code == 0, done.err
    return done.json


def test_without_a_word_the_defaults_of_the_table_are_shown_and_nothing_is_written(
    run: Run, installation: Installation
) -> None:
    assert as_json(run) == {"own_origins": OWN, **DEFAULTS}
    assert installation.rows("SELECT * FROM onsite.sites") == []
    installation.execute("INSERT INTO onsite.sites (integration) VALUES ('shop')")
    assert as_json(run) == {"own_origins": OWN, **DEFAULTS}
    shown = run("integration", "onsite", "shop").out
    for word in (*OWN, "none", "90", "200"):
        assert word in shown


def test_what_is_set_reaches_the_collector(run: Run, installation: Installation) -> None:
    now = as_json(
        run, "--origin", "https://Pages.example/", "--origin", "https://b.example:443",
        "--raw-email", "yes", "--retention-days", "30", "--yes", "--batches-per-second", "5",
    )  # fmt: skip
    extra = ["https://b.example", "https://pages.example"]
    assert now == {
        "own_origins": OWN, "origins": extra, "raw_email": True, "retention_days": 30,
        "batches_per_second": 5,
    }  # fmt: skip
    found = site(installation)
    assert found.origins == {*OWN, *extra}
    assert (found.raw_email, found.batches_per_second) == (True, 5)
    # One thing at a time; the rest stays.
    now = as_json(run, "--remove-origin", "https://b.example", "--raw-email", "no")
    assert (now["origins"], now["raw_email"], now["retention_days"]) == (extra[1:], False, 30)


def test_the_shop_s_own_address_needs_no_word_and_cannot_be_taken_away(
    run: Run, installation: Installation
) -> None:
    assert as_json(run, "--origin", OWN[0])["origins"] == []
    done = run("integration", "onsite", "shop", "--remove-origin", OWN[1])
    assert done.code == 2
    assert "--remove-origin https://www.shop.example is the shop's own" in done.err


def test_whoever_changes_what_the_tag_sends_is_told_to_make_the_file_again(
    run: Run, installation: Installation
) -> None:
    done = run("integration", "onsite", "shop", "--raw-email", "yes")
    assert "integration tracking-file shop, import and publish it" in done.out
    assert "raw_email=yes" in run("integration", "tracking-file", "shop").out
    assert "import and publish" not in run("integration", "onsite", "shop").out
    again = run(
        "integration", "onsite", "shop", "--raw-email", "yes", "--retention-days", "7", "--yes"
    )
    assert "import and publish" not in again.out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--origin", "shop.example"], "--origin 'shop.example': expected the address of a site"),
        (["--origin", "https://a.example", "--origin", "*"], "--origin '*'"),
        (["--remove-origin", "https://a.example"], "is not among the origins"),
        (["--raw-email", "perhaps"], "--raw-email 'perhaps' is neither yes nor no"),
        (["--retention-days", "0"], "--retention-days"),
        (["--batches-per-second", "many"], "--batches-per-second"),
    ],
)
def test_what_cannot_be_is_refused_as_a_whole(
    run: Run, installation: Installation, options: list[str], reason: str
) -> None:
    done = run("integration", "onsite", "shop", "--retention-days", "8", "--yes", *options)
    assert (done.code, done.out) == (2, "")
    assert reason in " ".join(done.err.split())
    assert installation.rows("SELECT * FROM onsite.sites") == []


def test_not_any_number_of_origins(run: Run, installation: Installation) -> None:
    many = [f"https://p{number}.example" for number in range(MOST_ORIGINS + 1)]
    options = [word for one in many for word in ("--origin", one)]
    assert run("integration", "onsite", "shop", *options).code == 2
    assert len(as_json(run, *options[2:])["origins"]) == MOST_ORIGINS


def test_an_unknown_integration_is_told(run: Run) -> None:
    done = run("integration", "onsite", "nobody", "--raw-email", "yes")
    assert (done.code, "there is no integration 'nobody'" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:8080", "http://shop.example:8080"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("https://xn--mgba.example", "https://xn--mgba.example"),
    ],
)
def test_an_origin_is_spelled_as_browsers_do(text: str, expected: str) -> None:
    assert as_origin(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "*", "null", "shop.example", "//shop.example", "ftp://shop.example", "https://",
     "https://*.shop.example", "https://shop.example/en", "https://shop.example?a=b",
     "https://shop.example#a", "https://u:p@shop.example", "https://shop.example:0",
     "https://shop.example:99999", "https://shop example", "https://[::1"],
)  # fmt: skip
def test_what_is_no_origin(text: str) -> None:
    assert as_origin(text) is None


def test_every_change_is_in_the_trail_and_nothing_else(
    run: Run, installation: Installation
) -> None:
    query = "SELECT detail FROM registry.audit WHERE act = 'onsite changed' ORDER BY id"
    as_json(run)
    as_json(run, "--retention-days", "30", "--yes")
    as_json(run, "--retention-days", "30", "--yes")
    as_json(run, "--raw-email", "yes", "--origin", "https://b.example")
    assert installation.rows(query) == [
        ({"retention_days": [90, 30]},),
        ({"raw_email": [False, True], "origins": [[], ["https://b.example"]]},),
    ]
    assert "retention_days: 90 → 30" in run("integration", "audit", "shop").out
