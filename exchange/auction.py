"""How is a page view answered? The nine steps, in order; each is a module of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.clock import Clock
from common.errors import BackendUnavailable
from common.ids import new_ids, text_of
from exchange import consent_gate, solicitation, visitor
from exchange.answer import Answer
from exchange.bid_rows import bid_rows, inside_rows
from exchange.bidding import Bidder, OutsideBidder
from exchange.clearing import clear
from exchange.click_chances import click_chances
from exchange.compose import compose, sold
from exchange.eligibility import eligible
from exchange.floors import Floors
from exchange.holds import WonBatch
from exchange.inventory import CONVERSION_PRIOR, Snapshot
from exchange.pacing_draw import NOBODY, Paces
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.ports import Ranker
from exchange.record import Counted, Held, columns_of, count
from exchange.refusals import Refusal
from exchange.request import PageView, PriceRule
from exchange.screening import screen_all
from exchange.session_answers import Asked, SessionAnswers
from streams.auction_block import AuctionColumns
from streams.ports import ProfileStore


class Money(Protocol):
    """The budget book as the auction sees it: `available[row]` is what an account may still reserve, in micros."""

    available: NDArray[np.int64]


class Observer(Protocol):
    """Who wants to know how a batch went."""

    def batch_held(
        self, duration_ns: int, page_views: int, placements: int, filled: int, outcomes: NDArray[np.int64]
    ) -> None:
        """A batch was decided; `outcomes` counts its bids by index into exchange.eligibility.CODES."""

    def answers_recalled(self, page_views: int) -> None:
        """So many page views got the answer that their session had before."""

    def bidder_answered(self, name: str, page_views: int, bids: int, trouble: Refusal) -> None:
        """An outside bidder was read at the deadline."""


class Auction:
    """Holds auctions, a batch at a time. All of it runs on one thread; only waiting for outside bidders gives way."""

    def __init__(
        self,
        *,
        clock: Clock,
        inventory: Callable[[], Snapshot],
        profiles: ProfileStore,
        roster: Sequence[Bidder],
        outside: Sequence[OutsideBidder],
        ranker: Ranker,
        money: Money,
        answers: SessionAnswers,
        publish: Callable[[AuctionColumns], None],
        hold: Callable[[WonBatch], None],
        observer: Observer,
        currency: str,
        engagement_value_micros: int,
        paces: Callable[[Sequence[int]], Paces] = lambda _: NOBODY,
        floors: Floors | None = None,
    ) -> None:
        self._paces = paces
        self._floors = floors or Floors()
        self._clock = clock
        self._inventory = inventory
        self._profiles = profiles
        self._roster = roster
        self._outside = outside
        self._ranker = ranker
        self._money = money
        self._answers = answers
        self._publish = publish
        self._hold = hold
        self._observer = observer
        self._currency = currency
        self._engagement_value_micros = engagement_value_micros
        self._bidders = [*(bidder.name for bidder in roster), *(bidder.name for bidder in outside)]
        self._zones: tuple[str, ...] = ()
        self._hours = HoursOfWeek(())

    async def hold_auctions(self, batch: Sequence[PageView]) -> list[Answer]:
        """Answer a batch of page views, in their order; the numbers are the chapters of ARCHITECTURE.md.

        BackendUnavailable when the auctions cannot be recorded: then nothing was sold and no money is held.
        """
        started_ns, now_ms = self._clock.monotonic_ns(), self._clock.now_ms()
        snapshot = self._inventory()
        allowed = [consent_gate.apply(view) for view in batch]  # 1
        recalled = [self._answers.recall(view, snapshot, now_ms) for view in allowed]  # 2
        views = [view for view, (kept, _) in zip(allowed, recalled, strict=True) if kept is None]
        asked = [question for kept, question in recalled if kept is None]
        if len(views) < len(allowed):
            self._observer.answers_recalled(len(allowed) - len(views))
        decided = iter(await self._decide(views, asked, snapshot, started_ns, now_ms) if views else ())
        return [kept if kept is not None else next(decided) for kept, _ in recalled]

    async def _decide(
        self,
        views: Sequence[PageView],
        questions: Sequence[Asked | None],
        snapshot: Snapshot,
        started_ns: int,
        now_ms: int,
    ) -> list[Answer]:
        numbers = new_ids(len(views), now_ms)
        auction_ids = [text_of(number) for number in numbers]
        views, floors = self._floors.apply(views, numbers)
        asked = solicitation.ask_outside(self._outside, len(self._roster), auction_ids, views)  # 5, outside
        visitors = visitor.look_up(views, self._profiles)  # 3
        pages = page_arrays(snapshot, self._hours_in(snapshot.zones), views, visitors)
        paces = self._paces(numbers)
        found = eligible(snapshot.book, pages, self._money.available, snapshot.scratch, now_ms, paces)  # 4
        page_of_placement = np.repeat(np.arange(len(views), dtype=np.int32), np.diff(pages.placement_start))
        inside = inside_rows(snapshot, found, page_of_placement)
        offered = solicitation.ask_inside(self._roster, snapshot, inside)  # 5
        outside, loose = screen_all(  # 6
            await asked.answers(), auction_ids, views, pages.placement_start, self._currency, self._saw_answer
        )
        chances = click_chances(self._ranker, snapshot, inside, pages, views, visitors)
        rows = bid_rows(snapshot, inside, offered, chances, outside, page_of_placement, len(views))
        winners = clear(  # 7
            rows.bids,
            rows.page_start,
            pages.placement_start,
            np.array([placement.floor_micros for view in views for placement in view.placements], np.int64),
            np.array([view.price_rule == PriceRule.FIRST_PRICE for view in views], np.uint8),
            self._money.available,
            engagement_value_micros=self._engagement_value_micros,
            conversion_rate=CONVERSION_PRIOR,
        )
        held = Held(
            now_ms, snapshot, numbers, views, pages.placement_start, page_of_placement, found, rows, winners, loose,
            floors,
        )  # fmt: skip
        counted = count(held)
        self._record(held, counted)
        self._hold(sold(held, auction_ids, self._bidders, self._currency))
        answers = compose(held, auction_ids, self._bidders, counted.no_ad_reason)  # 8, 9
        for question, answer in zip(questions, answers, strict=True):
            self._answers.keep(question, answer, snapshot, now_ms)
        filled = int(np.count_nonzero(winners >= 0))
        took_ns = self._clock.monotonic_ns() - started_ns
        self._observer.batch_held(took_ns, len(views), len(winners), filled, counted.outcomes)
        return answers

    def _record(self, held: Held, counted: Counted) -> None:
        """What is not in the log was not sold: when it cannot be written, every reservation goes back."""
        try:
            self._publish(
                columns_of(
                    held,
                    counted,
                    model_version=self._ranker.version,
                    currency=self._currency,
                    bidders=self._bidders,
                )
            )
        except BackendUnavailable:
            bids, available = held.rows.bids, self._money.available
            won = held.winners[held.winners >= 0]
            inside = won[bids.account[won] >= 0]
            np.add.at(available, bids.account[inside], bids.reserved_micros[inside])
            np.add.at(available, bids.campaign_account[inside], bids.reserved_micros[inside])
            raise

    def _hours_in(self, zones: tuple[str, ...]) -> HoursOfWeek:
        if zones != self._zones:
            self._zones, self._hours = zones, HoursOfWeek(zones)
        return self._hours

    def _saw_answer(self, bidder: int, page_views: int, bids: int, trouble: Refusal) -> None:
        self._observer.bidder_answered(self._bidders[bidder], page_views, bids, trouble)
