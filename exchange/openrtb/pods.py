"""How does OpenRTB tell a pod? Its slots to bidders as impressions of a structured pod, and to the asker as it asked.

OpenRTB 2.6 §7.6. A dynamic pod of the request is auctioned as its slots; a bidder sees each as an impression with a
place in the pod, and the bids of all of them answer the one impression of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchange.answer import Answer
from exchange.request import Placement

# Of the pod as a whole, which its slots are not.
_OF_THE_POD = ("poddur", "maxseq")


def imp_of_slot(imp: Mapping[str, Any], slot: Placement) -> dict[str, Any]:
    """The impression by which a bidder is asked for one slot of the dynamic pod of `imp`; no ad may be longer than the
    pod.
    """
    terms = slot.video
    assert terms is not None, "a slot has terms for its video"
    video = {name: held for name, held in imp["video"].items() if name not in _OF_THE_POD}
    video |= {"podid": terms.pod_id, "slotinpod": terms.slot_in_pod}
    if not video.get("rqddurs"):
        video["maxduration"] = min(terms.most_duration_s or terms.pod_duration_s, terms.pod_duration_s)
    return {**imp, "id": slot.placement_id, "video": video}


def pods_in_words(answer: Answer) -> list[dict[str, Any]]:
    """The pods of an answer, for `ext.haat.pods` of the response: of each its name, its bids in the order in which they
    play, their seconds together, and one VAST document of them all.
    """
    bid_of = {entry.placement_id: entry.ad.impression_id for entry in answer.placements if entry.ad is not None}
    return [
        {
            "podid": pod.pod_id,
            "bids": [bid_of[placement_id] for placement_id in pod.placement_ids],
            "dur": pod.duration_s,
            "adm": pod.markup,
        }
        for pod in answer.pods
        if pod.placement_ids
    ]
