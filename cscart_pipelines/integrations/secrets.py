"""How an API key is kept: sealed at rest with a keyed hash beside it, or as a reference.

Not here: who may see a key (it goes from here to the shop's client and nowhere else).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from cscart_pipelines.settings import Settings

KEY_FILE = "secret.key"


class SecretError(ValueError):
    """A key cannot be read or opened; the message says where it was looked for, not what it is."""


class KeyedHashes:
    """Hashes that tell whether an API key or a connection has changed, without opening a key.

    They depend on the secret key of the installation: with another one nothing matches, as no
    sealed key can be opened with it.

    Raises:
        SecretError: The secret key cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._key = hmac.digest(_secret_key(settings), b"hashes of API keys", "sha256")

    def api_key(self, api_key: SecretStr) -> bytes:
        return self._hash(b"api key", api_key.get_secret_value().encode())

    def connection(self, url: str, email: str, api_key_hash: bytes) -> str:
        """Names the connection details that a test has passed."""
        return self._hash(b"connection", url.encode(), email.lower().encode(), api_key_hash).hex()

    def _hash(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key, b"\0".join(parts), "sha256")


def sealer(settings: Settings) -> Fernet:
    """The lock of this installation: from the environment, or a key file made on first use."""
    return Fernet(_secret_key(settings))


def _secret_key(settings: Settings) -> bytes:
    if settings.secret_key is not None:
        text = settings.secret_key.get_secret_value().encode()
        try:
            Fernet(text)
        except ValueError:
            raise SecretError(
                "CSCART_PIPELINES_SECRET_KEY is not a key; expected 32 random bytes in URL-safe "
                "base64, as `python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'` prints"
            ) from None
        return text
    path = settings.home / KEY_FILE
    try:
        if not path.exists():
            _make_key_file(path)
        text = path.read_bytes().strip()
        Fernet(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no key"
        raise SecretError(f"the key file {path} cannot be used: {reason}") from None
    return text


def _make_key_file(path: Path) -> None:
    """Made under another name and linked: two at once agree on one key, and a crash leaves none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        Path(scratch).unlink()


def seal(settings: Settings, secret: str) -> bytes:
    return sealer(settings).encrypt(secret.encode())


def unseal(settings: Settings, sealed: bytes) -> SecretStr:
    """Raises SecretError when the key that sealed it is gone."""
    try:
        return SecretStr(sealer(settings).decrypt(sealed).decode())
    except InvalidToken:
        raise SecretError(
            "the stored API key was sealed with another secret key; restore "
            "CSCART_PIPELINES_SECRET_KEY or the key file, or give the API key again with "
            "`cscart-pipelines integration edit`"
        ) from None


def is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))


def resolve(reference: str) -> SecretStr:
    """Reads a key from where `env:NAME` or `file:/path` points. Raises SecretError."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        value = os.environ.get(where, "").strip()
        if not value:
            raise SecretError(f"the environment variable {_name(where)} is not set or empty")
        return checked(value)
    if kind != "file":
        raise SecretError("where the API key is kept: expected env:NAME or file:/path")
    try:
        text = Path(where).expanduser().read_bytes()[:4096].decode()
    except OSError as error:
        raise SecretError(f"the file {_name(where)} cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError):  # bytes that are no text; a name that no file can have
        raise SecretError(f"the file {_name(where)} is not text") from None
    return checked(text.strip())


def _name(where: str) -> str:
    """Where it was looked for, unless somebody gave the key itself instead of its place."""
    looks_like_a_key = re.fullmatch(r"(?=.*\d)[A-Za-z0-9]{16,}", where)
    return "that was named (is it the key itself?)" if looks_like_a_key else where


def checked(value: str) -> SecretStr:
    """A key that can travel in a header: printable, without blanks or colons."""
    if not re.fullmatch(r"[\x21-\x7e]{1,256}", value):
        raise SecretError(
            "the API key is empty or has blanks or odd characters; copy it again from the "
            "administrator's profile, tab API access"
        )
    return SecretStr(value)
