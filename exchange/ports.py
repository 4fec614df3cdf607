"""What does the exchange need from outside? Where line items come from, where money is kept, and who scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from exchange.asked import Asked
    from exchange.kept_answer import KeptAnswer
    from exchange.wanted import Wanted


class LineItemRecord(msgspec.Struct, frozen=True):
    """An active line item with all that the inventory snapshot needs of it, its campaign and its creatives.

    Numbers are dense positive integers that never change and are never reused; budgets are not here but in
    `BudgetLedger`. `starts_at_ms`/`ends_at_ms` are UTC (0: without end); `hours_of_week` counts from Monday 00:00 in
    `time_zone`. `targeting` maps a dimension (`country device category keyword segment seen_product near_product
    placement language`) to the values of which one must match. `caps` are `(scope, impressions, window_s)` with scope 1
    line item, 2 campaign, 3 advertiser, 4 creative, each by visitor, or by session where `scope` is negative.
    `deal_ids` are deals under which it may bid; with `deals_only` it bids under no other terms. `seat` is the buyer's
    seat that publishers allow or block, the advertiser's id where empty.
    """

    line_item_id: str
    number: int
    campaign_id: str
    campaign_number: int
    advertiser_id: str
    advertiser_domain: str
    strategy: int
    pricing_model: int
    bid_micros: int
    currency: str
    targeting: dict[str, tuple[str, ...]]
    cap_impressions: int
    cap_window_s: int
    starts_at_ms: int
    ends_at_ms: int
    hours_of_week: tuple[int, ...]
    time_zone: str
    creatives: tuple[CreativeRecord, ...]
    revision: int
    caps: tuple[tuple[int, int, int], ...] = ()
    deal_ids: tuple[str, ...] = ()
    deals_only: bool = False
    seat: str = ""
    advertiser_number: int = 0


class CreativeRecord(msgspec.Struct, frozen=True):
    """One creative; `review_state` as haat.campaigns.v1.ReviewState (1 pending, 2 approved, 3 refused).

    `attributes` are of AdCOM's list of creative attributes; `language` is ISO 639-1 or empty; `app_bundle` is the app
    that is advertised; `mime` and `protocol` are those of a video, `skippable` whether it may be skipped. `body`,
    `call_to_action` and `icon_url` are what a native ad shows beside its title and its image, whose size `width` and
    `height` then are. `media_files` are further files of the same video, for other players and lines.
    """

    creative_id: str
    number: int
    format: int
    width: int
    height: int
    title: str
    image_url: str
    landing_url: str
    video_url: str
    duration_s: int
    product_id: str
    category: str
    review_state: int
    attributes: tuple[int, ...] = ()
    language: str = ""
    app_bundle: str = ""
    mime: str = "video/mp4"
    protocol: int = 0
    skippable: bool = False
    body: str = ""
    call_to_action: str = ""
    icon_url: str = ""
    media_files: tuple[MediaFile, ...] = ()


class MediaFile(msgspec.Struct, frozen=True):
    """One file of a video; a bitrate of 0 is unknown."""

    url: str
    mime: str
    width: int
    height: int
    bitrate_kbps: int = 0


class LineItemSource(Protocol):
    """Where the inventory snapshot comes from."""

    def sequence(self) -> int:
        """The number of the newest change; grows by at least one with each."""

    def active(self) -> list[LineItemRecord]:
        """All line items that could run: they, their campaign and their advertiser are active."""

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        """(newest sequence, line items that changed and are active, ids of line items that are active no more)."""


class LineItemFinder(Protocol):
    """Finds line items by what page views want, where there are more than one process can hold."""

    async def find(self, wanted: Sequence[Wanted]) -> list[tuple[str, ...]]:
        """For each question the ids of line items that could run there, the dearest standing bids first, at most as
        many as the backend was told to find. All that a question rules out is left out; what only the moment decides
        (money, caps, stock, pace) is not looked at. BackendUnavailable.
        """

    async def numbered(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Ids of the line items with these numbers, as far as they could run. BackendUnavailable."""

    async def records(self, line_item_ids: Sequence[str]) -> list[LineItemRecord]:
        """These line items, as far as they could run. BackendUnavailable."""


class ProductNeighbours(Protocol):
    """Products by their vectors (streams.product_vectors), of the whole catalogue."""

    async def nearest(self, vectors: NDArray[np.float32], limit: int) -> list[list[tuple[str, int]]]:
        """For each of `vectors` [n, WIDTH] at most `limit` products with the largest inner product, and that product,
        which is exact. Its docstring says whether a backend may miss some. BackendUnavailable.
        """


class Budget(msgspec.Struct, frozen=True):
    """Limits of one account in micros; 0 is no limit. Days are those of `time_zone`."""

    account: int
    total_micros: int
    daily_micros: int
    currency: str
    time_zone: str


class Spend(msgspec.Struct, frozen=True):
    """What was billed to a line item, to be added to its own account and to its campaign's.

    `kind` and `verdict` are those of exchange.billing, `corrects_kind` is what a correction takes back. Without a line
    item the outside `bidder` pays. What has a currency is posted to the balances too; the publisher and the placement
    are empty when they are not known.
    """

    line_item_number: int
    campaign_number: int
    billed_micros: int
    taken_at_ms: int
    kind: int
    verdict: int = 1
    currency: str = ""
    bidder: str = ""
    publisher_id: str = ""
    placement_id: str = ""
    corrects_kind: int = 0


class BudgetLedger(Protocol):
    """The record of money: what each account may spend and what it has spent.

    An account is a line item (its number) or a campaign (its number + CAMPAIGN_ACCOUNTS). Promises: the sum of what is
    spent and what is leased never exceeds the limits, whoever leases; a lease of a dead holder comes back.
    """

    def lease(self, holder: str, wanted: Mapping[int, int], now_ms: int, *, share: int = 1) -> dict[int, int]:
        """Carve up to `wanted` micros out of each account for `holder`, at most one `share`-th of what remains; what
        was granted, 0 and more.
        """

    def leases_of(self, holder: str) -> tuple[dict[int, int], int]:
        """(what `holder` has leased of each account, when it last leased)."""

    def give_back(self, holder: str, unused: Mapping[int, int]) -> None:
        """Return leased micros that were not spent."""

    def give_back_all(self, holder: str) -> None:
        """Every lease of `holder` ends; what it did not settle is free again."""

    def settle(
        self,
        holder: str,
        spends: Sequence[Spend],
        upto_offset: int,
        *,
        from_offset: int | None = None,
        carried: Mapping[int | str, int] = MappingProxyType({}),
    ) -> None:
        """Add spends out of the holder's leases, and remember in the same transaction that the log of notices is
        counted up to `upto_offset`; spends below an offset that is already counted are ignored.

        Conflict unless it is counted up to `from_offset`, where one is given. `carried` replaces the remainders of
        those payers (line items by number, outside bidders by name) in the same step.
        """

    def counted_upto(self) -> int:
        """The offset of topic `notices` up to which spends are counted."""

    def carried(self) -> dict[int | str, int]:
        """The remainder of each payer in thousandths of a micro, as counted."""

    def time_zones(self, accounts: Iterable[int]) -> dict[int, str]:
        """The time zone in which each account counts its days."""


CAMPAIGN_ACCOUNTS = 1 << 31


class PageColumns(msgspec.Struct):
    """What the click model may know of each page view; all arrays have one entry (or row) per page view.

    `segments` holds the visitor's segments ("name=value", empty without consent) as tuples of text; `affinity_sums`
    adds up the visitor's affinities over all products, 0 without consent.
    """

    viewed_at_ms: NDArray[np.int64]
    segments: list[tuple[str, ...]]
    device_type: NDArray[np.int32]
    affinity_sums: NDArray[np.float32]


class Ranker(Protocol):
    """The chance of a click. Pure: touches nothing outside."""

    @property
    def version(self) -> str:
        """Which model this is, as it goes into the record of every auction."""

    def compile_products(self, product_ids: Sequence[str]) -> object:
        """What can be computed from the products alone; made with the snapshot, handed back to `score`."""

    def prior(self, product_ids: Sequence[str]) -> NDArray[np.float64]:
        """Smoothed click rates, shape (products, 4): by position 0 (unknown), 1, 2, 3 and beyond."""

    def score(
        self,
        compiled: object,
        product_rows: NDArray[np.int32],
        page_rows: NDArray[np.int32],
        positions: NDArray[np.int32],
        affinities: NDArray[np.float32],
        pages: PageColumns,
    ) -> NDArray[np.float64]:
        """Calibrated click probabilities, one per finalist.

        `product_rows` index what `compile_products` was given, `page_rows` index `pages`.
        """


class AnswerCache(Protocol):
    """What sessions were answered, by what they asked. It may forget at will, and never makes anybody wait.

    Promises: an answer is given back whole, to exactly the question it was kept by, and not after its time; the newest
    one of a question counts. Whether it still holds is not looked at here.
    """

    def recall(self, questions: Sequence[Asked], now_ms: int) -> list[KeptAnswer | None]:
        """What is kept of each question, in their order; None for what is unknown, forgotten or too old."""

    def keep(self, entries: Sequence[tuple[Asked, KeptAnswer]], now_ms: int) -> None:
        """Remember answers; whoever shares them may know them a moment later."""

    def flush(self) -> None:
        """Return when everything kept so far can be recalled by whoever shares it, or is forgotten."""

    def close(self) -> None:
        """Let go of it."""
