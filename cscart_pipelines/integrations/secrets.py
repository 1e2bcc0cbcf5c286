"""How an API key is kept: sealed at rest, or as a reference to where somebody else keeps it.

Not here: who may see a key (nobody: it goes from here to the shop's client and nowhere else).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from cscart_pipelines.settings import Settings

KEY_FILE = "secret.key"


class SecretError(ValueError):
    """A key cannot be read or opened; the message says where it was looked for, not what it is."""


def sealer(settings: Settings) -> Fernet:
    """The lock of this installation: from the environment, or a key file made on first use."""
    if settings.secret_key is not None:
        try:
            return Fernet(settings.secret_key.get_secret_value())
        except ValueError:
            raise SecretError(
                "CSCART_PIPELINES_SECRET_KEY is not a key; expected 32 random bytes in URL-safe "
                "base64, as `python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'` prints"
            ) from None
    path = settings.home / KEY_FILE
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        # Made under another name and linked: two processes at once agree on one key, and a crash
        # leaves no half key.
        if not path.exists():
            scratch = path.with_name(f"{KEY_FILE}.{os.getpid()}")
            scratch.unlink(missing_ok=True)
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(scratch, path)
            except FileExistsError:
                pass
            finally:
                scratch.unlink()
        return Fernet(path.read_bytes().strip())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no key"
        raise SecretError(f"the key file {path} cannot be used: {reason}") from None


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
    """Reads a key from where `env:NAME` or `file:/path` points."""
    kind, _, where = reference.partition(":")
    if kind == "env":
        value = os.environ.get(where, "").strip()
        if not value:
            raise SecretError(f"the environment variable {where} is not set or empty")
        return checked(value)
    try:
        return checked(Path(where).expanduser().read_text().strip())
    except OSError as error:
        raise SecretError(f"the file {where} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"the file {where} is not text") from None


def checked(value: str) -> SecretStr:
    """A key that can travel in a header: printable, without blanks or colons."""
    if not re.fullmatch(r"[\x21-\x7e]{1,256}", value):
        raise SecretError(
            "the API key is empty or has blanks or odd characters; copy it again from the "
            "administrator's profile, tab API access"
        )
    return SecretStr(value)
