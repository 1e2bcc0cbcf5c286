"""The operators' page on fulfilment: its examples and options are real, no setting is missing."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest

from cscart_pipelines.fulfilment.feeds.parse import read_shipments
from cscart_pipelines.integrations.settings import check
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.support.shop.commands import Installation, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

DOCS = PROJECT_ROOT / "docs"
PAGE = (DOCS / "fulfilment.md").read_text(encoding="utf-8")
ON_THE_SHEET = (
    "Update SOH to Shopping cart", "Update Tracking Number to Shopping cart",
    "Update Tracking Url to Shopping cart", "Shipped Status Needed",
    "Partially Shipped Status Needed", "Country Filters", "storeurl", "apiusername", "apikey",
    "order status", "Start Date (Format: dd/MM/yyyy)", "prefix", "userid",
)  # fmt: skip
"""The lines of seed 002's table."""
COMMANDS = ("orders", "ship", "stock", "journal", "undo", "inbox", "carriers", "skus", "rules")


def blocks(language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_line_of_the_settings_sheet_has_an_option_that_exists(run: Run) -> None:
    options = run("integration", "add", "--help").out
    for line in ON_THE_SHEET:
        found = re.search(rf"^\| {re.escape(line)} \| (.*?) \|", PAGE, re.MULTILINE)
        assert found, line
        for option in re.findall(r"--[a-z-]+", found[1]):
            assert option in options, option


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_that_the_page_shows_exists(run: Run, command: str) -> None:
    options = run("fulfilment", command, "--help").out
    shown = re.findall(rf"fulfilment\s+{command}\s+my-shop([^`\n#]*)", PAGE)
    assert shown, f"fulfilment {command} is not on the page"
    for words in shown:
        for option in re.findall(r"--[a-z-]+", words):
            assert option in options, f"fulfilment {command} {option}"


def test_the_sql_examples_enter_the_inboxes_and_may_be_repeated(installation: Installation) -> None:
    installation.save("my-shop")
    shipment, level = [
        statement for block in blocks("sql") for statement in block.split(";") if statement.strip()
    ]
    installation.execute(shipment)
    installation.execute(level)
    installation.execute(level)
    assert installation.rows("SELECT state FROM fulfilment.shipments") == [("waiting",)]
    assert installation.rows("SELECT state, quantity FROM fulfilment.stock_levels") == [
        ("waiting", 17)
    ]


def test_the_example_of_parcels_can_be_read() -> None:
    (example,) = [block for block in blocks() if block.startswith("order_number,")]
    parsed = read_shipments(example.encode(), "example.csv", ZoneInfo("Europe/Athens"))
    # Its date is in the future of this test or in its past; nothing else may be wrong.
    assert [one for one in parsed.refusals if "future" not in one.reason] == []
    assert len(parsed.rows) + len(parsed.refusals) == 4


def test_the_example_of_settings_is_valid() -> None:
    check(
        {
            "integration": "my-shop", "list_name": "x", "url": "https://shop.example",
            "email": "admin@shop.example", "order_prefix": "CS", "user_id": "ACME-EU",
            "start_date": "01/09/2026", "order_statuses": "O,P", "countries": "GB,Greece",
            "partially_shipped_status": "Back Ordered", "shipped_status": "Complete",
            "update_stock": True, "stock_schedule": "0 */2 * * *",
        }
    )  # fmt: skip


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
