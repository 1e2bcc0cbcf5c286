"""Whose request it is: the client's address behind trusted proxies, truncated before any use. Pure.

/24 of IPv4 and /48 of IPv6: enough for limits and rough places, not for a person. The whole address
never leaves this module.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNKNOWN = "unknown"
MOST_HOPS = 20


def networks(words: Sequence[str]) -> tuple[Network, ...]:
    """Reads addresses and networks as 10.0.0.0/8. Raises ValueError."""
    return tuple(ipaddress.ip_network(word.strip(), strict=False) for word in words)


def truncated(address: str) -> str:
    """The network an address belongs to, as text; `unknown` for what is no address."""
    found = _read(address)
    if found is None:
        return UNKNOWN
    bits = 24 if found.version == 4 else 48
    return (
        str(ipaddress.ip_network((int(found), bits), strict=False))
        if found.version == 6
        else (str(ipaddress.IPv4Network((int(found), bits), strict=False)))
    )


def client(peer: str | None, forwarded: str | None, trusted: tuple[Network, ...]) -> str:
    """The truncated address of the client.

    `forwarded` (X-Forwarded-For) is believed only as far as trusted proxies wrote it: from the
    right, the first that is no trusted proxy is the client.
    """
    address = peer or ""
    if forwarded and trusted:
        for hop in reversed(forwarded.split(",")[-MOST_HOPS:]):
            if not _within(address, trusted):
                break
            address = hop.strip()
    return truncated(address)


def _within(address: str, trusted: tuple[Network, ...]) -> bool:
    found = _read(address)
    return found is not None and any(
        found.version == network.version and found in network for network in trusted
    )


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
