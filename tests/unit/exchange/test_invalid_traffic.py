from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInput
from exchange.billing import Kind
from exchange.holds import Hold
from exchange.invalid_traffic import MEANINGS, Agents, Around, Limits, TrafficEvent, Validity, verdict
from exchange.networks import Networks, address_of, caller_address
from exchange.traffic_memory import Counts, TrafficMemory

PEOPLE = Path(__file__).parents[2] / "samples" / "user_agents" / "people.txt"
BOTS = Path(__file__).parents[2] / "samples" / "user_agents" / "bots.txt"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
AGENTS = Agents()


@pytest.mark.parametrize("agent", PEOPLE.read_text().splitlines())
def test_peoples_agents_count(agent: str) -> None:
    assert not AGENTS.is_bot(agent)


@pytest.mark.parametrize("agent", [*BOTS.read_text().splitlines(), "", "   "])
def test_programs_are_told_by_what_they_say(agent: str) -> None:
    assert AGENTS.is_bot(agent)


def test_a_file_adds_words() -> None:
    agents = Agents(["# ours", "ShopChecker  # in house", ""])

    assert agents.is_bot("Mozilla/5.0 shopchecker/1")
    assert not agents.is_bot(BROWSER)


def event(kind: Kind = Kind.CLICK, at_ms: int = 1_000) -> TrafficEvent:
    return TrafficEvent(kind, at_ms, BROWSER)


@pytest.mark.parametrize(
    ("kind", "around", "expected"),
    [
        (Kind.CLICK, Around(seen_at_ms=900), Validity.VALID),
        (Kind.CLICK, Around(seen_at_ms=901), Validity.CLICK_TOO_FAST),
        (Kind.CLICK, Around(), Validity.CLICK_BEFORE_IMPRESSION),
        (Kind.CLICK, Around(seen_at_ms=1, clicks_on_item=2), Validity.VALID),
        (Kind.CLICK, Around(seen_at_ms=1, clicks_on_item=3), Validity.REPEATED_CLICK),
        (Kind.CLICK, Around(seen_at_ms=1, network_shown=13, network_clicked=4), Validity.CLICKS_TOO_OFTEN),
        (Kind.CLICK, Around(seen_at_ms=1, network_shown=14, network_clicked=4), Validity.VALID),
        (Kind.CLICK, Around(seen_at_ms=1, network_shown=3, network_clicked=3), Validity.VALID),
        # Its pages say elsewhere what they show.
        (Kind.CLICK, Around(seen_at_ms=1, network_shown=3, network_clicked=9), Validity.VALID),
        (Kind.IMPRESSION, Around(clicks_on_item=9), Validity.VALID),
        (Kind.IMPRESSION, Around(of_network=600), Validity.RATE_LIMITED),
        (Kind.VIEWABLE, Around(shown_elsewhere=True), Validity.COPIED_ID),
    ],
)
def test_the_rules_of_repetition_and_time(kind: Kind, around: Around, expected: Validity) -> None:
    assert verdict(event(kind), around, AGENTS, Limits()) is expected


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Validity)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300)), max_size=60))
def test_what_happened_within_the_last_window_is_never_counted_less_than_by_half(steps: list[tuple[int, int]]) -> None:
    counts, now = Counts(100), 0
    came: list[tuple[int, int]] = []
    for what, wait in steps:
        now += wait
        before = counts.add(bytes([what]), now)
        this_window = sum(1 for at, other in came if other == what and at // 100 == now // 100)
        two_windows = sum(1 for at, other in came if other == what and now // 100 - at // 100 <= 1)
        assert this_window <= before <= two_windows
        came.append((now, what))


def test_counts_are_bounded() -> None:
    counts = Counts(1_000_000, most=10)
    for at in range(100):
        counts.add(at.to_bytes(2, "big"), 1)

    assert len(counts._now) + len(counts._before) <= 20


def test_an_address_is_remembered_as_a_network_that_nobody_can_tell() -> None:
    memory = TrafficMemory()
    memory.shown("i", ip_address("198.51.100.7"), 1_000)

    ((_, network),) = memory._shown.values()
    assert len(network) == 8
    assert ip_address("198.51.100.7").packed[:3] not in network
    other = TrafficMemory()
    other.shown("i", ip_address("198.51.100.7"), 1_000)
    # Another process, another salt.
    assert next(iter(other._shown.values()))[1] != network
    # Another day, another salt.
    memory.shown("j", ip_address("198.51.100.7"), 90_000_000)
    assert memory._shown["j"][1] != network


def test_a_network_is_judged_by_what_broke_no_rule_of_its_own() -> None:
    memory = TrafficMemory()
    home, neighbour, elsewhere = (ip_address(text) for text in ("203.0.113.5", "203.0.113.9", "198.51.100.1"))
    hold = Hold("1" * 32 + ".0", 0, 1, 1, -1, -1, 2, 1, 0, "EUR", "", "", "brand_campaign", "", seen_at_ms=1)
    for number in range(5):
        memory.shown(f"{number:032x}.0", home, 1_000)
    # Shown once more is not shown twice.
    memory.shown(f"{0:032x}.0", home, 1_000)
    for _ in range(3):
        memory.clicked(neighbour, 1_500)

    around = memory.around(Kind.CLICK, hold, home, BROWSER, 2_000)
    again = memory.around(Kind.CLICK, hold, home, BROWSER, 2_000)

    assert (around.network_shown, around.network_clicked) == (again.network_shown, again.network_clicked) == (5, 3)
    other = memory.around(Kind.CLICK, hold, elsewhere, BROWSER, 2_000)
    assert (other.network_shown, other.network_clicked) == (0, 0)
    # A day later nobody knows which network it was.
    assert memory.around(Kind.CLICK, hold, home, BROWSER, 90_000_000).network_shown == 0


def test_networks_are_found_in_both_ways_of_writing() -> None:
    networks = Networks(["203.0.113.0/24 # a comment", "", "2001:db8::/32", "198.51.100.7"])

    inside = ("203.0.113.255", "::ffff:203.0.113.1", "2001:db8:1::1", "198.51.100.7")
    outside = ("203.0.114.0", "202.255.255.255", "2001:db9::", "198.51.100.8")
    assert all(address_of(text) in networks for text in inside)
    assert not any(address_of(text) in networks for text in outside)
    assert address_of("no address") is None
    assert None not in networks


def test_wrong_prefixes_are_all_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        Networks(["10.0.0.0/8", "10.0.0.0/33", "x"])

    assert [error.field for error in refused.value.errors] == ["line 2", "line 3"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1" + ", 10.0.0.2" * 40, "10.0.0.2"),
        ("", "1.1.1.1", None),
    ],
)
def test_only_trusted_proxies_say_who_called(peer: str, forwarded: str, expected: str | None) -> None:
    found = caller_address(peer, forwarded, Networks(["10.0.0.0/8"]))

    assert (str(found) if found else None) == expected
