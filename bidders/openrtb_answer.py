"""What did an outside bidder bid in OpenRTB 2.6? Its answer, read tolerantly: nothing in it can raise.

A bid that is no object is left out. Whatever else is wrong with a bid comes out as a value that screening refuses with
a number: a price that is none is 0, one that is absurd stays absurd, a text that is too long is cut one character past
its limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from common.money import ABSURD_PRICE_MICROS, MICROS
from exchange.bidding import OutsideBid
from exchange.creatives.formats import FORMATS
from exchange.openrtb.floors import DEFAULT_CURRENCY
from exchange.request import Format, PageView, Placement
from exchange.screening import MARKUP_LIMIT_BYTES

# Bids of one answer beyond this are not looked at.
BIDS_LIMIT: Final = 256
_NAME_LIMIT: Final = 64
_DOMAIN_LIMIT: Final = 253
_URL_LIMIT: Final = 2_048
_LISTS_LIMIT: Final = 32
_SIDE_LIMIT: Final = 100_000
_SKIPPABLE: Final = 16  # AdCOM 1.0, List: Creative Attributes: has a skip button
_NUMBER_LIMIT: Final = 2**31 - 1
_SIZELESS: Final = (int(Format.NATIVE), int(Format.PRODUCT_LISTING))


class BadAnswer(Exception):  # caught where the bidder is asked, and told as its failure
    """The body is no bid response."""


def bids_of(body: bytes, auction_id: str, view: PageView) -> list[OutsideBid]:
    """The bids of an answer to the request for this page view; BadAnswer when it is no JSON object."""
    if not body.strip():
        return []
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadAnswer("its answer is no JSON") from None
    if type(answer) is not dict:
        raise BadAnswer("its answer is no JSON object")
    seats = answer.get("seatbid")
    if type(seats) is not list:
        return []
    currency = _text(answer.get("cur") or DEFAULT_CURRENCY, 3)
    ours = _text(answer.get("id"), len(auction_id)) in ("", auction_id)
    placements = {placement.placement_id: placement for placement in view.placements}
    bids: list[OutsideBid] = []
    for number, seat in enumerate(seats[:BIDS_LIMIT], start=1):
        if type(seat) is not dict or type(seat.get("bid")) is not list:
            continue
        name = _text(seat.get("seat"), _NAME_LIMIT)
        # All of it counts, what is no bid as well: a group that cannot be read as a whole is not won as one.
        group = (number, len(seat["bid"])) if seat.get("group") in (1, True) and len(seat["bid"]) > 1 else (0, 0)
        for bid in seat["bid"][: BIDS_LIMIT - len(bids)]:
            if type(bid) is dict:
                # An answer to another question answers for no placement of this one.
                place_id = _text(bid.get("impid"), _NAME_LIMIT) if ours else ""
                bids.append(_bid(bid, auction_id, place_id, placements.get(place_id), name, currency, group))
    return bids


def _bid(
    bid: dict[str, Any],
    auction_id: str,
    placement_id: str,
    placement: Placement | None,
    seat: str,
    currency: str,
    group: tuple[int, int],
) -> OutsideBid:
    mtype = _whole(bid.get("mtype"))
    markup = _markup(bid.get("adm"))
    format_, width, height = _shape(bid, placement, mtype, markup)
    domains = tuple([domain.lower() for domain in _texts(bid.get("adomain"), _DOMAIN_LIMIT)])
    categories = _texts(bid.get("cat"), _NAME_LIMIT)
    attributes = _numbers(bid.get("attr"))
    return OutsideBid(
        auction_id=auction_id,
        placement_id=placement_id,
        bid_id=_text(bid.get("id"), _NAME_LIMIT),
        bid_micros=_price_micros(bid.get("price")),
        currency=currency,
        advertiser_domain=domains[0] if domains else "",
        creative_id=_text(bid.get("crid"), _NAME_LIMIT) or _text(bid.get("adid"), _NAME_LIMIT),
        format=format_,
        width=width,
        height=height,
        markup=markup,
        category=categories[0] if categories else "",
        deal_id=_text(bid.get("dealid"), _NAME_LIMIT),
        seat=seat,
        categories=categories,
        attributes=attributes,
        language=(_text(bid.get("language"), _NAME_LIMIT) or _text(bid.get("langb"), _NAME_LIMIT))
        .partition("-")[0]
        .lower(),
        app_bundle=_text(bid.get("bundle"), _DOMAIN_LIMIT),
        duration_s=_whole(bid.get("dur")),
        protocol=_whole(bid.get("protocol")),
        skippable=_SKIPPABLE in attributes,
        mtype=mtype,
        win_url=_text(bid.get("nurl"), _URL_LIMIT),
        billing_url=_text(bid.get("burl"), _URL_LIMIT),
        loss_url=_text(bid.get("lurl"), _URL_LIMIT),
        apis=tuple(dict.fromkeys((*_numbers(bid.get("apis")), *_numbers([bid.get("api")])))),
        group=group[0],
        group_bids=group[1],
        advertiser_domains=domains if len(domains) > 1 else (),
    )


def _shape(bid: dict[str, Any], placement: Placement | None, mtype: int, markup: str) -> tuple[int, int, int]:
    """(format, width, height), with what the bid leaves out taken from the placement where that leaves no choice."""
    width, height = min(_whole(bid.get("w")), _SIDE_LIMIT), min(_whole(bid.get("h")), _SIDE_LIMIT)
    if placement is None:
        return 0, width, height
    offered = list(dict.fromkeys(shape[0] for shape in placement.shapes))
    if placement.flex_sizes and Format.BANNER not in offered:
        offered.append(int(Format.BANNER))
    if mtype:
        offered = [one for one in offered if one in FORMATS and FORMATS[one].mtype == mtype]
    format_ = _format_of(offered, markup)
    if format_ in _SIZELESS:
        return format_, 0, 0
    sizes = {shape[1:] for shape in placement.shapes if shape[0] == format_}
    if len(sizes) == 1 and (not (width or height) or sizes == {(0, 0)}):
        ((width, height),) = sizes
    return format_, width, height


def _format_of(offered: Sequence[int], markup: str) -> int:
    """The format among those offered; where there is a choice, what the markup looks like. 0 is none of them."""
    if len(offered) <= 1:
        return offered[0] if offered else 0
    start = markup.lstrip()[:64]
    looks_like = [Format.BANNER, Format.VIDEO]
    if start.startswith("{"):
        looks_like = [Format.NATIVE, Format.PRODUCT_LISTING]
    elif "<VAST" in start or start.startswith("<?xml"):
        looks_like = [Format.VIDEO]
    return next((int(one) for one in looks_like if one in offered), 0)


def _price_micros(price: object) -> int:
    """Micros, rounded down: no bid is taken for more than it says."""
    if not isinstance(price, (int, float)) or isinstance(price, bool) or not price > 0:
        return 0
    if price > ABSURD_PRICE_MICROS / MICROS:
        return ABSURD_PRICE_MICROS + 1
    # The nearest thousandth of a micro first: 0.29 is 289,999.99… in binary.
    return math.floor(round(price * MICROS, 3))


def _markup(markup: object) -> str:
    if type(markup) is str:
        return markup[: MARKUP_LIMIT_BYTES + 1]
    # Native answers are also seen as the object itself.
    return msgspec.json.encode(markup).decode()[: MARKUP_LIMIT_BYTES + 1] if type(markup) is dict else ""


def _text(value: object, limit: int) -> str:
    return value[: limit + 1] if type(value) is str else ""


def _texts(values: object, limit: int) -> tuple[str, ...]:
    if type(values) is not list:
        return ()
    return tuple([value[: limit + 1] for value in values[: _LISTS_LIMIT + 1] if type(value) is str])


def _whole(value: object) -> int:
    """A whole number of 0 to 2³¹ - 1; 0 for everything else."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _NUMBER_LIMIT else 0


def _numbers(values: object) -> tuple[int, ...]:
    if type(values) is not list:
        return ()
    return tuple([value for value in values[: _LISTS_LIMIT + 1] if type(value) is int and 0 <= value <= _NUMBER_LIMIT])
