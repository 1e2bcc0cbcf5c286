"""API keys at rest: sealed (encrypted) with a keyed hash beside it, or a reference to a store.

A key goes from here to the shop's client only, and is never shown. Not here: the table that holds
it (`registry`).
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
_RESTORE = (
    "restore CSCART_PIPELINES_SECRET_KEY or the key file, or give the API key again with "
    "`cscart-pipelines integration edit`"
)


class SecretError(ValueError):
    """A key cannot be read or decrypted; the message names its place, never the key."""


class KeyedHashes:
    """Hashes that show whether an API key or a connection has changed, without decrypting a key.

    They depend on the secret key of the installation: with another one no hash matches, as no
    sealed key can be decrypted with it. With `make` a missing key file is made.

    Raises:
        SecretError: The secret key cannot be read.
    """

    def __init__(self, settings: Settings, *, make: bool = True) -> None:
        secret = _secret_key(settings, make=make)
        self._key = hmac.digest(secret, b"hashes of API keys", "sha256")

    def api_key(self, api_key: SecretStr) -> bytes:
        """Returns the hash of an API key."""
        return self._hash(b"api key", api_key.get_secret_value().encode())

    def connection(self, url: str, email: str, api_key_hash: bytes) -> str:
        """Returns the hash of connection details, by which a change after a test is noticed."""
        return self._hash(b"connection", url.encode(), email.lower().encode(), api_key_hash).hex()

    def _hash(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key, b"\0".join(parts), "sha256")


def sealer(settings: Settings, *, make: bool = True) -> Fernet:
    """Returns the cipher of this installation: its key is set, or in a file made on first use.

    Raises:
        SecretError: The key is malformed, or the file cannot be used; or, without `make`, is
            missing.
    """
    return Fernet(_secret_key(settings, make=make))


def _secret_key(settings: Settings, *, make: bool) -> bytes:
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
        if make and not path.exists():
            _make_key_file(path)
        text = path.read_bytes().strip()
        Fernet(text)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):  # one made now would not fit what is sealed
            raise SecretError(f"the key file {path} is missing; {_RESTORE}") from None
        reason = error.strerror if isinstance(error, OSError) else "it holds no key"
        raise SecretError(f"the key file {path} cannot be used: {reason}") from None
    return text


def _make_key_file(path: Path) -> None:
    """Makes the file under another name and links it: two processes agree on one whole key."""
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
    """Encrypts a key for the database. Raises SecretError as `sealer`."""
    return sealer(settings).encrypt(secret.encode())


def unseal(settings: Settings, sealed: bytes) -> SecretStr:
    """Decrypts a key of the database.

    Raises:
        SecretError: It was sealed with another secret key, or the key file is missing.
    """
    try:
        return SecretStr(sealer(settings, make=False).decrypt(sealed).decode())
    except InvalidToken:
        raise SecretError(
            f"the stored API key was sealed with another secret key; {_RESTORE}"
        ) from None


def is_reference(text: str) -> bool:
    """Tells whether this is a reference, `env:NAME` or `file:/path`, and no key."""
    return text.startswith(("env:", "file:"))


def resolve(reference: str) -> SecretStr:
    """Reads the key that `env:NAME` or `file:/path` refers to.

    Raises:
        SecretError: There is none, or it is malformed.
    """
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
    """Returns the name for a message, unless it looks like the key itself."""
    looks_like_a_key = re.fullmatch(r"(?=.*\d)[A-Za-z0-9]{16,}", where)
    return "that was named (is it the key itself?)" if looks_like_a_key else where


def checked(value: str) -> SecretStr:
    """Returns the key if it can be sent in a header: printable, no blanks.

    Raises:
        SecretError: It cannot.
    """
    if not re.fullmatch(r"[\x21-\x7e]{1,256}", value):
        raise SecretError(
            "the API key is empty or has blanks or odd characters; copy it again from the "
            "administrator's profile, tab API access"
        )
    return SecretStr(value)
