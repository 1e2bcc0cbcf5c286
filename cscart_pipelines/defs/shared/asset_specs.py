"""What every asset says of itself: who owns it, and the version of the code that fills it."""

import hashlib
from pathlib import Path

OWNERS = ["team:data-engineering"]
"""Shown in the UI; an installation puts its own team or addresses here."""
CODE_VERSION = "dagster/code_version"
"""The tag by which an event says which code it comes from."""


def code_version(file: Path) -> str:
    """Returns the version of a file of code; as that of a dbt model, it changes with any edit."""
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
