"""Prefixes of one client: two that cannot be told apart are never saved, by whatever way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cscart_pipelines.integrations import config_file
from cscart_pipelines.integrations.conflicts import order_prefixes as order_prefix_conflicts
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.shop.commands import Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation


def problem_of(act: Callable[[], object]) -> str:
    with pytest.raises(InvalidSettingsError) as caught:
        act()
    assert list(caught.value.problems) == ["order_prefix"]
    return caught.value.problems["order_prefix"]


@pytest.mark.parametrize(("one", "other"), [("CS", "cs"), ("", ""), ("A", "A2"), ("1", "")])
def test_a_second_cart_of_a_client_needs_a_prefix_of_its_own(
    installation: Installation, one: str, other: str
) -> None:
    installation.save("a", user_id="C7", order_prefix=one)
    said = problem_of(lambda: installation.save("b", user_id="C7", order_prefix=other))
    assert "'a'" in said
    assert [each.key for each in installation.registry.all()] == ["a"]


def test_other_clients_and_nobodys_carts_may_share_a_prefix(installation: Installation) -> None:
    installation.save("a", user_id="C7", order_prefix="CS")
    installation.save("b", user_id="C8", order_prefix="CS")
    installation.save("c", order_prefix="CS")
    installation.save("d", order_prefix="CS")
    installation.save("e", user_id="C7", order_prefix="CT")
    assert len(installation.registry.all()) == 5


def test_an_edit_is_held_to_it_too(installation: Installation) -> None:
    installation.save("a", user_id="C7", order_prefix="CS")
    installation.save("b", user_id="C8", order_prefix="CS")
    installation.save("c", user_id="C7", order_prefix="X")
    assert "'a'" in problem_of(lambda: installation.service.edit("b", {"user_id": "C7"}))
    assert "'a'" in problem_of(lambda: installation.service.edit("c", {"order_prefix": "cs"}))
    assert installation.registry.get("b").settings.user_id == "C8"
    assert installation.registry.get("c").settings.order_prefix == "X"
    installation.service.edit("b", {"user_id": "C7", "order_prefix": "Y"})
    installation.service.edit("a", {"order_prefix": "Z"})
    installation.service.edit("c", {"order_prefix": "CS"})


def test_a_file_is_checked_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "integrations.yaml"
    entry = (
        "  - {{integration: {0}, url: 'https://{0}.example', email: a@b.example,"
        " api_key: 'env:K', user_id: C7, order_prefix: '{1}'}}\n"
    )
    file.write_text("integrations:\n" + entry.format("a", "CS") + entry.format("b", "cs"))
    with pytest.raises(InvalidSettingsError) as caught:
        config_file.read(file)
    assert list(caught.value.problems) == ["b.order_prefix"]
    file.write_text("integrations:\n" + entry.format("a", "CS") + entry.format("b", "CT"))
    assert len(config_file.read(file)) == 2


def _until_waiting(installation: Installation, number: int) -> None:
    """Until so many sessions wait for the lock of the prefixes."""
    while installation.rows(f"SELECT count(*) FROM {ADVISORY} WHERE NOT granted")[0][0] < number:
        threading.Event().wait(0.01)


@pytest.mark.parametrize("way", ["adds", "edits", "one edit of each field"])
def test_of_two_at_once_one_is_refused(installation: Installation, way: str) -> None:
    refused: list[str] = []

    def act(what: Callable[[], object]) -> None:
        try:
            what()
        except InvalidSettingsError as error:
            refused.append(str(error))

    if way == "adds":
        both = [
            lambda: installation.save("a", user_id="C7", order_prefix="CS"),
            lambda: installation.save("b", user_id="C7", order_prefix="CS"),
        ]
    elif way == "edits":
        installation.save("a", user_id="C7", order_prefix="A")
        installation.save("b", user_id="C7", order_prefix="B")
        both = [
            lambda: installation.service.edit("a", {"order_prefix": "CS"}),
            lambda: installation.service.edit("b", {"order_prefix": "CS"}),
        ]
    else:  # each alone would be right
        installation.save("a", user_id="C7", order_prefix="CS")
        installation.save("b", user_id="C8", order_prefix="B")
        both = [
            lambda: installation.service.edit("b", {"user_id": "C7"}),
            lambda: installation.service.edit("b", {"order_prefix": "CS"}),
        ]
    threads = [threading.Thread(target=act, args=[one]) for one in both]
    with installation.database.connect() as gate, gate.transaction():
        order_prefix_conflicts.lock_prefixes(gate)
        for thread in threads:
            thread.start()
        _until_waiting(installation, 2)
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    known = [
        (one.settings.user_id, one.settings.order_prefix) for one in installation.registry.all()
    ]
    assert known.count(("C7", "CS")) == 1
