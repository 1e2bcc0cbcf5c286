"""Settings: what the environment may say, and what is said back when it cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cscart_pipelines.settings import (
    SettingsError,
    database_url,
    read_settings,
    read_spread_minutes,
)
from cscart_pipelines_tests.support.database.embedded import environment

URL = "postgresql://shop:s3cret@db.example:6543/warehouse"


def test_nothing_set_means_the_embedded_server_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({})
    assert settings.home == tmp_path / ".cscart-pipelines"
    assert settings.dagster_home == tmp_path / ".cscart-pipelines" / "dagster"
    assert settings.embedded
    assert settings.secret_key is None
    assert settings.alert_webhook is None
    assert settings.api_parallel == 4
    assert list(tmp_path.iterdir()) == []


def test_the_environment_of_the_process_is_read_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("CSCART_PIPELINES_HOME", str(tmp_path / name))
        assert read_settings().home == tmp_path / name


def test_paths_become_absolute_and_know_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/alice")
    assert read_settings({"CSCART_PIPELINES_HOME": "a/b"}).home == tmp_path / "a" / "b"
    assert read_settings({"CSCART_PIPELINES_HOME": "~/c"}).home == Path("/home/alice/c")
    assert read_settings({"DAGSTER_HOME": "~/d"}).dagster_home == Path("/home/alice/d")


@pytest.mark.parametrize("empty", ["", "  "])
def test_empty_variables_count_as_unset(empty: str) -> None:
    names = ("HOME", "DATABASE_URL", "SECRET_KEY", "ALERT_WEBHOOK", "API_PARALLEL")
    settings = read_settings({f"CSCART_PIPELINES_{name}": empty for name in names})
    assert settings == read_settings({})


@pytest.mark.parametrize("name", ["CSCART_PIPELINES_HOME", "DAGSTER_HOME"])
def test_the_home_of_an_account_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '~no-such-account/x'; there is no"):
        read_settings({name: "~no-such-account/x"})


def test_secrets_are_read_and_never_shown() -> None:
    settings = read_settings(
        {
            "CSCART_PIPELINES_DATABASE_URL": f" {URL} ",
            "CSCART_PIPELINES_SECRET_KEY": "k3y",
            "CSCART_PIPELINES_ALERT_WEBHOOK": "https://hooks.example/t0ken",
        }
    )
    assert not settings.embedded
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "k3y"
    shown = f"{settings!r} {settings} {settings.model_dump_json()} {settings.sqlalchemy_url()!r}"
    for secret in ("s3cret", "k3y", "t0ken"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text", ["hooks.example/t0ken", "ftp://hooks.example/t0ken", "https://", "https://a b/t0ken",
             "http://[t0ken", "http://host:t0ken/"]
)  # fmt: skip
def test_a_webhook_that_takes_no_alert_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingsError, match="ALERT_WEBHOOK is not an address") as caught:
        read_settings({"CSCART_PIPELINES_ALERT_WEBHOOK": text})
    assert "t0ken" not in str(caught.value)


def test_settings_cannot_be_changed_under_somebody() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings({}).api_parallel = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"]
)
def test_every_usual_spelling_becomes_a_url_for_psycopg_3(scheme: str) -> None:
    url = database_url(URL.replace("postgresql", scheme))
    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password) == ("shop", "s3cret")
    assert (url.host, url.port, url.database) == ("db.example", 6543, "warehouse")


def test_a_socket_and_options_are_kept() -> None:
    url = database_url("postgresql:///warehouse?host=/run/postgresql&sslmode=disable")
    assert url.query == {"host": "/run/postgresql", "sslmode": "disable"}
    assert database_url("postgresql://u:p%40ss%2F@h/d").password == "p@ss/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not a url s3cret", "expected postgresql://user:password@host:5432/name"),
        ("mysql://u:s3cret@h/d", "starts with mysql://; expected postgresql://"),
        ("sqlite:///s3cret.db", "starts with sqlite://; expected postgresql://"),
        ("postgresql://u:s3cret@h:5432", "names no database"),
        ("postgresql://u:s3cret@h:5432/", "names no database"),
        # A password with characters that should have been percent-encoded.
        ("postgresql://u:x@h:s3cret/d", "expected postgresql://user:password@host:5432/name"),
        ("postgresql://u:x@s3cret@h/d", "expected postgresql://user:password@host:5432/name"),
    ],
)
def test_an_unusable_url_is_refused_at_once_without_repeating_it(text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match="CSCART_PIPELINES_DATABASE_URL") as caught:
        read_settings({"CSCART_PIPELINES_DATABASE_URL": text})
    assert expected in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_url_of_the_embedded_server_is_not_in_the_settings() -> None:
    with pytest.raises(SettingsError, match="CSCART_PIPELINES_DATABASE_URL is not set"):
        read_settings({}).sqlalchemy_url()


@pytest.mark.parametrize("good", [1, 4, 32])
def test_parallel_requests_are_a_number_from_1_to_32(good: int) -> None:
    assert read_settings({"CSCART_PIPELINES_API_PARALLEL": str(good)}).api_parallel == good


@pytest.mark.parametrize("bad", ["0", "33", "-1", "4.5", "four", "1e1", "²"])
def test_other_numbers_of_parallel_requests_are_refused_with_the_range(bad: str) -> None:
    with pytest.raises(SettingsError, match=r"CSCART_PIPELINES_API_PARALLEL is .* 1 to 32"):
        read_settings({"CSCART_PIPELINES_API_PARALLEL": bad})


@pytest.mark.parametrize(("text", "days"), [("0", 0), ("1", 1), ("3650", 3650)])
def test_runs_are_kept_for_some_days_or_for_ever(text: str, days: int) -> None:
    settings = read_settings({"CSCART_PIPELINES_RUN_RETENTION_DAYS": text})
    assert settings.run_retention_days == days
    assert read_settings({}).run_retention_days == 90


@pytest.mark.parametrize("bad", ["-1", "3651", "30 days", "1.5"])
def test_other_numbers_of_days_are_refused_with_the_range(bad: str) -> None:
    with pytest.raises(SettingsError, match=r"CSCART_PIPELINES_RUN_RETENTION_DAYS is .* to 3650"):
        read_settings({"CSCART_PIPELINES_RUN_RETENTION_DAYS": bad})


@pytest.mark.parametrize("bad", ["0", "1001", "-1", "all"])
def test_other_numbers_of_integrations_per_run_are_refused_with_the_range(bad: str) -> None:
    name = "CSCART_PIPELINES_INTEGRATIONS_PER_RUN"
    assert read_settings({name: "20"}).integrations_per_run == 20
    with pytest.raises(SettingsError, match=rf"{name} is .* 1 to 1000"):
        read_settings({name: bad})


@pytest.mark.parametrize("bad", ["61", "-5", "an hour"])
def test_other_minutes_to_spread_over_are_refused_with_the_range(bad: str) -> None:
    name = "CSCART_PIPELINES_RESYNC_SPREAD_MINUTES"
    assert [read_spread_minutes({name: text}) for text in ("", "0", "60")] == [0, 0, 60]
    with pytest.raises(SettingsError, match=rf"{name} is .* 0 to 60"):
        read_spread_minutes({name: bad})


def test_importing_the_settings_reads_nothing() -> None:
    code = "import cscart_pipelines.settings, os; print('imported')"
    broken = {"CSCART_PIPELINES_DATABASE_URL": "broken", "CSCART_PIPELINES_API_PARALLEL": "x"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**broken),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "imported\n", done.stderr


def test_the_collector_is_told_by_the_environment() -> None:
    assert read_settings({}).collector.port == 8767
    told = read_settings(
        {
            "CSCART_PIPELINES_COLLECTOR_PORT": "9000",
            "CSCART_PIPELINES_COLLECTOR_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.7",
            "CSCART_PIPELINES_COLLECTOR_ADDRESS_RATE": "7",
            "CSCART_PIPELINES_COLLECTOR_HEADLESS": "Yes",
            "CSCART_PIPELINES_COLLECTOR_SPOOL_MB": "12",
        }
    ).collector
    assert (told.port, told.address_rate, told.headless, told.spool_mb) == (9000, 7, True, 12)
    assert told.trusted_proxies == ("10.0.0.0/8", "192.0.2.7")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("PORT", "65536", "expected a number, 0 to 65535"),
        ("PORT", "http", "expected a number"),
        ("SPOOL_MB", "0", "expected a number, 1 to"),
        ("HEADLESS", "perhaps", "expected yes or no"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy", "'proxy' is no address or network"),
    ],
)
def test_what_the_collector_cannot_use_is_refused_by_name(name: str, value: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint) as refused:
        read_settings({f"CSCART_PIPELINES_COLLECTOR_{name}": value})
    assert f"CSCART_PIPELINES_COLLECTOR_{name}" in str(refused.value)
