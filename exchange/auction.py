"""How is a page view answered? The nine steps, in order; each is a module of this package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from common.clock import Clock
from common.errors import BackendUnavailable
from common.ids import new_ids, text_of
from exchange import consent_gate, solicitation, visitor
from exchange.answer import Answer
from exchange.asked import Asked
from exchange.bid_groups import clear_in_groups
from exchange.bid_rows import BidRows, bid_rows, inside_rows
from exchange.bidder_urls import BidderUrls, bidder_urls
from exchange.bidding import Bidder, OutsideAnswer
from exchange.callout import Callout
from exchange.clearing import clear
from exchange.clearing_terms import ClearingTerms, clearing_terms
from exchange.click_chances import click_chances
from exchange.compose import compose, sold
from exchange.creatives.composer import Composer
from exchange.creatives.fitting import refuse_unfit
from exchange.currencies import Currencies, RateTable
from exchange.early_close import least_to_matter
from exchange.eligibility import CODES, eligible
from exchange.floors import Floors
from exchange.inventory import Snapshot
from exchange.min_to_win import min_to_win
from exchange.pacing_draw import NOBODY, Paces
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.page_rules import USUAL, PageRules
from exchange.pause import paused_answers
from exchange.ports import Ranker
from exchange.record import Counted, Held, columns_of, count
from exchange.refusals import Refusal
from exchange.request import PageView
from exchange.screening import Screening, tell
from exchange.session_answers import SessionAnswers
from exchange.session_impressions import SessionMemory
from exchange.static_worth import CONVERSION_PRIOR
from exchange.viewable_rates import ViewableRates
from exchange.won_batch import WonBatch
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
        outside: Sequence[Callout],
        ranker: Ranker,
        money: Money,
        answers: SessionAnswers,
        composer: Composer,
        publish: Callable[[AuctionColumns], None],
        hold: Callable[[WonBatch], None],
        observer: Observer,
        currency: str,
        engagement_value_micros: int,
        currencies: Currencies | None = None,
        page_rules: PageRules = USUAL,
        squashing: float = 1.0,
        sessions: SessionMemory | None = None,
        paused: Callable[[], bool] = lambda: False,
        paces: Callable[[Sequence[int]], Paces] = lambda _: NOBODY,
        floors: Floors | None = None,
        viewable: ViewableRates | None = None,
        node: int = 0,
        find: Callable[[Sequence[PageView], Sequence[visitor.Visitor]], Awaitable[Snapshot]] | None = None,
        widened: Callable[[Sequence[visitor.Visitor]], Awaitable[list[visitor.Visitor]]] | None = None,
    ) -> None:
        self._node = node
        self._find = find
        self._widened = widened
        self._viewable = viewable or ViewableRates()
        self._paused = paused
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
        self._sessions = sessions
        self._composer = composer
        self._publish = publish
        self._hold = hold
        self._observer = observer
        self._currency = currency
        self._engagement_value_micros = engagement_value_micros
        self._currencies = currencies or Currencies(own=currency, clock=clock)
        self._page_rules = page_rules
        self._squashing = squashing
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
        if self._paused():
            return self._stand_still(allowed, started_ns, now_ms)
        recalled = self._answers.recall(allowed, snapshot, now_ms)  # 2
        # Whoever asks what is being decided just now, in this batch or in one before, waits for that decision.
        joined = [self._answers.join(asked) if kept is None and asked else None for kept, asked in recalled]
        own = [kept is None and other is None for (kept, _), other in zip(recalled, joined, strict=True)]
        views = [view for view, mine in zip(allowed, own, strict=True) if mine]
        asked = [question for (_, question), mine in zip(recalled, own, strict=True) if mine]
        if len(views) < len(allowed):
            self._observer.answers_recalled(len(allowed) - len(views))
        try:
            decided = iter(await self._decide_apart(views, asked, snapshot, started_ns, now_ms) if views else ())
        except BaseException as error:
            self._answers.give_up(asked, _as_told_to_others(error))
            raise
        return [
            kept
            if kept is not None
            else next(decided)
            if other is None
            else replace(await other, request_id=view.request_id, kept=True)
            for view, (kept, _), other in zip(allowed, recalled, joined, strict=True)
        ]

    async def _decide_apart(
        self,
        views: Sequence[PageView],
        questions: Sequence[Asked | None],
        snapshot: Snapshot,
        started_ns: int,
        now_ms: int,
    ) -> list[Answer]:
        """Tests by themselves, after the others: they must not take a budget away from a page view that pays."""
        tests = [row for row, view in enumerate(views) if view.test]
        if not tests or len(tests) == len(views):
            return await self._decide(views, questions, snapshot, started_ns, now_ms)
        answers: dict[int, Answer] = {}
        for rows in ([row for row, view in enumerate(views) if not view.test], tests):
            some = await self._decide(
                [views[row] for row in rows], [questions[row] for row in rows], snapshot, started_ns, now_ms
            )
            answers.update(zip(rows, some, strict=True))
        return [answers[row] for row in range(len(views))]

    def _stand_still(self, views: Sequence[PageView], started_ns: int, now_ms: int) -> list[Answer]:
        """While the exchange is paused nobody is asked and nothing is remembered; the record says why."""
        numbers = new_ids(len(views), now_ms, self._node)
        answers, columns = paused_answers(views, numbers, held_at_ms=now_ms, currency=self._currency)
        self._publish(columns)
        placements = sum(len(view.placements) for view in views)
        took_ns = self._clock.monotonic_ns() - started_ns
        self._observer.batch_held(took_ns, len(views), placements, 0, np.zeros(len(CODES), np.int64))
        return answers

    async def _decide(
        self,
        views: Sequence[PageView],
        questions: Sequence[Asked | None],
        snapshot: Snapshot,
        started_ns: int,
        now_ms: int,
    ) -> list[Answer]:
        rates = self._currencies.table
        numbers = new_ids(len(views), now_ms, self._node)
        auction_ids = [text_of(number) for number in numbers]
        views, floors = self._floors.apply(views, numbers, rates, self._currency)
        asked = solicitation.ask_outside(self._outside, len(self._roster), auction_ids, views)  # 5, outside
        await asked.begun()
        visitors = visitor.look_up(views, self._profiles, self._sessions)  # 3
        if self._widened is not None and any(one.affinities for one in visitors):
            visitors = await self._widened(visitors)
            snapshot = self._inventory()
        if self._find is not None:
            # The inventory is larger than this process: it holds what was found for page views like these.
            snapshot = await self._find(views, visitors)
        # Looked up only where somebody pays for what is in view.
        viewable = self._viewable.by_placement(views) if snapshot.by_view else None
        pages = page_arrays(snapshot, self._hours_in(snapshot.zones), views, visitors, numbers)
        paces = self._paces(numbers)
        found = eligible(snapshot.book, pages, self._money.available, snapshot.scratch, now_ms, paces)  # 4
        starts = pages.placement_start
        page_of_placement = np.arange(len(views), dtype=np.int32).repeat(starts[1:] - starts[:-1])
        inside = inside_rows(snapshot, found, page_of_placement)
        offered = solicitation.ask_inside(self._roster, snapshot, inside)  # 5
        # Ranked while the outside bidders think.
        chances = click_chances(self._ranker, snapshot, inside, pages, views, visitors)
        factors = self._currencies.factors(snapshot.currencies, rates)
        screening = Screening(auction_ids, views, starts, self._currency, rates)
        to_auction = partial(self._to_auction, rates)

        def table(replies: Sequence[OutsideAnswer]) -> tuple[BidRows, list[tuple[int, int]]]:
            outside, loose = screening.of(replies)  # 6
            rows = bid_rows(
                snapshot, inside, offered, chances, outside, page_of_placement, len(views), factors, viewable
            )
            # 6, what only a moment or a break of videos can tell
            refuse_unfit(rows, views, snapshot, self._composer, to_auction)
            return rows, loose

        replies = await asked.answers(
            lambda so_far: least_to_matter(
                views, starts, lambda: table(so_far)[0], self._money.available,
                conversion_rate=CONVERSION_PRIOR, page_rules=self._page_rules,
            )
        )  # fmt: skip
        tell(replies, self._saw_answer)
        rows, loose = table(replies)
        terms = clearing_terms(views, starts, page_rules=self._page_rules, to_auction=to_auction)
        winners, refused_before = clear_in_groups(  # 7
            rows, page_of_placement, partial(self._clear, rows, terms), partial(self._give_back, rows)
        )
        if views[0].test:
            # Nothing else has run since they won, so nobody missed what they had.
            self._give_back(rows, winners)
        urls: Mapping[int, BidderUrls] = {}
        least = partial(self._min_to_win, rows, terms, winners)
        if rows.outside:
            urls = bidder_urls(rows, views, auction_ids, starts, least)
        held = Held(
            now_ms, snapshot, numbers, views, starts, page_of_placement, found, rows, winners, loose,
            terms, rates, self._currency, urls, floors, refused_before, self._money.available,
        )  # fmt: skip
        counted = count(held)
        self._record(held, counted)
        self._hold(sold(held, auction_ids, self._bidders))
        answers = compose(held, auction_ids, self._bidders, counted.no_ad_reason, self._composer, least)  # 8, 9
        self._answers.keep(questions, answers, snapshot, now_ms)
        filled = int(np.count_nonzero(winners >= 0))
        took_ns = self._clock.monotonic_ns() - started_ns
        self._observer.batch_held(took_ns, len(views), len(winners), filled, counted.outcomes)
        return answers

    def _clear(self, rows: BidRows, terms: ClearingTerms) -> NDArray[np.int32]:
        return clear(
            rows.bids, rows.page_start, terms, self._money.available,
            engagement_value_micros=self._engagement_value_micros, conversion_rate=CONVERSION_PRIOR,
            squashing=self._squashing,
        )  # fmt: skip

    def _record(self, held: Held, counted: Counted) -> None:
        """What is not in the log was not sold: when it cannot be written, every reservation goes back."""
        try:
            self._publish(
                columns_of(
                    held,
                    counted,
                    model_version=self._ranker.version,
                    bidders=self._bidders,
                    engagement_value_micros=self._engagement_value_micros,
                    squashing=self._squashing,
                    conversion_rate=CONVERSION_PRIOR,
                )
            )
        except BackendUnavailable:
            self._give_back(held.rows, held.winners)
            raise

    def _min_to_win(
        self, rows: BidRows, terms: ClearingTerms, winners: NDArray[np.int32], asked: Sequence[int]
    ) -> list[int]:
        return min_to_win(
            rows.bids, terms, winners, asked, engagement_value_micros=self._engagement_value_micros,
            conversion_rate=CONVERSION_PRIOR,
        )  # fmt: skip

    def _give_back(self, rows: BidRows, winners: NDArray[np.int32]) -> None:
        """What winners reserved is available again, and they have reserved nothing."""
        bids, available = rows.bids, self._money.available
        won = winners[winners >= 0]
        inside = won[bids.account[won] >= 0]
        np.add.at(available, bids.account[inside], bids.reserved_micros[inside])
        np.add.at(available, bids.campaign_account[inside], bids.reserved_micros[inside])
        bids.reserved_micros[inside] = 0

    def _to_auction(self, rates: RateTable, view: PageView, micros: int) -> int:
        return rates.up(micros, view.currency, self._currency)

    def _hours_in(self, zones: tuple[str, ...]) -> HoursOfWeek:
        if zones != self._zones:
            self._zones, self._hours = zones, HoursOfWeek(zones)
        return self._hours

    def _saw_answer(self, bidder: int, page_views: int, bids: int, trouble: Refusal) -> None:
        self._observer.bidder_answered(self._bidders[bidder], page_views, bids, trouble)


def _as_told_to_others(error: BaseException) -> BaseException:
    """A batch that is broken off breaks off nobody else's."""
    if isinstance(error, Exception):
        return error
    return BackendUnavailable("the decision that this page view waited for was broken off: ask again")
