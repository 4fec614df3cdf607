"""How do several videos share one break? Slots with a share of the time each, and one document of all their ads.

OpenRTB 2.6 §7.6. A dynamic pod is one placement for up to so many ads within so much time; it is sold as that many
slots. Which slot may be how long is decided before clearing by what the bids of the break would bring, so that whoever
wins, the break is never longer than its time. A structured pod names its slots itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from exchange.answer import PlacementAnswer, Pod
from exchange.creatives.video import ad_in, document, in_pod
from exchange.request import Format, Placement, VideoTerms

# More ads than this in one break nobody watches.
MAX_SLOTS = 16
# Placements of one page view together with all slots of its pods.
SLOTS_LIMIT = 64
_USUAL_LENGTH_S = 15
# So that a slot's name is no longer than a placement's may be.
_STEM_LIMIT = 61
# Bids of a pod that are looked at to share out its time; the best of each advertiser.
_LOOKED_AT = 14


class PodBid(msgspec.Struct, frozen=True):
    """A bid for any slot of a pod: whose it is, how long it runs, what it is worth per thousand impressions."""

    advertiser: int
    duration_s: int
    worth_micros: int


def slots_of(placement: Placement) -> tuple[Placement, ...]:
    """A dynamic pod as one placement for each of its ads, named `<placement_id>/1` and so on; others as they are.

    The slots are of one pod, named after the placement where it has no name. Without a number of ads there is a slot
    for every shortest ad that it takes, or for every quarter of a minute. What may show something else than a video
    instead, and what is sold for one slot of the pod, is one placement; so is a slot.
    """
    terms = placement.video
    if terms is None or terms.pod_duration_s <= 0 or terms.slot_in_pod or not _is_video_alone(placement):
        return (placement,)
    slots = min(terms.pod_ads or _usual_ads(terms), MAX_SLOTS)
    if slots <= 1:
        return (placement,)
    shared = replace(terms, pod_id=terms.pod_id or placement.placement_id, pod_ads=1)
    stem = placement.placement_id
    if len(stem) > _STEM_LIMIT:
        stem = blake2b(stem.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return tuple(
        replace(
            placement,
            placement_id=f"{stem}/{number}",
            video=replace(shared, slot_in_pod=1 if number == 1 else -1 if number == slots else 0),
        )
        for number in range(1, slots + 1)
    )


def slots_of_all(placements: Sequence[Placement]) -> tuple[tuple[Placement, ...], ...]:
    """The slots of each placement of a page view, as `slots_of`; no name stands twice.

    In a pod that has placements beside the dynamic one nobody knows which slot is the first or the last. Beyond
    SLOTS_LIMIT in all a pod is sold as one placement.
    """
    if not any(placement.video is not None and placement.video.pod_duration_s for placement in placements):
        return tuple((placement,) for placement in placements)
    pods = Counter(placement.video.pod_id for placement in placements if placement.video is not None)
    taken = {placement.placement_id for placement in placements}
    room = SLOTS_LIMIT - len(placements)
    found = []
    for placement in placements:
        slots = slots_of(placement)
        if len(slots) - 1 > room or (len(slots) > 1 and any(slot.placement_id in taken for slot in slots)):
            slots = (placement,)
        elif (
            len(slots) > 1
            and placement.video is not None
            and placement.video.pod_id
            and pods[placement.video.pod_id] > 1
        ):
            slots = tuple(replace(slot, video=replace(_terms(slot), slot_in_pod=0)) for slot in slots)
        room -= len(slots) - 1
        taken.update(slot.placement_id for slot in slots)
        found.append(slots)
    return tuple(found)


def _is_video_alone(placement: Placement) -> bool:
    return (
        not placement.flex_sizes
        and placement.native is None
        and all(shape[0] == Format.VIDEO for shape in placement.shapes)
    )


def _usual_ads(terms: VideoTerms) -> int:
    shortest_s = min(terms.required_durations_s, default=terms.least_duration_s) or _USUAL_LENGTH_S
    return terms.pod_duration_s // shortest_s


def time_shares(bids: Iterable[PodBid], seconds: int, slots: int) -> list[int]:
    """How long the ad of each slot may be, in seconds; never more than `seconds` together.

    The shares are the lengths of those bids, one an advertiser, that bring most together within time and slots; what
    is left over goes to the first slot that would stay empty, or else to the last.
    """
    best: dict[int, PodBid] = {}
    for bid in bids:
        known = best.get(bid.advertiser)
        if 0 < bid.duration_s <= seconds and (known is None or _better(bid, known)):
            best[bid.advertiser] = bid
    looked_at = sorted(best.values(), key=lambda bid: (-bid.worth_micros, bid.duration_s, bid.advertiser))[:_LOOKED_AT]
    # (ads, seconds) -> the most that so many ads of so many seconds bring, and which ones: a knapsack that stays small.
    reached: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {(0, 0): (0, ())}
    for bid in looked_at:
        for (ads, taken), (worth, lengths) in list(reached.items()):
            at = (ads + 1, taken + bid.duration_s)
            if at[0] <= slots and at[1] <= seconds:
                more = (worth + bid.worth_micros, (*lengths, bid.duration_s))
                if at not in reached or more[0] > reached[at][0]:
                    reached[at] = more
    (_, taken), (_, chosen) = max(reached.items(), key=lambda entry: (entry[1][0], -entry[0][1]))
    shares = [*chosen, *([0] * (slots - len(chosen)))]
    shares[min(len(chosen), slots - 1)] += seconds - taken
    return shares


def pods_of(placements: Sequence[Placement], answers: Sequence[PlacementAnswer]) -> tuple[Pod, ...]:
    """The pods of a page view with their documents: the first break first and the last one last, of each its sold slots
    in their order, each ad with its number.
    """
    by_pod: dict[str, list[int]] = {}
    for at, placement in enumerate(placements):
        if placement.video is not None and placement.video.pod_id:
            by_pod.setdefault(placement.video.pod_id, []).append(at)
    in_order = sorted(by_pod.items(), key=lambda pod: _ORDER.get(_terms(placements[pod[1][0]]).pod_sequence, 1))
    return tuple(_pod(pod_id, rows, placements, answers) for pod_id, rows in in_order)


def _pod(pod_id: str, rows: list[int], placements: Sequence[Placement], answers: Sequence[PlacementAnswer]) -> Pod:
    # First the slot that is sold as the first, last the one that is sold as the last; between them as they were asked.
    ordered = sorted(rows, key=lambda at: _ORDER.get(_terms(placements[at]).slot_in_pod, 1))
    sold = [(at, ad) for at in ordered if (ad := answers[at].ad) is not None and ad.facts.format == Format.VIDEO]
    ads = [in_pod(ad_in(ad.markup), number) for number, (_, ad) in enumerate(sold, start=1)]
    return Pod(
        pod_id=pod_id,
        placement_ids=tuple(placements[at].placement_id for at, _ in sold),
        duration_s=sum(ad.facts.duration_s for _, ad in sold),
        markup=document(ads),
    )


# First and last, as slots and pods say it; all others stand between.
_ORDER: Mapping[int, int] = {1: 0, -1: 2}


def _terms(placement: Placement) -> VideoTerms:
    assert placement.video is not None
    return placement.video


def _better(bid: PodBid, known: PodBid) -> bool:
    return (bid.worth_micros, -bid.duration_s) > (known.worth_micros, -known.duration_s)
