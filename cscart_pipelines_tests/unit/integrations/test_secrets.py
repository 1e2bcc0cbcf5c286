"""How a key is kept: sealed, opened with the right key only, never said."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cscart_pipelines.integrations import secrets
from cscart_pipelines.integrations.secrets import (
    KeyedHashes,
    SecretError,
    resolve,
    seal,
    unseal,
)
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines_tests.support.database.embedded import environment
from cscart_pipelines_tests.support.shop.commands import KEY


def installation(home: Path, key: str | None = None) -> Settings:
    values = {"CSCART_PIPELINES_HOME": str(home)}
    return read_settings({**values, **({"CSCART_PIPELINES_SECRET_KEY": key} if key else {})})


def test_a_sealed_key_opens_again_and_does_not_show_it(tmp_path: Path) -> None:
    settings = installation(tmp_path / "home")
    sealed = seal(settings, KEY)
    assert KEY.encode() not in sealed
    assert unseal(settings, sealed).get_secret_value() == KEY
    assert KEY not in repr(unseal(settings, sealed))
    assert seal(settings, KEY) != sealed


def test_keyed_hashes_follow_every_connection_detail_and_the_secret_key(tmp_path: Path) -> None:
    def connection(
        home: str = "one",
        url: str = "https://shop.example",
        email: str = "admin@shop.example",
        key: str = KEY,
    ) -> str:
        hashes = KeyedHashes(installation(tmp_path / home))
        return hashes.connection(url, email, hashes.api_key(SecretStr(key)))

    assert connection() == connection(email="ADMIN@shop.example")
    changed = [
        connection(key="other"),
        connection(url="http://shop.example"),
        connection(email="other@shop.example"),
        connection(home="two"),
    ]
    assert len({connection(), *changed}) == 5
    key_hash = KeyedHashes(installation(tmp_path / "one")).api_key(SecretStr(KEY))
    assert KEY.encode() not in key_hash
    assert key_hash != KeyedHashes(installation(tmp_path / "two")).api_key(SecretStr(KEY))


def test_the_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    settings = installation(tmp_path / "home")
    secrets.sealer(settings)
    path = settings.home / secrets.KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    assert [one.name for one in settings.home.iterdir()] == [secrets.KEY_FILE]


def test_processes_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from cscart_pipelines.integrations.secrets import seal\n"
        "from cscart_pipelines.settings import read_settings\n"
        "settings = read_settings({'CSCART_PIPELINES_HOME': sys.argv[1]})\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "sys.stdout.write(seal(settings, 'secret').decode())\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "home")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    settings = installation(tmp_path / "home")
    for process in started:
        sealed, _ = process.communicate()
        assert unseal(settings, sealed.encode()).get_secret_value() == "secret"
    assert len(list((tmp_path / "home").iterdir())) == 1


def test_reading_makes_no_key_file_where_it_is_missing(tmp_path: Path) -> None:
    """One that is made now would look like the right one, and hide that the file is lost."""
    settings = installation(tmp_path)
    sealed = seal(settings, KEY)
    (tmp_path / secrets.KEY_FILE).unlink()
    for read in (lambda: unseal(settings, sealed), lambda: KeyedHashes(settings, make=False)):
        with pytest.raises(SecretError, match=r"secret\.key is missing; restore .*edit"):
            read()
    assert list(tmp_path.iterdir()) == []


def test_another_key_does_not_open_it_and_says_what_to_do(tmp_path: Path) -> None:
    sealed = seal(installation(tmp_path / "a"), KEY)
    seal(installation(tmp_path / "b"), KEY)
    for other in (
        installation(tmp_path / "b"),
        installation(tmp_path / "a", Fernet.generate_key().decode()),
    ):
        with pytest.raises(SecretError, match=r"restore CSCART_PIPELINES_SECRET_KEY.*edit") as it:
            unseal(other, sealed)
        assert KEY not in str(it.value)


def test_a_key_from_the_environment_needs_no_file(tmp_path: Path) -> None:
    settings = installation(tmp_path / "home", Fernet.generate_key().decode())
    assert unseal(settings, seal(settings, KEY)).get_secret_value() == KEY
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("wrong", ["short", "ä" * 44, "x" * 43])
def test_a_key_of_the_environment_that_is_none_is_told_without_it(
    tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(SecretError, match="32 random bytes") as caught:
        seal(installation(tmp_path, wrong), KEY)
    assert wrong not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe"])
def test_a_spoilt_key_file_is_told_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / secrets.KEY_FILE
    path.write_bytes(content)
    with pytest.raises(SecretError, match=r"secret\.key cannot be used"):
        seal(installation(tmp_path), KEY)
    assert path.read_bytes() == content


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretError, match="cannot be used"):
        seal(installation(tmp_path / "file" / "home"), KEY)


def test_references_are_read_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "api-key"
    file.write_text(f" {KEY}\n")
    monkeypatch.setenv("SHOP_API_KEY", f"{KEY}\n")
    assert resolve(f"file:{file}").get_secret_value() == KEY
    assert resolve("env:SHOP_API_KEY").get_secret_value() == KEY


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NOT_THERE", "the environment variable NOT_THERE is not set or empty"),
        ("env:", "is not set"),
        ("file:/not/there", "/not/there cannot be read: No such file"),
        ("file:/", "cannot be read: Is a directory"),
        ("file:~nobody-has-this-name/key", "is not text"),
        ("file:/a\0b", "is not text"),
        ("vault:x", "expected env:NAME or file:/path"),
        ("", "expected env:NAME or file:/path"),
    ],
)
def test_a_reference_that_leads_nowhere_says_where(reference: str, said: str) -> None:
    with pytest.raises(SecretError) as caught:
        resolve(reference)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["env", "file"])
def test_a_key_given_in_the_place_of_its_place_is_not_repeated(kind: str) -> None:
    with pytest.raises(SecretError) as caught:
        resolve(f"{kind}:{KEY}")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"two words", b"two\nlines", b"\xff", b"a" * 300])
def test_what_is_no_key_is_refused_without_repeating_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "api-key"
    file.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        resolve(f"file:{file}")
    assert "two" not in str(caught.value)
