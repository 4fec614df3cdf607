"""Does it matter in which order, how often and through which door it is said what became of an ad?"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from common.money import bill_impression
from exchange.billing import SAYABLE, Decision, Kind, Known, Notice, Verdict, decide
from exchange.holds import Hold, Terms
from exchange.report_counts import METRICS, Counts
from exchange.request import PricingModel
from streams.schemas import NoticesTaken

NOW = 1_700_000_000_000
AD_ID = "019cbdde7a0075f68096cf221f6beab6.{}"


def an_ad(index: int, pricing: PricingModel, price: int, outside: bool) -> Hold:
    return Hold(
        impression_id=AD_ID.format(index), held_at_ms=NOW, line_item_number=0 if outside else 7,
        campaign_number=0 if outside else 2, line_item_row=-1 if outside else 0, campaign_row=-1 if outside else 1,
        pricing_model=PricingModel.CPM if outside else pricing, price_micros=price, left_micros=0, currency="EUR",
        visitor_id="", product_id="", bidder="b", advertiser_domain="d.example", creative_number=3,
        placement_id="top", billing_url=f"https://b.example/{index}?t=${{AUCTION_IMP_TS}}" if outside else "",
    )  # fmt: skip


class Taking:
    """Notices as they are decided one group after the other, over ads that are held in a table."""

    def __init__(self, ads: Sequence[Hold]) -> None:
        self.ads = {ad.impression_id: ad for ad in ads}
        self.carried: dict[int | str, int] = {}
        self.invalid: set[tuple[str, int]] = set()
        self.events: list[NoticesTaken] = []

    def take(self, notices: Sequence[Notice]) -> Decision:
        known = Known(self.ads.get, Terms(), self.carried, lambda _: 1 << 50, self.invalid)
        decision = decide(notices, known, now_ms=NOW + 1, taken_at_ms=NOW + 1)
        self.ads.update(decision.holds)
        self.carried.update(decision.carried)
        self.invalid |= decision.invalid
        self.events.append(NoticesTaken(NOW + 1, tuple(decision.taken)))
        return decision

    def bill(self) -> tuple[dict[str, int], int, list[str]]:
        """What was counted and billed, what is carried, and which addresses bidders are told by."""
        counts = Counts()
        for event in self.events:
            counts.add_notices(event)
        sums = {name: sum(row[at] for row in counts.metrics.values()) for at, name in enumerate(METRICS)}
        urls = sorted(n.billing_url for event in self.events for n in event.notices if n.billing_url)
        return sums, sum(self.carried.values()), urls


said = st.builds(
    Notice,
    kind=st.sampled_from(sorted(SAYABLE)),
    impression_id=st.integers(0, 4).map(AD_ID.format),
    order_id=st.just(""),
    validity=st.sampled_from([0, 0, 0, 1, 6]),
).flatmap(
    lambda n: (
        st.sampled_from("12").map(lambda order: Notice(n.kind, n.impression_id, order, n.validity))
        if n.kind == Kind.CONVERSION
        else st.just(n)
    )
)


@settings(deadline=None)
@given(
    pricing=st.sampled_from(PricingModel),
    # One price, so that whose thousandths are carried to whom does not depend on the order.
    price=st.integers(1, 5_000_000),
    outside=st.booleans(),
    notices=st.lists(said, max_size=25),
    seed=st.integers(0, 2**32),
)
def test_doubled_delayed_and_shuffled_notices_come_to_the_same_bill(
    pricing: PricingModel, price: int, outside: bool, notices: list[Notice], seed: int
) -> None:
    ads = [an_ad(index, pricing, price, outside) for index in range(5)]
    clean, wild = Taking(ads), Taking(ads)
    valid = [notice for notice in notices if not notice.validity]
    clean.take(valid)
    chance = Random(seed)
    many = [notice for notice in valid for _ in range(chance.randrange(1, 6))]
    chance.shuffle(many)
    while many:
        size = chance.randrange(1, 6)
        wild.take(many[:size])
        many = many[size:]

    assert wild.bill() == clean.bill()
    seen = sum(bool(ad.seen_at_ms) for ad in wild.ads.values())
    if outside or pricing == PricingModel.CPM:
        total, carry = 0, 0
        for _ in range(seen):
            micros, carry = bill_impression(price, carry)
            total += micros
        assert clean.bill()[0]["spend_micros"] == total
    if not outside and pricing == PricingModel.VCPM:
        # Each that was in view is one of the thousand that the price is for, and nothing else costs anything.
        in_view, carry = sum(bool(ad.said >> Kind.VIEWABLE & 1) for ad in wild.ads.values()), 0
        total = 0
        for _ in range(in_view):
            micros, carry = bill_impression(price, carry)
            total += micros
        assert clean.bill()[0]["spend_micros"] == total


@settings(deadline=None)
@given(notices=st.lists(said, max_size=30), price=st.integers(1, 5_000_000))
def test_invalid_traffic_never_changes_the_bill(notices: list[Notice], price: int) -> None:
    ads = [an_ad(index, PricingModel.CPC, price, False) for index in range(5)]
    clean, mixed = Taking(ads), Taking(ads)
    for notice in notices:
        outcome = mixed.take([notice]).outcomes[0]
        if notice.validity:
            assert outcome.verdict in (Verdict.INVALID, Verdict.DUPLICATE)
            assert outcome.billed_micros == 0
        else:
            clean.take([notice])

    (sums, carry, _), (all_sums, all_carry, _) = clean.bill(), mixed.bill()
    assert {**all_sums, "invalid": 0} == sums
    assert all_carry == carry
