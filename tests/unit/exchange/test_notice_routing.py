"""Does a notice reach the node that sold the ad, once, and does none get lost while that one is away?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.event_log_lmdb import LmdbEventLog
from common.clock import SteppedClock
from common.errors import BackendUnavailable, InvalidInput
from common.ids import new_ids, node_of, text_of
from exchange.billing import Kind, Notice, NoticeOutcome, Verdict
from exchange.corrections import Correction
from exchange.forwarding import Forwarding
from exchange.holds import Hold
from exchange.invalid_traffic import Validity
from exchange.nodes import Node
from exchange.notice_routing import NoticeRouter, PeerOutcome, judged
from exchange.request import PricingModel
from streams.schemas import NoticesForwarded, encode
from streams.topics import FORWARDED_NOTICES

ME, OTHER, THIRD = 1, 2, 3


class Cluster:
    """A router with peers that may be away, a real log, and offsets in memory."""

    def __init__(self, log: LmdbEventLog) -> None:
        self.log = log
        self.clock = SteppedClock()
        self.nodes = {OTHER: Node("two", OTHER, "b:1"), THIRD: Node("three", THIRD, "c:1")}
        self.unseen: dict[int, Node] = {}
        self.away: set[int] = set()
        self.told: list[tuple[int, str]] = []
        self.heard: list[Notice] = []
        self.own: list[str] = []
        self.holds: dict[str, Hold] = {}
        self.offsets: dict[int, int] = {}
        self.router = NoticeRouter(
            nodes=self,
            find=self.holds.get,
            take=self.take,
            peers=self,
            clock=self.clock,
            record=lambda event: self._record(event),
            sync=log.sync,
        )
        self.forwarding = self.restarted()

    def restarted(self) -> Forwarding:
        return Forwarding(log=self.log, offsets=self, nodes=lambda: list(self.nodes.values()), peers=self)

    def _record(self, event: NoticesForwarded) -> None:
        self.log.append(FORWARDED_NOTICES.name, [encode(event)], self.clock.now_ms())

    # Directory
    def owner(self, number: int) -> Node | None:
        return self.nodes.get(number)

    def has(self, number: int) -> bool:
        return number == ME or number in self.nodes

    def look_again(self) -> None:
        self.nodes |= self.unseen

    # Offsets
    def read_upto(self, owner: int) -> int:
        return self.offsets.get(owner, 0)

    def move(self, owner: int, from_offset: int, upto_offset: int) -> bool:
        assert self.offsets.get(owner, 0) == from_offset
        self.offsets[owner] = upto_offset
        return True

    # Peers
    async def take(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        self.own += [notice.impression_id for notice in notices]
        return [NoticeOutcome(Verdict.ACCEPTED, 1) for _ in notices]

    async def take_notices(self, owner: Node, said_at_ms: int, notices: Sequence[Notice]) -> list[PeerOutcome]:
        if owner.number in self.away or owner.address == "old:1":
            raise BackendUnavailable("away")
        self.told += [(owner.number, notice.impression_id) for notice in notices]
        self.heard += notices
        return [PeerOutcome(NoticeOutcome(Verdict.ACCEPTED, 2), 7, 1234) for _ in notices]

    async def take_back(self, owner: Node, impression_id: str, kind: int, order_id: str) -> Correction:
        raise AssertionError("nobody asked")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    log = LmdbEventLog(tmp_path, map_size_bytes=1 << 24)
    yield Cluster(log)
    log.close()


def a_hold() -> Hold:
    return Hold(an_ad(OTHER), 0, 7, 1, -1, -1, PricingModel.CPC, 5, 0, "EUR", "", "", "brand", "")


def an_ad(node: int) -> str:
    return f"{text_of(new_ids(1, 1_700_000_000_000, node)[0])}.0"


def seen(*ads: str) -> list[Notice]:
    return [Notice(Kind.IMPRESSION, ad) for ad in ads]


def test_an_id_says_which_node_made_it_and_is_a_uuid_all_the_same() -> None:
    numbers = new_ids(1_000, 1_700_000_000_000, 4_095) + new_ids(1_000, 1_700_000_000_000, 1)
    assert len(set(numbers)) == 2_000
    assert {node_of(number) for number in numbers} == {1, 4_095}
    assert {number >> 76 & 0xF for number in numbers} == {7}
    assert {number >> 62 & 0x3 for number in numbers} == {2}
    assert len({node_of(number) for number in new_ids(1_000, 1_700_000_000_000)}) > 500


async def test_each_notice_goes_to_who_sold_the_ad_and_answers_keep_their_order(cluster: Cluster) -> None:
    ads = [an_ad(OTHER), an_ad(ME), an_ad(THIRD), an_ad(OTHER), "nonsense"]
    outcomes = await cluster.router.take(seen(*ads))
    assert [outcome.billed_micros for outcome in outcomes] == [2, 1, 2, 2, 1]
    assert cluster.own == [ads[1], "nonsense"]
    assert sorted(cluster.told) == sorted([(OTHER, ads[0]), (OTHER, ads[3]), (THIRD, ads[2])])


async def test_what_was_sold_here_before_nodes_had_numbers_stays_here(cluster: Cluster) -> None:
    ad = an_ad(OTHER)
    cluster.holds[ad] = a_hold()
    await cluster.router.take(seen(ad))
    assert cluster.own == [ad]


async def test_a_node_that_came_or_moved_just_now_is_found(cluster: Cluster) -> None:
    cluster.unseen = {4: Node("four", 4, "d:1"), OTHER: Node("two", OTHER, "b:2")}
    cluster.nodes[OTHER] = Node("two", OTHER, "old:1")
    outcomes = await cluster.router.take(seen(an_ad(4), an_ad(OTHER)))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 2
    assert [number for number, _ in cluster.told] == [4, OTHER]


async def test_what_waits_is_in_the_log_and_handed_on_once(cluster: Cluster) -> None:
    cluster.away = {OTHER, THIRD}
    for_two, for_three = an_ad(OTHER), an_ad(THIRD)
    outcomes = await cluster.router.take(seen(for_two, for_three))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.FORWARDED}
    assert await cluster.forwarding.hand_on() == 0

    # One that is away stops nobody else's, and a restart forgets nothing.
    cluster.away = {OTHER}
    assert await cluster.restarted().hand_on() == 1
    assert cluster.told == [(THIRD, for_three)]
    cluster.away = set()
    fresh = cluster.restarted()
    assert await fresh.hand_on() == 1
    assert await fresh.hand_on() == 0
    assert cluster.told == [(THIRD, for_three), (OTHER, for_two)]
    assert fresh.handed_upto() == cluster.log.end(FORWARDED_NOTICES.name)


async def test_who_said_it_is_handed_on_too(cluster: Cluster) -> None:
    cluster.away = {OTHER}
    said = Notice(Kind.IMPRESSION, an_ad(OTHER), publisher_id="shop")
    await cluster.router.take([said])
    cluster.away = set()
    await cluster.router.take([said])
    await cluster.forwarding.hand_on()
    assert cluster.heard == [said, said]


async def test_ads_of_a_node_that_was_written_off_have_run_out(cluster: Cluster) -> None:
    cluster.away = {OTHER}
    await cluster.router.take(seen(an_ad(OTHER)))
    cluster.nodes[OTHER] = replace(cluster.nodes[OTHER], written_off=True)
    outcomes = await cluster.router.take(seen(an_ad(OTHER)))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.EXPIRED]
    assert await cluster.forwarding.hand_on() == 0
    assert cluster.forwarding.lost == 1
    assert cluster.log.end(FORWARDED_NOTICES.name) == 1


async def test_what_cannot_be_taken_is_refused_before_anybody_is_told(cluster: Cluster) -> None:
    with pytest.raises(InvalidInput):
        await cluster.router.take([Notice(99, an_ad(OTHER))])
    assert cluster.told == []


async def test_a_click_of_another_nodes_ad_has_what_a_click_id_is_made_of(cluster: Cluster) -> None:
    ad = an_ad(OTHER)
    await cluster.router.take([Notice(Kind.CLICK, ad, from_browser=True)])
    assert cluster.router.clicked(ad) == (7, 1234)
    assert cluster.router.clicked(an_ad(OTHER)) == (0, 0)


@pytest.mark.parametrize(
    ("seen_at_ms", "said_at_ms", "found"),
    [
        (0, 5_000, Validity.CLICK_BEFORE_IMPRESSION),
        (5_000, 5_050, Validity.CLICK_TOO_FAST),
        (5_000, 5_100, Validity.VALID),
        (5_000, 4_990, Validity.VALID),
    ],
)
def test_who_knows_the_ad_looks_whether_a_person_could_have_clicked(
    seen_at_ms: int, said_at_ms: int, found: Validity
) -> None:
    hold = replace(a_hold(), seen_at_ms=seen_at_ms)
    notice = Notice(Kind.CLICK, hold.impression_id, from_browser=True)
    assert judged(notice, hold, said_at_ms).validity == found
    storefronts = replace(notice, from_browser=False)
    assert judged(storefronts, hold, said_at_ms) == storefronts
