"""Is a dynamic pod of a request sold as its slots, never longer than its time, and told, recorded and replayed so?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from exchange.bidding import OutsideBid
from exchange.ports import LineItemRecord
from exchange.refusals import Refusal
from exchange.replay import differences, why_not
from exchange.request import PageView
from protos import exchange_pb2 as pb
from tests.builders import a_creative, a_line_item, an_outside_bid
from tests.openrtb_desk import Desk

VIDEO: dict[str, Any] = {"mimes": ["video/mp4"], "w": 640, "h": 360}


def a_film(number: int, duration_s: int, **changes: Any) -> LineItemRecord:
    creative = a_creative(
        number, format=3, width=640, height=360, video_url=f"https://shop.example/{number}.mp4",
        duration_s=duration_s, protocol=13,
    )  # fmt: skip
    return a_line_item(number, bid_micros=number * 1_000_000, creatives=(creative,), **changes)


def a_break(imp_id: str = "1", **video: Any) -> dict[str, Any]:
    return {"id": imp_id, "tagid": f"break-{imp_id}", "video": {**VIDEO, **video}}


def request(*imps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"id": "r", "imp": list(imps), "site": {"page": "https://shop.example/"}, "at": 1, **changes}


def bids_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    bids = [bid for seat in answer["seatbid"] for bid in seat["bid"]]
    return sorted(bids, key=lambda bid: int(bid["id"].partition(".")[2]))


LENGTHS = {1: 30, 2: 30, 3: 20, 4: 10, 5: 15}


async def test_a_dynamic_pod_gets_the_best_bids_that_its_time_holds() -> None:
    desk = Desk([a_film(number, length) for number, length in LENGTHS.items()])

    answer = (await desk.post(request(a_break(podid="pod-1", maxseq=3, poddur=45)))).json()

    bids = bids_of(answer)
    assert {bid["impid"] for bid in bids} == {"1"}
    assert len({bid["id"] for bid in bids}) == 3
    assert sorted(bid["cid"] for bid in bids) == ["item-3", "item-4", "item-5"]
    assert sum(bid["dur"] for bid in bids) == 45
    assert [bid["slotinpod"] for bid in bids] == [1, 0, -1]
    assert "seatnonbid" not in answer["ext"]
    (pod,) = answer["ext"]["haat"]["pods"]
    assert (pod["podid"], pod["dur"], pod["bids"]) == ("pod-1", 45, [bid["id"] for bid in bids])
    assert [ad.attrib["id"] for ad in fromstring(pod["adm"].encode())] == pod["bids"]


async def test_what_was_sold_is_recorded_slot_by_slot_and_comes_to_the_same_again() -> None:
    desk = Desk([a_film(number, length) for number, length in LENGTHS.items()])

    await desk.post(request(a_break(podid="pod-1", podseq=-1, maxseq=3, poddur=45, mincpmpersec=0.05)))

    (columns,) = desk.market.published
    logged = pb.PageView.FromString(columns.page_view[0])
    assert [placement.placement_id for placement in logged.placements] == [f"break-1/{slot}" for slot in (1, 2, 3)]
    assert columns.placement_count.tolist() == [3]
    terms = logged.placements[0].video
    assert (terms.pod_id, terms.pod_duration_s, terms.slot_in_pod, terms.pod_sequence) == ("pod-1", 45, 1, -1)
    assert int(Refusal.CREATIVE_FILTERED) in columns.bid_outcome
    assert why_not(columns) == ""
    assert differences(columns) == []
    assert len(columns.refused_before) > 0


async def test_without_a_number_of_ads_there_is_a_slot_for_every_shortest_one() -> None:
    desk = Desk()

    for terms in ({"minduration": 10}, {"rqddurs": [20, 10]}, {}, {"maxduration": 30}):
        await desk.post(request(a_break(poddur=60, **terms)))

    assert [len(view.placements) for view in desk.views] == [6, 6, 4, 4]


async def test_an_exact_duration_is_met_by_each_ad() -> None:
    desk = Desk([a_film(1, 15), a_film(2, 20), a_film(3, 30)])

    answer = (await desk.post(request(a_break(poddur=60, maxseq=4, rqddurs=[15, 30])))).json()

    assert sorted(bid["dur"] for bid in bids_of(answer)) == [15, 30]


async def test_a_price_for_each_second_is_kept_by_each_ad_in_whatever_currency_it_is() -> None:
    # 0.09 USD a second are 0.081 EUR in this desk's rates: 2.43 EUR for the first, 2.43 for the second.
    desk = Desk([a_film(2, 30), a_film(3, 30)])

    answer = (await desk.post(request(a_break(poddur=60, maxseq=2, mincpmpersec=0.09)))).json()

    assert [bid["cid"] for bid in bids_of(answer)] == ["item-3"]


async def test_slots_named_by_the_request_stay_as_they_are_beside_a_dynamic_part() -> None:
    desk = Desk([a_film(number, 10) for number in range(1, 6)])
    first = a_break("1", podid="pod", slotinpod=1, maxduration=15)
    rest = a_break("2", podid="pod", poddur=30, maxseq=2)

    answer = (await desk.post(request(first, rest))).json()

    assert [(bid["impid"], bid["slotinpod"]) for bid in bids_of(answer)] == [("1", 1), ("2", 0), ("2", 0)]
    (pod,) = answer["ext"]["haat"]["pods"]
    assert (pod["dur"], pod["bids"][0]) == (30, bids_of(answer)[0]["id"])


async def test_breaks_stand_in_the_order_of_the_content() -> None:
    desk = Desk([a_film(number, 10) for number in range(1, 7)])
    breaks = [a_break(name, podid=name, podseq=at, poddur=20, maxseq=2) for name, at in (("c", -1), ("b", 0), ("a", 1))]

    answer = (await desk.post(request(*breaks))).json()

    assert [pod["podid"] for pod in answer["ext"]["haat"]["pods"]] == ["a", "b", "c"]


async def test_an_empty_pod_is_one_impression_without_a_bid() -> None:
    desk = Desk([a_film(1, 90)])

    answer = (await desk.post(request(a_break(poddur=30, maxseq=2)), query="nobid=200")).json()

    assert answer["seatbid"] == []
    assert [one["impid"] for seat in answer["ext"]["seatnonbid"] for one in seat["nonbid"]] == ["1"]
    assert "haat" not in answer["ext"]


async def test_what_may_show_a_banner_instead_is_one_placement() -> None:
    desk = Desk([a_film(1, 10), a_film(2, 10)])
    imp = {**a_break(poddur=30, maxseq=2, podid="p"), "banner": {"w": 300, "h": 250}}

    answer = (await desk.post(request(imp))).json()

    assert [placement.placement_id for placement in desk.views[0].placements] == ["break-1"]
    assert len(bids_of(answer)) == 1


async def test_a_single_ad_is_held_to_the_time_of_its_pod_too() -> None:
    desk = Desk([a_film(2, 40), a_film(1, 30)])

    answer = (await desk.post(request(a_break(poddur=30, maxseq=1)))).json()

    assert [bid["cid"] for bid in bids_of(answer)] == ["item-1"]


async def test_slots_of_a_page_view_are_bounded_and_names_stand_once() -> None:
    desk = Desk()
    many = [a_break(str(number), poddur=600, maxseq=200) for number in range(8)]
    long = {**a_break(poddur=60, maxseq=3), "tagid": "x" * 64}
    twin = {**a_break("2"), "tagid": "break-1/2"}

    for imps in (many, [long], [a_break("1", poddur=60, maxseq=3), twin]):
        await desk.post(request(*imps))

    names = [[placement.placement_id for placement in view.placements] for view in desk.views]
    assert [len(view) for view in names] == [3 * 16 + 5, 3, 2]
    assert all(len(set(view)) == len(view) and max(map(len, view)) <= 64 for view in names)


class Outsider:
    """Bids 15 s at 9.00 for every slot it is asked about; says so in its VAST document alone."""

    name = "outsider"
    timeout_ms = 5_000

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        self.asked += [json.loads(view.openrtb) for view in views]
        document = (
            '<VAST version="4.2"><Ad id="1"><InLine><AdSystem>x</AdSystem><AdTitle>x</AdTitle>'
            "<Impression><![CDATA[https://outside.example/i]]></Impression><Creatives><Creative><Linear>"
            '<Duration>00:00:15</Duration><MediaFiles><MediaFile delivery="progressive" type="video/mp4" width="640"'
            ' height="360"><![CDATA[https://outside.example/v.mp4]]></MediaFile></MediaFiles></Linear></Creative>'
            "</Creatives></InLine></Ad></VAST>"
        )
        return [
            an_outside_bid(
                auction_id, placement_id=placement.placement_id, format=3, width=640, height=360, markup=document,
                bid_id=placement.placement_id,
            )
            for auction_id, view in zip(auction_ids, views, strict=True)
            for placement in view.placements
        ]  # fmt: skip


@pytest.mark.parametrize("terms", [{"maxduration": 90}, {"rqddurs": [15, 30]}])
async def test_an_outside_bidder_sees_slots_of_a_structured_pod_and_bids_for_one(terms: dict[str, Any]) -> None:
    outsider = Outsider()
    desk = Desk([a_film(1, 15), a_film(2, 15)], outside=[outsider])

    answer = (await desk.post(request(a_break(podid="pod-1", poddur=45, maxseq=3, **terms)))).json()

    (asked,) = outsider.asked
    assert [imp["id"] for imp in asked["imp"]] == ["break-1/1", "break-1/2", "break-1/3"]
    videos = [imp["video"] for imp in asked["imp"]]
    assert [video["slotinpod"] for video in videos] == [1, 0, -1]
    assert {video["podid"] for video in videos} == {"pod-1"}
    assert not any({"poddur", "maxseq"} & video.keys() for video in videos)
    assert all(video.get("maxduration", 45) == 45 for video in videos)
    # A brand is in a break once, however often it bids.
    bids = bids_of(answer)
    assert sorted(bid["adomain"][0] for bid in bids) == ["brand-1.example", "brand-2.example", "outside.example"]
    assert answer["ext"]["haat"]["pods"][0]["dur"] == 45
