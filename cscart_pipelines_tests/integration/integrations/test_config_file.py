"""Integrations as a file: every mistake at once, the difference, and back again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.integrations import config_file
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    check,
)
from cscart_pipelines_tests.support.shop.commands import KEY, Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation

FILE = """
integrations:
  - integration: tea
    url: https://tea.example
    email: admin@tea.example
    api_key: env:TEA_API_KEY
    settled_statuses: [P, C]
    start_date: 2026-12-31
    update_stock: yes
    stock_schedule: 0 */2 * * *
  - integration: hats
    list_name: Hats and [more]
    url: https://hats.example
    email: admin@hats.example
    api_key: file:/run/secrets/hats
"""


def read(tmp_path: Path, text: str | bytes) -> list[IntegrationSettings]:
    path = tmp_path / "integrations.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config_file.read(path)


def problems(tmp_path: Path, text: str | bytes) -> dict[str, str]:
    with pytest.raises(InvalidSettingsError) as caught:
        read(tmp_path, text)
    return caught.value.problems


def test_a_file_is_read_with_defaults_and_references(tmp_path: Path) -> None:
    tea, hats = read(tmp_path, FILE)
    assert (tea.list_name, tea.settled_statuses, tea.update_stock) == ("tea", ("P", "C"), True)
    assert f"{tea.start_date:%d/%m/%Y}" == "31/12/2026"
    assert tea.api_key_reference == "env:TEA_API_KEY"
    assert (hats.list_name, hats.currency) == ("Hats and [more]", "EUR")


def test_every_problem_of_every_entry_is_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        f"""
integrations:
  - integration: tea
    url: nowhere
    email: x
    api_key: {KEY}
    countries: [NO]
  - just a word
  - url: https://a.example
    email: a@a.example
    api_key: env:A
  - {{integration: hats, url: "https://h.example", email: a@h.example, api_key: env:A}}
  - {{integration: hats, url: "https://h.example", email: a@h.example, api_key: env:A,
       list_name: 5}}
""",
    )
    assert {name: text for name, text in found.items() if name.startswith("tea")} == {
        "tea.url": found["tea.url"],
        "tea.email": found["tea.email"],
        "tea.api_key": "expected env:NAME or file:/path; the key itself has no place in a file",
        "tea.countries": "expected text; in a YAML file put it in quotes",
    }
    assert found["entry 2"] == "expected settings as `name: value`"
    assert found["entry 3.integration"] == "is required"
    assert "hats.list_name" in found
    assert KEY not in str(found)


def test_a_name_in_the_file_twice_is_told(tmp_path: Path) -> None:
    twice = FILE + FILE.replace("integrations:\n", "")
    assert problems(tmp_path, twice) == {
        f"{name}.{what}": "is in the file twice"
        for name, what in [
            ("hats", "integration"), ("tea", "integration"), ("Hats and [more]", "list_name"),
            ("tea", "list_name"),
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("integrations: [", "is not YAML, line"),
        ("shops: []", "expected a list under `integrations:`"),
        ("", "expected a list under `integrations:`"),
        (b"\xff\xfe\x00", "is not YAML"),
        ("integrations:\n - start_date: 2026-02-31", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in problems(tmp_path, text)["file"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match="No such file"):
        config_file.read(tmp_path / "none.yaml")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=4)
)
ENTRIES = st.dictionaries(
    st.sampled_from([*IntegrationSettings.model_fields, "api_key"]) | SCALARS, TREES, max_size=6
)


@given(document=st.fixed_dictionaries({"integrations": st.lists(ENTRIES, max_size=3)}) | TREES)
def test_any_document_is_settings_or_a_list_of_problems(document: object, tmp_path: Path) -> None:
    try:
        read(tmp_path, yaml.safe_dump(document, allow_unicode=True))
    except InvalidSettingsError as error:
        assert error.problems


def test_the_plan_adds_edits_and_leaves_alone(installation: Installation, tmp_path: Path) -> None:
    wanted = read(tmp_path, FILE)
    installation.save("tea", url="https://tea.example", email="admin@tea.example", currency="GBP",
              api_key_reference="env:TEA_API_KEY", settled_statuses="P,C", update_stock=True,
              stock_schedule="0 */2 * * *", start_date="31/12/2026")  # fmt: skip
    installation.save("other")
    tea, hats = config_file.plan(wanted, installation.registry.all())
    assert (tea.new, tea.differences) == (False, {"currency": ("GBP", "EUR")})
    assert hats.new
    installation.service.edit("tea", {"currency": "EUR"})
    assert not config_file.plan(wanted[:1], installation.registry.all())[0].needed


def test_an_exported_file_changes_nothing(installation: Installation, tmp_path: Path) -> None:
    installation.save(
        "tea", countries="NO,GB", start_date="31/12/2026", api_key_reference="env:TEA"
    )
    installation.save("my-hats", list_name="Hats: [a] #1", settled_statuses="P", user_id="no")
    text = config_file.export(installation.registry.all())
    assert KEY not in text
    wanted = read(tmp_path, text)
    known = installation.registry.all()
    assert len(known) == 2
    assert not [change for change in config_file.plan(wanted, known) if change.needed]

    # Elsewhere the sealed key has to be named.
    with pytest.raises(InvalidSettingsError) as caught:
        config_file.plan(wanted, [])
    assert list(caught.value.problems) == ["my-hats.api_key"]


LINE = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), max_size=60
)
PART = LINE.filter(lambda text: "," not in text)
STATUS = st.sampled_from("PCOFI9")
NEEDED: dict[str, st.SearchStrategy[object]] = {
    "integration": st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    "list_name": LINE | st.sampled_from(["null", "no", "5", "- a", "#", "a: b", "2026-01-01"]),
    "url": st.sampled_from(["https://Tea.example/shop/", "http://[::1]:8080", "https://x.gr"]),
    "email": st.sampled_from(["Admin@Tea.example", "root@localhost"]),
}
OPTIONAL: dict[str, st.SearchStrategy[object]] = {
    "timezone": st.sampled_from(["Europe/Athens", "UTC", "Etc/GMT+5"]),
    "currency": st.sampled_from(["eur", "GBP", "NOK"]),
    "settled_statuses": st.none() | st.lists(STATUS, max_size=3),
    "refund_statuses": st.lists(STATUS, max_size=3),
    "include_guests": st.booleans(),
    "user_id": st.none() | LINE | st.sampled_from(["007", "1e3", "~"]),
    "order_prefix": st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True),
    "start_date": st.none() | st.dates(),
    "countries": st.lists(PART | st.just("NO"), max_size=3),
    "order_statuses": st.lists(PART | STATUS, max_size=3),
    "update_tracking_number": st.booleans(),
    "update_tracking_url": st.booleans(),
    "update_stock": st.booleans(),
    "stock_schedule": st.sampled_from(["0 */2 * * *", "5 4 * * 0-6"]),
    "shipped_status": st.none() | LINE,
    "partially_shipped_status": st.none() | STATUS,
    "notify_customer": st.booleans(),
    "storefronts": st.lists(st.integers(1, 99), max_size=2),
    "companies": st.lists(st.integers(1, 99), max_size=2),
    "default_country": st.sampled_from([None, "GR", "gb"]),
    "api_key_reference": st.none() | st.sampled_from(["env:TEA", "file:~/key: #1", "file:/k"]),
}


def test_every_setting_is_tried() -> None:
    """A new setting belongs into the file, and into the next test."""
    assert {*NEEDED, *OPTIONAL} == set(IntegrationSettings.model_fields)


@given(values=st.fixed_dictionaries(NEEDED, optional=OPTIONAL))
def test_any_settings_come_back_from_the_file_as_they_were(
    values: dict[str, object], tmp_path: Path
) -> None:
    try:
        settings = check(values)
    except InvalidSettingsError:
        return
    now = datetime.now(UTC)
    saved = Integration(
        settings, Status.READY, None, now, 0, False, None, None, None, None, None, now
    )
    (change,) = config_file.plan(read(tmp_path, config_file.export([saved])), [saved])
    assert change.differences == {}
    assert not change.needed
