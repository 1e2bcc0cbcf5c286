"""`integration tracking-file`: when the file is given out, what is told beside it, new keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cscart_pipelines.onsite.write_keys import load_sites
from cscart_pipelines.settings import SettingsError, read_settings
from cscart_pipelines_tests.support.shop.commands import KEY, Installation, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run


@pytest.fixture
def enabled(installation: Installation) -> Installation:
    installation.save()
    installation.put("shop", "enabled")
    return installation


def write_keys(installation: Installation) -> dict[str, str]:
    with installation.database.connect() as connection:
        return {key: site.state for key, site in load_sites(connection).items()}


def test_the_file_is_printed_and_is_the_same_every_time(run: Run, enabled: Installation) -> None:
    first, second = (run("integration", "tracking-file", "shop") for _ in range(2))
    assert (first.code, first.out) == (0, second.out)
    assert first.json["exportFormatVersion"] == 2
    [key] = write_keys(enabled)
    assert first.out.count(key) == 1
    assert KEY not in first.said
    assert "admin@" not in first.said


def test_the_file_is_written_where_it_was_asked_for(
    run: Run, enabled: Installation, tmp_path: Path
) -> None:
    place = tmp_path / "[b] file.json"
    done = run("integration", "tracking-file", "shop", "-o", str(place))
    assert done.code == 0
    assert str(place) in done.out.replace("\n", "")
    assert "Import Container" in done.out
    assert json.loads(place.read_text()) == run("integration", "tracking-file", "shop").json


def test_a_place_that_cannot_be_written_is_wrong_usage(
    run: Run, enabled: Installation, tmp_path: Path
) -> None:
    done = run("integration", "tracking-file", "shop", "-o", str(tmp_path / "no" / "file"))
    assert (done.code, "cannot be written: No such file" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ready", "it has not been started yet; use start"),
        ("failed", "its last synchronisation failed; use resync"),
        ("disabled", "it is disabled; use enable first"),
    ],
)
def test_only_an_enabled_integration_has_a_file(
    run: Run, installation: Installation, tmp_path: Path, status: str, advice: str
) -> None:
    installation.save()
    if status != "ready":
        installation.put("shop", status)
    place = tmp_path / "file.json"
    done = run("integration", "tracking-file", "shop", "-o", str(place), "--new-key", "--yes")
    assert (done.code, done.out) == (4, "")
    assert f"tracking-file is not allowed: {advice}" in done.err
    assert not place.exists()
    assert write_keys(installation) == {}


def test_not_while_it_is_syncing(run: Run, installation: Installation) -> None:
    installation.save()
    installation.put("shop", "syncing")
    lock = installation.lock()
    done = run("integration", "tracking-file", "shop")
    lock.close()
    assert (done.code, "wait until the synchronisation ends" in done.err) == (4, True)


def test_a_new_key_replaces_the_present_one(run: Run, enabled: Installation) -> None:
    run("integration", "tracking-file", "shop")
    [first] = write_keys(enabled)
    file = run("integration", "tracking-file", "shop", "--new-key", "--yes").out
    assert first not in file
    assert set(write_keys(enabled).values()) == {"open"}  # the old one for 30 days yet
    run("integration", "tracking-file", "shop", "--new-key", "--keep-old-key", "0", "--yes")
    states = write_keys(enabled)
    assert sorted(states.values()) == ["open"] + ["the key has been replaced"] * 2


def test_raw_addresses_are_sent_only_where_the_site_says_so(
    run: Run, enabled: Installation
) -> None:
    assert "raw_email=no" in run("integration", "tracking-file", "shop").out
    enabled.execute("INSERT INTO onsite.sites (integration, raw_email) VALUES ('shop', true)")
    assert "raw_email=yes" in run("integration", "tracking-file", "shop").out


def test_a_collector_that_browsers_cannot_reach_is_told_beside_the_file(
    run: Run, enabled: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("integration", "tracking-file", "shop")
    assert "http://127.0.0.1:8767 is this machine's own" in done.err
    assert "http://127.0.0.1:8767" in done.out
    monkeypatch.setenv("CSCART_PIPELINES_COLLECTOR_URL", "http://collect.example/")
    done = run("integration", "tracking-file", "shop")
    assert "the collector must be on https too (CSCART_PIPELINES_COLLECTOR_URL)" in done.err
    json.loads(done.out)
    monkeypatch.setenv("CSCART_PIPELINES_COLLECTOR_URL", "https://collect.example/")
    done = run("integration", "tracking-file", "shop")
    assert (done.code, done.err) == (0, "")
    assert '"https://collect.example"' in done.out


def test_a_shop_on_this_machine_may_use_a_collector_on_it(
    run: Run, installation: Installation
) -> None:
    installation.save(url="http://127.0.0.1:8765")
    installation.put("shop", "enabled")
    assert run("integration", "tracking-file", "shop").err == ""


def test_whoever_disables_or_removes_is_told_to_delete_the_file_in_tag_manager(
    run: Run, enabled: Installation
) -> None:
    run("integration", "tracking-file", "shop")
    [key] = write_keys(enabled)
    advice = "onsite tracking file was imported in Google Tag Manager, delete it there too"
    assert advice in " ".join(run("integration", "disable", "shop").out.split())
    assert write_keys(enabled)[key] == "the integration is disabled"
    assert advice in " ".join(run("integration", "remove", "shop", "--yes").out.split())
    assert write_keys(enabled)[key] == "the integration has been removed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://C.Example:8443/in/", "https://c.example:8443/in"),
        (" http://10.0.0.1:8767 ", "http://10.0.0.1:8767"),
        ("https://[::1]:8767/", "https://[::1]:8767"),
    ],
)
def test_the_address_of_the_collector_gets_one_spelling(text: str, expected: str) -> None:
    assert read_settings({"CSCART_PIPELINES_COLLECTOR_URL": text}).collector_url == expected


@pytest.mark.parametrize(
    "text",
    ["collect.example", "ftp://collect.example", "https://", "https://u:p@c.example", "https://c/?a=b",
     "https://c/#a", "https://c.example:0", "https://c.example:99999", "https://c/'x", "https://c/{{a}}"],
)  # fmt: skip
def test_another_address_of_the_collector_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="CSCART_PIPELINES_COLLECTOR_URL"):
        read_settings({"CSCART_PIPELINES_COLLECTOR_URL": text})
