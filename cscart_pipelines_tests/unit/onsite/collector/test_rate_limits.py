"""Rates, bytes in flight, addresses, user agents, clocks: the rules before anything is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.onsite.clock_skew import AHEAD, IN_THE_FUTURE, OLDEST, TOO_OLD, occurred
from cscart_pipelines.onsite.collector.client import (
    client_network,
    device,
    is_robot,
    networks,
    truncated,
)
from cscart_pipelines.onsite.collector.rate_limits import InFlight, Rates

NOW = 1_800_000_000_000
HOUR = 3_600_000
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; {}) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 {}Safari/537.36"
)
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again() -> None:
    clock = Clock()
    rates = Rates(2, 4, clock=clock)
    assert [rates.wait("a") for _ in range(5)] == [0, 0, 0, 0, 1]
    assert rates.wait("b") == 0
    clock.now = 0.5
    assert [rates.wait("a") for _ in range(2)] == [0, 1]
    clock.now = 3600
    assert [rates.wait("a") for _ in range(5)] == [0, 0, 0, 0, 1]


def test_a_slow_rate_says_how_long_to_wait() -> None:
    rates = Rates(0.1, 1, clock=Clock())
    assert (rates.wait("a"), rates.wait("a")) == (0, 10)


def test_a_name_may_have_a_rate_of_its_own() -> None:
    rates = Rates(1, 1, clock=Clock())
    assert [rates.wait("a", 3) for _ in range(7)] == [0] * 6 + [1]


def test_however_many_names_there_are_few_are_remembered() -> None:
    rates = Rates(1, 1, names=100, clock=Clock())
    for number in range(10_000):
        assert rates.wait(str(number)) == 0
        rates.wait("regular")
    assert len(rates) == 100
    assert rates.wait("regular") == 1


@given(st.lists(st.integers(1, 40)))
def test_bytes_in_flight_never_exceed_their_bound(sizes: list[int]) -> None:
    held = InFlight(100)
    taken = [size for size in sizes if held.take(size)]
    assert held.bytes == sum(taken) <= 100
    for size in taken:
        held.give_back(size)
    assert held.bytes == 0


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", "unknown"),
        ("john@mail.example", "unknown"),
    ],
)
def test_addresses_are_truncated(address: str, shown: str) -> None:
    assert truncated(address) == shown


@given(st.ip_addresses())
def test_a_truncated_address_is_never_the_whole_one(address: object) -> None:
    assert truncated(str(address)).endswith(("/24", "/48"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "shown"),
    [
        ("10.0.0.1", None, "10.0.0.0/24"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.0/24"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.0/24"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.0/24"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.0/24"),
        ("10.0.0.1", "rubbish", "unknown"),
        (None, "198.51.100.7", "unknown"),
    ],
)
def test_only_trusted_proxies_are_believed(
    peer: str | None, forwarded: str | None, shown: str
) -> None:
    assert client_network(peer, forwarded, networks(["10.0.0.0/8"])) == shown


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert client_network("10.0.0.1", "198.51.100.7", ()) == "10.0.0.0/24"


@pytest.mark.parametrize(
    ("agent", "robot", "kind"),
    [
        (IPHONE, False, "phone"),
        (ANDROID.format("Pixel 8", "Mobile "), False, "phone"),
        (ANDROID.format("SM-X710", ""), False, "tablet"),
        (ANDROID.format("CUBOT KINGKONG", "Mobile "), False, "phone"),
        ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X)", False, "tablet"),
        (WINDOWS, False, "desktop"),
        (WINDOWS.replace("Chrome", "HeadlessChrome"), True, "desktop"),
        (
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            True,
            "desktop",
        ),
        ("python-requests/2.32", True, "desktop"),
        ("", True, "desktop"),
    ],
)
def test_robots_and_devices_are_told_by_their_words(agent: str, robot: bool, kind: str) -> None:
    assert (is_robot(agent), device(agent)) == (robot, kind)


def test_headless_browsers_may_be_let_in() -> None:
    assert not is_robot(WINDOWS.replace("Chrome", "HeadlessChrome"), headless_too=False)
    assert is_robot("Googlebot", headless_too=False)


def test_a_right_clock_is_believed_to_the_millisecond() -> None:
    assert occurred(NOW - 10, NOW, NOW + 1999) == NOW - 10
    assert occurred(NOW - 10, NOW, NOW - 1999) == NOW - 10


@given(error=st.integers(-(10**12), 10**12), age=st.integers(0, OLDEST))
def test_whatever_the_clock_says_the_age_of_an_event_counts(error: int, age: int) -> None:
    sent = NOW + error
    moment = occurred(sent - age, sent, NOW)
    assert isinstance(moment, int)
    assert abs((NOW - moment) - age) <= 2000


def test_events_of_last_week_and_of_tomorrow_are_refused() -> None:
    assert occurred(NOW - OLDEST, NOW, NOW) == NOW - OLDEST
    assert occurred(NOW - OLDEST - 1, NOW, NOW) == TOO_OLD
    assert occurred(NOW + AHEAD, NOW, NOW) == NOW + AHEAD
    assert occurred(NOW + AHEAD + 1, NOW, NOW) == IN_THE_FUTURE
    assert occurred(NOW - HOUR, NOW - 24 * HOUR, NOW - 24 * HOUR) == IN_THE_FUTURE
