"""Is everything compiled? One auction is held over a made-up line item, and nobody is told of it."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from app.haat import Haat
from backends.answers_memory import MemoryAnswers
from bidders.roster import ROSTER
from exchange.auction import Auction
from exchange.creatives.composer import Composer
from exchange.creatives.templates import PlainUrls
from exchange.early_close import bar_of
from exchange.inventory import InventoryCompiler
from exchange.packed_bids import dense
from exchange.ports import CreativeRecord, LineItemRecord
from exchange.refusals import Refusal
from exchange.request import PageView, Placement, PriceRule, PricingModel
from exchange.session_answers import SessionAnswers
from ranking.kernel_cache import KERNELS, is_compiled

_CREATIVE = CreativeRecord("warm-up", 1, 2, 0, 0, "", "", "", "", 0, "warm-up", "", 2)
_ITEM = LineItemRecord(
    "warm-up", 1, "warm-up", 1, "warm-up", "warm-up.example", 1, int(PricingModel.CPC), 1_000_000, "EUR",
    {"seen_product": ("warm-up",)}, 1, 60, 0, 0, (), "UTC", (_CREATIVE,), 1,
)  # fmt: skip


class _Purse:
    available = np.full(16, 1 << 40, np.int64)


class _Nobody:
    def batch_held(
        self, duration_ns: int, page_views: int, placements: int, filled: int, outcomes: NDArray[np.int64]
    ) -> None:
        """Not told."""

    def answers_recalled(self, page_views: int) -> None:
        """Not told."""

    def bidder_answered(self, name: str, page_views: int, bids: int, trouble: Refusal) -> None:
        """Not told."""


def kernels_are_compiled() -> bool:
    """Does the disk hold the auction's kernels, compiled from the sources as they are?

    Without them the first start takes some twenty seconds longer.
    """
    mine = [kernel for kernel in KERNELS if kernel.py_func.__module__.startswith("exchange.")]
    return bool(mine) and all(is_compiled(kernel) for kernel in mine)


def _compile_what_is_rare() -> None:
    """What reports, replays and the answers of outside bidders need, which no made-up auction meets."""
    nothing: NDArray[np.int64] = np.zeros(1, np.int64)
    dense(nothing)
    bar_of(np.zeros(1, np.int32), np.ones(1), nothing, nothing, np.array([0, 1], np.int32))


async def warm_up(haat: Haat) -> None:
    """Compile the kernels, or load them from their cache, with arrays like those of real page views."""
    _compile_what_is_rare()
    rows: dict[int, int] = {}
    compiler = InventoryCompiler(ranker=haat.ranker, account_row=lambda account: rows.setdefault(account, len(rows)))
    compiler.put([_ITEM, replace(_ITEM, line_item_id="warm-up-2", number=2, advertiser_domain="other.example")])
    tiny = compiler.compile(0, 0)
    composer = Composer(urls=PlainUrls(""), product=lambda _: None)
    auction = Auction(
        clock=haat.clock,
        inventory=lambda: tiny,
        profiles=haat.profile_store,
        roster=ROSTER,
        outside=(),
        ranker=haat.ranker,
        money=_Purse(),
        answers=SessionAnswers(MemoryAnswers(), refreshed=composer.refreshed, ttl_ms=0),
        composer=composer,
        publish=lambda _: None,
        hold=lambda _: None,
        observer=_Nobody(),
        currency=haat.settings.currency,
        engagement_value_micros=1,
    )
    view = PageView(
        request_id="", session_id="", visitor_id="", segments=(), affinities=(("warm-up", 1.0),), permissions=3,
        url="", categories=(), keywords=(), product_id="", device_type=1, country="", language="",
        placements=(Placement("a", ((2, 0, 0),)), Placement("b", ((2, 0, 0),))), price_rule=2, tmax_ms=50,
        viewed_at_ms=haat.clock.now_ms(),
    )  # fmt: skip
    by_slate = replace(view, price_rule=int(PriceRule.VCG))
    await auction.hold_auctions([view, view, by_slate])
