"""What a request tells about its client: truncated address, kind of device, whether it is a robot.

The whole address never leaves this module: /24 of IPv4 and /48 of IPv6 are enough for limits and
rough places, not for a person. Not here: what becomes of a robot's events (`app`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from crawleruseragents import is_crawler

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNKNOWN = "unknown"
MAX_HOPS = 20

# The library knows robots by name (about 700 patterns); these are for those that it does not list.
_ROBOT = re.compile(
    r"(?<!cu)bot\b|crawl|spider|preview|monitor|lighthouse|pagespeed|validator|archiver|"
    r"newrelic|datadog|dynatrace|undici",
    re.IGNORECASE,
)
_HEADLESS = re.compile(
    "headlesschrome|phantomjs|puppeteer|playwright|selenium|electron/", re.IGNORECASE
)
"""Browsers without a person: monitors, and tests, which may want to be measured."""
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|playbook|android(?!.*mobile)")
_PHONE = re.compile(r"iphone|ipod|mobi|android|windows phone")
_AGENT_LENGTH = 1000


@lru_cache(maxsize=10_000)
def is_robot(agent: str, *, headless_too: bool = True) -> bool:
    """Whether a User-Agent is no person's; an empty one is not.

    Args:
        agent: The header's value.
        headless_too: Whether browsers without a person count as robots.
    """
    agent, headless = _HEADLESS.subn("", agent[:_AGENT_LENGTH])
    if headless and headless_too:
        return True
    return not (agent.strip() or headless) or bool(_ROBOT.search(agent)) or is_crawler(agent)


def device(agent: str) -> str:
    """The kind of device by its User-Agent: phone, tablet or desktop."""
    agent = agent[:_AGENT_LENGTH].lower()
    if _TABLET.search(agent):
        return "tablet"
    return "phone" if _PHONE.search(agent) else "desktop"


def networks(words: Sequence[str]) -> tuple[Network, ...]:
    """Reads addresses and networks such as 10.0.0.0/8.

    Raises:
        ValueError: A word is neither.
    """
    return tuple(ipaddress.ip_network(word.strip(), strict=False) for word in words)


def truncated(address: str) -> str:
    """The network of an address as text; `unknown` for what is no address."""
    found = _read(address)
    if found is None:
        return UNKNOWN
    return str(ipaddress.ip_network(f"{found}/{24 if found.version == 4 else 48}", strict=False))


def client_network(peer: str | None, forwarded: str | None, trusted: tuple[Network, ...]) -> str:
    """The truncated address of the client behind trusted proxies.

    Args:
        peer: Address of the connection.
        forwarded: X-Forwarded-For, believed only as far as trusted proxies wrote it: from the
            right, the first address that is no trusted proxy is the client.
        trusted: Networks of the proxies.
    """
    address = peer or ""
    if forwarded and trusted:
        for hop in reversed(forwarded.split(",")[-MAX_HOPS:]):
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
