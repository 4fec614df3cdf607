"""What is asked? A page view with its placements, as the exchange's own values."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from exchange.page_rules import PageRules


class Format(IntEnum):
    """What kind of ad a placement can show; numbers of haat.exchange.v1.Format."""

    BANNER = 1
    PRODUCT_LISTING = 2
    VIDEO = 3
    NATIVE = 4


class PriceRule(IntEnum):
    """How the price is found; OpenRTB 2.6 §3.2.1 `at`, which leaves 500 and above to the exchange."""

    FIRST_PRICE = 1
    SECOND_PRICE = 2
    # The price a deal was agreed at (§3.2.12); for deals alone.
    AGREED_PRICE = 3
    # Generalised second price, by worth to the shop: each placement pays what it takes to keep its rank.
    QUALITY_WEIGHTED_GSP = 501
    # Vickrey-Clarke-Groves over the page: each winner pays what its presence costs the others.
    VCG = 502


class PricingModel(IntEnum):
    """What a bid is for: a thousand impressions, a click, a conversion, a thousand viewable impressions."""

    CPM = 1
    CPC = 2
    CPA = 3
    VCPM = 4


class LengthFloors(msgspec.Struct, frozen=True, gc=False):
    """Floors that go by how long a video is, per thousand impressions in the page view's currency; OpenRTB 2.6 §3.2.35.

    `ranges` are `(least_s, most_s, floor_micros)`: within a range its floor takes the place of the usual one, and where
    ranges overlap the highest does. `per_second_micros` is for each second, beside the usual floor.
    """

    ranges: tuple[tuple[int, int, int], ...] = ()
    per_second_micros: int = 0

    def floor_of(self, seconds: int, usual_micros: int) -> int:
        """The floor for a video of so many seconds; for one whose length nobody knows (0) the highest that there is."""
        if not self.ranges:
            return max(usual_micros, self.per_second_micros * seconds)
        within = [floor for least_s, most_s, floor in self.ranges if not seconds or least_s <= seconds <= most_s]
        if not seconds:
            within.append(usual_micros)
        return max(within, default=usual_micros)


class Deal(msgspec.Struct, frozen=True, gc=False):
    """Terms under which a placement may be sold to some buyers; OpenRTB 2.6 §3.2.12.

    `floor_micros` is per thousand impressions in the auction's currency and replaces the placement's floor; with
    AGREED_PRICE it is the price. Empty `seats` and `advertiser_domains` keep nobody out. `guaranteed` deals come before
    all others. `by_length` is of videos and replaces the placement's.
    """

    deal_id: str
    floor_micros: int = 0
    price_rule: int = 0  # 0: as the auction
    seats: tuple[str, ...] = ()
    advertiser_domains: tuple[str, ...] = ()
    guaranteed: bool = False
    by_length: LengthFloors | None = None


class FlexSize(msgspec.Struct, frozen=True, gc=False):
    """Any size of this ratio that is at least so wide; OpenRTB 2.6 §3.2.10."""

    width_ratio: int
    height_ratio: int
    least_width: int


class VideoTerms(msgspec.Struct, frozen=True, gc=False):
    """What a video placement takes; OpenRTB 2.6 §3.2.7. Durations in seconds, 0 is no limit.

    With `required_durations_s` one of them must be met exactly. A pod (§7.6) has `pod_id`; `pod_duration_s` and
    `pod_ads` make it dynamic: that many ads at most within that time; `slot_in_pod` is 1 first, -1 last, 2 either.
    `pod_sequence` is which break of the content it is: 1 the first, -1 the last, 0 any. A dynamic pod is auctioned as
    its slots (exchange.creatives.pods), of which each has one ad at most and the time of the whole pod. `floor_ranges`
    are as in LengthFloors.
    """

    mimes: tuple[str, ...] = ()
    least_duration_s: int = 0
    most_duration_s: int = 0
    required_durations_s: tuple[int, ...] = ()
    protocols: tuple[int, ...] = ()
    skippable: int = -1  # -1 unknown, 0 must not be, 1 may be
    pod_id: str = ""
    pod_duration_s: int = 0
    pod_ads: int = 0
    slot_in_pod: int = 0
    least_cpm_per_second_micros: int = 0
    pod_sequence: int = 0
    floor_ranges: tuple[tuple[int, int, int], ...] = ()

    @property
    def by_length(self) -> LengthFloors | None:
        """Its floors by length, None without any."""
        if not self.floor_ranges and not self.least_cpm_per_second_micros:
            return None
        return LengthFloors(self.floor_ranges, self.least_cpm_per_second_micros)


class NativeTerms(msgspec.Struct, frozen=True, gc=False):
    """What a native placement shows; OpenRTB Native 1.2 §4. `wire` is the request as it came.

    `assets` are `(id, kind, type, required, limit, width, height)`: kind is "title", "img", "video" or "data", type as
    in the standard's lists, limit the title's or the data's length, width and height the least size of an image.
    """

    assets: tuple[tuple[int, str, int, bool, int, int, int], ...] = ()
    wire: bytes = b""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """One place on the page.

    `shapes` are `(format, width, height)` with 0 × 0 for a product listing and a native ad; `floor_micros` is per
    thousand impressions in the auction's currency; `position` counts from 1, 0 is unknown. `blocked_attributes` are
    of AdCOM's list of creative attributes. `for_sale_s` is how long a won impression may be waited for (`exp`), 0: as
    the exchange has it.
    """

    placement_id: str
    shapes: tuple[tuple[int, int, int], ...]
    floor_micros: int = 0
    blocked_categories: tuple[str, ...] = ()
    blocked_advertisers: tuple[str, ...] = ()
    position: int = 0
    blocked_attributes: tuple[int, ...] = ()
    blocked_apps: tuple[str, ...] = ()
    secure: bool = False
    flex_sizes: tuple[FlexSize, ...] = ()
    video: VideoTerms | None = None
    native: NativeTerms | None = None
    deals: tuple[Deal, ...] = ()
    private_auction: bool = False
    for_sale_s: int = 0
    # OpenRTB 2.6 §3.2.6 `btype`: kinds of banner that are not wanted; `apis` are the frameworks that can be used.
    blocked_types: tuple[int, ...] = ()
    apis: tuple[int, ...] = ()
    # The exchange asks for more than the page view did (exchange.floors): then no video goes for less.
    floor_raised: bool = False


class PageView(msgspec.Struct, frozen=True, gc=False):
    """One page view, read and checked.

    `affinities` are `(product_id, weight)`; `permissions` are bits of common.consent.Permission. `publisher_id` is the
    tenant that sells. A `test` is decided and never billed. Allowed lists are empty when all are allowed. `openrtb` is
    the OpenRTB 2.6 request in JSON that this was read from, for bidders that speak it; empty for page views of our own.
    `buyer_ids` are `(outside bidder, its own id of the visitor)`, only of bidders that may have it; in no record.
    `withheld_from` are outside bidders that consent does not cover, where others may know the visitor.
    """

    request_id: str
    session_id: str
    visitor_id: str
    segments: tuple[str, ...]
    affinities: tuple[tuple[str, float], ...]
    permissions: int
    url: str
    categories: tuple[str, ...]
    keywords: tuple[str, ...]
    product_id: str
    device_type: int
    country: str
    language: str
    placements: tuple[Placement, ...]
    price_rule: int
    tmax_ms: int
    viewed_at_ms: int
    # The request as it goes into the event log: without the visitor where consent does not cover remembering.
    wire: bytes = b""
    publisher_id: str = ""
    test: bool = False
    allowed_seats: tuple[str, ...] = ()
    blocked_seats: tuple[str, ...] = ()
    allowed_languages: tuple[str, ...] = ()
    allowed_categories: tuple[str, ...] = ()
    openrtb: bytes = b""
    buyer_ids: tuple[tuple[str, str], ...] = ()
    withheld_from: tuple[str, ...] = ()
    # ISO 4217: of the floors, the deals and the prices in the answer; empty is the exchange's own.
    currency: str = ""
    # Currencies that outside bids may be in (`cur` of OpenRTB 2.6 §3.2.1); none: the exchange's own alone.
    currencies: tuple[str, ...] = ()
    # The publisher's rules over the page; None: the exchange's.
    page_rules: PageRules | None = None

    def buyer_id(self, bidder: str) -> str:
        """The id by which this bidder knows the visitor, empty without one that it may have."""
        return next((uid for name, uid in self.buyer_ids if name == bidder), "")
