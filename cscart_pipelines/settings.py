"""Environment to typed settings, read when asked and never at import.

Here belong the variables of the contract, their defaults and their checks. Not here: the settings
of one connected shop (`integrations.settings`), and anything that opens a file or a connection.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

PREFIX = "CSCART_PIPELINES_"


class SettingsError(ValueError):
    """The environment says something that cannot be used; the message names the variable."""


class CollectorSettings(BaseModel):
    """What the collector is told. Limits that no deployment needs to change are in `onsite`."""

    model_config = ConfigDict(frozen=True)

    port: int = 8767
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For is believed."""
    address_rate: int = 50
    """Requests a second from one network (/24 or /48), with bursts of four seconds' worth."""
    headless: bool = False
    """Whether browsers without a person before them are heard: tests drive such browsers."""
    spool_mb: int = 256
    """Room for what comes while the warehouse is away."""
    in_flight_mb: int = 32
    connections: int = 1000
    request_seconds: int = 10


class Settings(BaseModel):
    """What the environment decides for all packages. Values of secrets never show in a repr."""

    model_config = ConfigDict(frozen=True)

    home: Path
    """Local state: embedded PostgreSQL, Dagster home, key file."""
    database_url: SecretStr | None
    """PostgreSQL of the warehouse; None: the embedded server."""
    secret_key: SecretStr | None
    """Encrypts API keys at rest; None: a key file in the home."""
    dagster_home: Path
    alert_webhook: SecretStr | None
    """Where failure alerts are posted as JSON, beside the log."""
    api_parallel: int = 4
    """Requests to one shop at the same time."""
    write_settle_seconds: float = 60.0
    """Seconds after which a write without an answer, and not to be seen in the shop, counts as not
    applied. Longer than the slowest request the shop's web server lets run."""
    run_retention_days: int = 90
    """Dagster's runs are deleted after so many days; 0 keeps all."""
    integrations_per_run: int = 250
    """At most so many are synchronised by one run: runs are what several machines share out."""
    collector_url: str = "http://127.0.0.1:8767"
    """Where visitors' browsers reach the collector, without a slash at the end."""
    collector: CollectorSettings = CollectorSettings()

    @property
    def embedded(self) -> bool:
        """Whether the warehouse is the embedded server."""
        return self.database_url is None

    def sqlalchemy_url(self) -> URL:
        """The configured database for psycopg 3. Raises SettingsError when there is none."""
        if self.database_url is None:
            raise SettingsError(f"{PREFIX}DATABASE_URL is not set")
        return database_url(self.database_url.get_secret_value())


def database_url(text: str) -> URL:
    """Reads a PostgreSQL URL in any of its usual spellings, as one for psycopg 3."""
    try:
        url = make_url(text)
        if "@" in (url.host or ""):  # the end of a password that was not percent-encoded
            raise ArgumentError
    except (ArgumentError, ValueError):  # the latter when that end stands in the port's place
        # The text may hold a password, so it is not repeated.
        raise SettingsError(
            f"{PREFIX}DATABASE_URL is not a URL; expected postgresql://user:password@host:5432/name"
        ) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise SettingsError(
            f"{PREFIX}DATABASE_URL starts with {url.drivername}://; expected postgresql://"
        )
    if not url.database:
        raise SettingsError(f"{PREFIX}DATABASE_URL names no database; expected …@host:5432/name")
    return url.set(drivername="postgresql+psycopg")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the environment (by default this process's). Empty variables count as unset."""
    env = {k: v for k, v in (os.environ if environ is None else environ).items() if v.strip()}
    home = _path(env, f"{PREFIX}HOME", ".cscart-pipelines")
    values: dict[str, Any] = {
        "home": home,
        "database_url": _secret(env.get(f"{PREFIX}DATABASE_URL")),
        "secret_key": _secret(env.get(f"{PREFIX}SECRET_KEY")),
        "dagster_home": _path(env, "DAGSTER_HOME", str(home / "dagster")),
        "alert_webhook": _webhook(env.get(f"{PREFIX}ALERT_WEBHOOK")),
    }
    values |= _numbers(env, PREFIX, _NUMBERS)
    if collector := env.get(f"{PREFIX}COLLECTOR_URL"):
        values["collector_url"] = _collector_url(collector)
    values["collector"] = _collector(env)
    settings = Settings(**values)
    if settings.database_url is not None:
        settings.sqlalchemy_url()
    return settings


_NUMBERS = {
    "api_parallel": (1, 32),
    "write_settle_seconds": (1, 3600),
    "run_retention_days": (0, 3650),
    "integrations_per_run": (1, 1000),
}
_COLLECTOR_NUMBERS = {
    "port": (0, 65535),
    "address_rate": (1, 1_000_000),
    "spool_mb": (1, 100_000),
    "in_flight_mb": (1, 10_000),
    "connections": (1, 50_000),
    "request_seconds": (1, 600),
}


def _numbers(
    env: Mapping[str, str], prefix: str, ranges: Mapping[str, tuple[int, int]]
) -> dict[str, int]:
    """Reads the variables of these fields that are set; each has its least and its most."""
    found = {}
    for field, (least, most) in ranges.items():
        name = f"{prefix}{field.upper()}"
        if text := env.get(name, "").strip():
            if not text.isdecimal() or not least <= int(text) <= most:
                raise SettingsError(f"{name} is {text!r}; expected a number, {least} to {most}")
            found[field] = int(text)
    return found


def read_spread_minutes(environ: Mapping[str, str] | None = None) -> int:
    """The minutes of each hour over which synchronisations begin; 0: all at the full hour.

    Apart from the other settings, since a schedule reads it when the code is loaded.
    """
    env = os.environ if environ is None else environ
    return _numbers(env, PREFIX, {"resync_spread_minutes": (0, 60)}).get("resync_spread_minutes", 0)


def _collector(env: Mapping[str, str]) -> CollectorSettings:
    values: dict[str, Any] = {**_numbers(env, f"{PREFIX}COLLECTOR_", _COLLECTOR_NUMBERS)}
    name = f"{PREFIX}COLLECTOR_HEADLESS"
    if text := env.get(name, "").strip().lower():
        if text not in ("yes", "no"):
            raise SettingsError(f"{name} is {text!r}; expected yes or no")
        values["headless"] = text == "yes"
    name = f"{PREFIX}COLLECTOR_TRUSTED_PROXIES"
    proxies = tuple(word.strip() for word in env.get(name, "").split(",") if word.strip())
    for word in proxies:
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise SettingsError(
                f"{name}: {word!r} is no address or network; expected as 10.0.0.0/8,192.0.2.7"
            ) from None
    return CollectorSettings(**values, trusted_proxies=proxies)


def _collector_url(text: str) -> str:
    """The collector's public address in one spelling: it stands in a script on every page."""
    expected = f"{PREFIX}COLLECTOR_URL: expected https://host[:port][/path]"
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise SettingsError(f"{expected}; the host or the port is not valid") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{expected}, starting with https:// or http://")
    if "@" in parts.netloc or parts.query or parts.fragment or port == 0:
        raise SettingsError(f"{expected}, without user name, ? or #")
    if not re.fullmatch(r"[A-Za-z0-9._:/~\[\]-]+", parts.netloc + parts.path):
        raise SettingsError(f"{expected}, in plain letters")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _path(env: Mapping[str, str], name: str, default: str) -> Path:
    try:
        return Path(env.get(name, default)).expanduser().absolute()
    except RuntimeError:  # ~name of an account that this machine does not have
        raise SettingsError(f"{name} is {env[name]!r}; there is no such home folder") from None


def _webhook(value: str | None) -> SecretStr | None:
    """The webhook's address. One that no alert can be posted to would be noticed by silence."""
    found = _secret(value)
    if found is not None:
        try:
            parts = urlsplit(found.get_secret_value())
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"\s", found.get_secret_value()):
            # It may hold a token, so it is not repeated.
            raise SettingsError(f"{PREFIX}ALERT_WEBHOOK is not an address; expected https://…")
    return found


def _secret(value: str | None) -> SecretStr | None:
    return None if value is None else SecretStr(value.strip())
