"""A break is never longer than its time, whoever wins its slots, and brings the most that fits."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.creatives.pods import PodBid, slots_of, time_shares
from exchange.request import Format, VideoTerms
from tests.builders import a_placement

VIDEO = (int(Format.VIDEO), 640, 360)

BIDS = st.lists(
    st.builds(
        PodBid,
        advertiser=st.integers(1, 6),
        duration_s=st.integers(0, 70),
        worth_micros=st.integers(1, 9_000_000),
    ),
    max_size=9,
)


@settings(deadline=None)
@given(bids=BIDS, seconds=st.integers(1, 120), slots=st.integers(1, 5))
def test_the_shares_never_exceed_the_time(bids: list[PodBid], seconds: int, slots: int) -> None:
    shares = time_shares(bids, seconds, slots)

    assert len(shares) == slots
    assert min(shares) >= 0
    assert sum(shares) == seconds


@settings(deadline=None)
@given(bids=BIDS, seconds=st.integers(1, 120), slots=st.integers(1, 4))
def test_the_shares_make_room_for_what_brings_most(bids: list[PodBid], seconds: int, slots: int) -> None:
    best: dict[int, PodBid] = {}
    for bid in bids:
        known = best.get(bid.advertiser)
        if 0 < bid.duration_s <= seconds and (
            known is None or (bid.worth_micros, -bid.duration_s) > (known.worth_micros, -known.duration_s)
        ):
            best[bid.advertiser] = bid
    fitting = [
        chosen
        for count in range(slots + 1)
        for chosen in combinations(best.values(), count)
        if sum(bid.duration_s for bid in chosen) <= seconds
    ]
    most = max(sum(bid.worth_micros for bid in chosen) for chosen in fitting)

    assert room_for(time_shares(bids, seconds, slots), list(best.values())) >= most


def room_for(shares: list[int], bids: list[PodBid]) -> int:
    """The most that bids bring when each takes a slot that is long enough."""
    most = 0
    for count in range(min(len(shares), len(bids)) + 1):
        for chosen in combinations(bids, count):
            lengths = sorted((bid.duration_s for bid in chosen), reverse=True)
            longest = sorted(shares, reverse=True)
            if all(length <= share for length, share in zip(lengths, longest, strict=False)):
                most = max(most, sum(bid.worth_micros for bid in chosen))
    return most


@given(ads=st.integers(0, 40), seconds=st.integers(0, 300))
def test_a_dynamic_pod_is_sold_as_its_slots(ads: int, seconds: int) -> None:
    placement = a_placement("break", shapes=(VIDEO,), video=VideoTerms(pod_ads=ads, pod_duration_s=seconds))
    slots = slots_of(placement)

    wanted = min(ads or seconds // 15, 16)
    if wanted <= 1 or not seconds:
        assert slots == (placement,)
        return
    assert len(slots) == wanted
    assert [slot.placement_id for slot in slots] == [f"break/{number}" for number in range(1, len(slots) + 1)]
    assert {slot.video.pod_id for slot in slots if slot.video} == {"break"}
    assert slots[0].video is not None
    assert slots[0].video.slot_in_pod == 1
    # A slot is no pod: what is recorded as slots is read as these.
    assert all(slots_of(slot) == (slot,) for slot in slots)
