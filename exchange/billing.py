"""What does a notice mean, and what does it cost? Decided for a group of notices in order; touches nothing outside.

CPM is billed at the impression, in whole micros with the thousandths carried to the payer's next impression; vCPM the
same way, when the ad was in view; CPC at the first click; CPA at each conversion with a new order. What is said of an
ad that nobody reported as seen implies its impression, which is recorded and billed first. Everything is billed once,
whatever is said again. Invalid traffic is recorded with its code and changes nothing else; an ad of a test page view is
recorded and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from common.ids import made_at_ms, number_of
from common.money import bill_impression
from exchange.holds import Hold, Terms, is_over, placement_index_of
from exchange.notice_urls import with_impression_time
from exchange.request import PricingModel
from streams.schemas import NoticeTaken

# After so many orders an ad takes no more, so what is remembered of it stays small.
MAX_ORDERS: Final = 100


class Kind(IntEnum):
    """What became of an ad; numbers of haat.exchange.v1.Notice.Kind."""

    IMPRESSION = 1
    CLICK = 2
    CONVERSION = 3
    VIEWABLE = 4
    VIDEO_START = 5
    VIDEO_FIRST_QUARTILE = 6
    VIDEO_MIDPOINT = 7
    VIDEO_THIRD_QUARTILE = 8
    VIDEO_COMPLETE = 9
    # In the log alone: takes back what an earlier notice said.
    CORRECTION = 15


# What a storefront, a browser or an advertiser may say.
SAYABLE: Final = frozenset(Kind) - {Kind.CORRECTION}
# Said once for each ad; remembered as bits of Hold.said. Only the first of them is ever billed, under vCPM.
_SAID_ONCE: Final = frozenset(kind for kind in SAYABLE if kind >= Kind.VIEWABLE)


class Verdict(IntEnum):
    """What became of a notice; numbers of haat.exchange.v1.NoticeOutcome.Verdict."""

    ACCEPTED = 1
    DUPLICATE = 2
    UNKNOWN = 3
    EXPIRED = 4
    BEYOND_BUDGET = 5
    INVALID = 6
    # Never in topic `notices`: it waits at another node for the one that sold the ad.
    FORWARDED = 7


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something happened to an ad; `order_id` tells conversions of one ad apart.

    `validity` is a code of exchange.invalid_traffic: what is not 0 is recorded, and neither counted nor billed.
    `from_browser`: whoever knows the ad has yet to look whether a person could have done it. `publisher_id` is the
    storefront whose server says so, which knows of no ads but its own; empty: whoever holds a token of the ad.
    """

    kind: int
    impression_id: str
    order_id: str = ""
    validity: int = 0
    from_browser: bool = False
    publisher_id: str = ""


class NoticeOutcome(msgspec.Struct, frozen=True, gc=False):
    """The answer to a notice: what it was billed, with the impression that it implied."""

    verdict: Verdict
    billed_micros: int = 0
    currency: str = ""


class Decision(msgspec.Struct):
    """What a group of notices comes to.

    `freed` is what each row of the budget book gets back (below zero: what is taken of it beyond the reservation),
    `spent` what is billed to it; `missing` is what its row would need beyond what is available. `carried` is by payer:
    a line item's number or an outside bidder's name. `impressions` are those that frequency caps count.
    """

    taken_at_ms: int
    outcomes: list[NoticeOutcome] = []
    taken: list[NoticeTaken] = []
    holds: dict[str, Hold] = {}
    carried: dict[int | str, int] = {}
    freed: dict[int, int] = {}
    spent: dict[int, int] = {}
    missing: dict[int, int] = {}
    impressions: list[Hold] = []
    # (impression id, kind) of what was recorded as invalid.
    invalid: set[tuple[str, int]] = set()


class Known(msgspec.Struct, frozen=True):
    """What is known when a group is decided: open ads, remainders by payer, what is available by row."""

    find: Callable[[str], Hold | None]
    terms: Terms
    carried: Mapping[int | str, int]
    available: Callable[[int], int]
    # (impression id, kind): recorded as invalid before, so not recorded again.
    invalid: Container[tuple[str, int]] = ()


def decide(notices: Sequence[Notice], known: Known, *, now_ms: int, taken_at_ms: int, lend: bool = False) -> Decision:
    """Decide notices in their order, each on top of those before it.

    `now_ms` is what terms are measured by, `taken_at_ms` what is recorded. With `lend` everything is billed and
    `missing` says what was lacking; without it what cannot be covered is BEYOND_BUDGET.
    """
    deciding = _Deciding(known, now_ms, taken_at_ms, lend)
    deciding.decision.outcomes = [deciding.take(notice) for notice in notices]
    return deciding.decision


class _Deciding:
    def __init__(self, known: Known, now_ms: int, taken_at_ms: int, lend: bool) -> None:
        self.decision = Decision(taken_at_ms)
        self._known = known
        self._now_ms = now_ms
        self._lend = lend

    def take(self, notice: Notice) -> NoticeOutcome:
        hold = self.decision.holds.get(notice.impression_id) or self._known.find(notice.impression_id)
        if hold is None:
            return NoticeOutcome(self._absent(notice.impression_id))
        if notice.publisher_id and hold.publisher_id not in ("", notice.publisher_id):
            # Another tenant's ad is not found, as if it did not exist.
            return NoticeOutcome(Verdict.UNKNOWN)
        if self._known.terms.run_out(hold, self._now_ms):
            return NoticeOutcome(Verdict.EXPIRED, currency=hold.currency)
        if _said_before(hold, notice):
            return NoticeOutcome(Verdict.DUPLICATE, currency=hold.currency)
        if notice.validity:
            return self._invalid(hold, notice)
        if len(hold.order_ids) >= MAX_ORDERS and notice.kind == Kind.CONVERSION:
            return NoticeOutcome(Verdict.EXPIRED, currency=hold.currency)
        verdict, billed = Verdict.ACCEPTED, 0
        if not hold.seen_at_ms:
            hold, verdict, billed = self._impression(hold)
        if notice.kind in _SAID_ONCE:
            hold, verdict, billed_now = self._once(hold, Kind(notice.kind))
            billed += billed_now
        elif notice.kind != Kind.IMPRESSION:
            hold, verdict, billed_now = self._action(hold, notice)
            billed += billed_now
        self.decision.holds[hold.impression_id] = hold
        return NoticeOutcome(verdict, billed, hold.currency)

    def _impression(self, hold: Hold) -> tuple[Hold, Verdict, int]:
        hold = replace(hold, seen_at_ms=self.decision.taken_at_ms)
        verdict, billed = Verdict.ACCEPTED, 0
        if hold.pricing_model == PricingModel.CPM:
            hold, verdict, billed = self._by_the_thousand(hold)
        self._record(hold, Kind.IMPRESSION, verdict, billed, "")
        if not hold.test:
            self.decision.impressions.append(hold)
        return hold, verdict, billed

    def _once(self, hold: Hold, kind: Kind) -> tuple[Hold, Verdict, int]:
        hold = replace(hold, said=hold.said | 1 << kind)
        verdict, billed = Verdict.ACCEPTED, 0
        if kind == Kind.VIEWABLE and hold.pricing_model == PricingModel.VCPM:
            hold, verdict, billed = self._by_the_thousand(hold)
        self._record(hold, kind, verdict, billed, "")
        return hold, verdict, billed

    def _by_the_thousand(self, hold: Hold) -> tuple[Hold, Verdict, int]:
        """One of the thousand that the price is for."""
        if hold.test:
            return hold, Verdict.ACCEPTED, 0
        micros, carry = bill_impression(hold.price_micros, self._carry(hold))
        hold, verdict, billed = self._bill(hold, micros)
        if verdict == Verdict.ACCEPTED:
            self.decision.carried[payer_of(hold)] = carry
        return hold, verdict, billed

    def _invalid(self, hold: Hold, notice: Notice) -> NoticeOutcome:
        """Recorded once for each ad and kind, so that nobody can fill the log; the ad itself stays as it was."""
        said = (notice.impression_id, notice.kind)
        if said not in self.decision.invalid and said not in self._known.invalid:
            self.decision.invalid.add(said)
            self._record(hold, Kind(notice.kind), Verdict.INVALID, 0, notice.order_id, notice.validity)
        return NoticeOutcome(Verdict.INVALID, currency=hold.currency)

    def _action(self, hold: Hold, notice: Notice) -> tuple[Hold, Verdict, int]:
        verdict, billed = Verdict.ACCEPTED, 0
        if notice.kind == Kind.CLICK:
            hold = replace(hold, clicked_at_ms=self.decision.taken_at_ms)
            paid_now = hold.pricing_model == PricingModel.CPC
        else:
            hold = replace(hold, order_ids=(*hold.order_ids, notice.order_id))
            paid_now = hold.pricing_model == PricingModel.CPA
        if paid_now and not hold.test:
            hold, verdict, billed = self._bill(hold, hold.price_micros)
        self._record(hold, Kind(notice.kind), verdict, billed, notice.order_id)
        return hold, verdict, billed

    def _bill(self, hold: Hold, micros: int) -> tuple[Hold, Verdict, int]:
        """Out of the ad's own reservation first, then out of what both accounts have available; all or nothing."""
        if not hold.line_item_number:
            return hold, Verdict.ACCEPTED, micros
        freed, rows, left = self.decision.freed, (hold.line_item_row, hold.campaign_row), hold.left_micros
        funds = {row: self._known.available(row) + freed.get(row, 0) + left for row in rows}
        covered = self._lend or all(micros <= funds[row] for row in rows)
        billed = micros if covered else 0
        for row in rows:
            freed[row] = freed.get(row, 0) + left - billed
            self.decision.spent[row] = self.decision.spent.get(row, 0) + billed
            lacking = micros - funds[row]
            if lacking > self.decision.missing.get(row, 0):
                self.decision.missing[row] = lacking
        return replace(hold, left_micros=0), Verdict.ACCEPTED if covered else Verdict.BEYOND_BUDGET, billed

    def _record(self, hold: Hold, kind: Kind, verdict: Verdict, billed: int, order_id: str, validity: int = 0) -> None:
        # An outside bidder is told when it is billed: at the impression.
        tell = hold.billing_url if kind == Kind.IMPRESSION and verdict == Verdict.ACCEPTED else ""
        self.decision.taken.append(
            NoticeTaken(
                kind=kind,
                impression_id=hold.impression_id,
                verdict=verdict,
                order_id=order_id,
                line_item_number=hold.line_item_number,
                campaign_number=hold.campaign_number,
                billed_micros=billed,
                currency=hold.currency,
                bidder=hold.bidder,
                advertiser_domain=hold.advertiser_domain,
                carried_thousandths=self._carry(hold),
                visitor_id=hold.visitor_id,
                product_id=hold.product_id,
                creative_number=hold.creative_number,
                placement_id=hold.placement_id,
                publisher_id=hold.publisher_id,
                validity=validity,
                test=hold.test,
                billing_url=with_impression_time(tell, self.decision.taken_at_ms) if tell else "",
            )
        )

    def _carry(self, hold: Hold) -> int:
        payer = payer_of(hold)
        carry = self.decision.carried.get(payer)
        return self._known.carried.get(payer, 0) if carry is None else carry

    def _absent(self, impression_id: str) -> Verdict:
        """An id that could have been given out long ago has run out; any other was never given out."""
        try:
            number = number_of(impression_id[:32])
        except ValueError:
            return Verdict.UNKNOWN
        if placement_index_of(impression_id) is None or number >> 76 & 0xF != 7 or number >> 62 & 0x3 != 2:
            return Verdict.UNKNOWN
        made_ms = made_at_ms(number)
        over = made_ms <= self._now_ms and is_over(made_ms, self._known.terms.unseen_ms, self._now_ms)
        return Verdict.EXPIRED if over else Verdict.UNKNOWN


def payer_of(hold: Hold | NoticeTaken) -> int | str:
    """Who carries the remainder of this ad's price: the line item's number, or the outside bidder's name."""
    return hold.line_item_number or hold.bidder


def _said_before(hold: Hold, notice: Notice) -> bool:
    if notice.kind == Kind.IMPRESSION:
        return bool(hold.seen_at_ms)
    if notice.kind == Kind.CLICK:
        return bool(hold.clicked_at_ms)
    if notice.kind in _SAID_ONCE:
        return bool(hold.said >> notice.kind & 1)
    return notice.order_id in hold.order_ids
