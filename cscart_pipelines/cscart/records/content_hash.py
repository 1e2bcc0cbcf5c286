"""The hash by which a changed row is recognised. It is stored with every raw row."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson


def content_hash(row: tuple[Any, ...], lines: Sequence[tuple[Any, ...]] = ()) -> bytes:
    """16 bytes that change when the row (or a line of it) does; the same in every process."""
    content = [tuple(row), *map(tuple, lines)]
    return blake2b(orjson.dumps(content, default=str), digest_size=16).digest()
