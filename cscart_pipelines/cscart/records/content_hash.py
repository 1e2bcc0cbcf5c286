"""The hash that shows whether a row has changed; it is stored with every raw row."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson


def content_hash(row: tuple[Any, ...], lines: Sequence[tuple[Any, ...]] = ()) -> bytes:
    """Returns 16 bytes that change with the row and its lines; the same in every process."""
    content = [tuple(row), *map(tuple, lines)]
    return blake2b(orjson.dumps(content, default=str), digest_size=16).digest()
