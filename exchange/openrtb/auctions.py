"""How is a bid request answered? One core for HTTP and gRPC, JSON and protobuf: the steps, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from common.clock import Clock
from exchange.answer import Answer
from exchange.openrtb.allowed_currencies import answer_currency
from exchange.openrtb.floors import OneCurrency, Rates
from exchange.openrtb.non_bids import NoBid
from exchange.openrtb.placements import NotOffered
from exchange.openrtb.problems import Problems
from exchange.openrtb.seller_check import SellerCheck
from exchange.openrtb.signals import Consent, FromConnection, without_decoders
from exchange.openrtb.to_page_view import Terms, to_page_view
from exchange.openrtb.to_response import Dialect, Links, dialect_of, no_bid, no_links, to_response
from exchange.openrtb.upgrade import upgrade
from exchange.openrtb.validation import validate
from exchange.request import PageView

HoldAuction = Callable[[PageView], Awaitable[Answer]]


class Answered(msgspec.Struct, frozen=True):
    """The response, whether it has bids, and the caller's dialect."""

    response: dict[str, Any]
    bids: bool
    dialect: Dialect


class OpenRtbAuctions:
    """Answers bid requests by auctions of page views."""

    def __init__(
        self,
        *,
        hold_auction: HoldAuction,
        clock: Clock,
        terms: Terms,
        rates: Rates | None = None,
        consent: Consent = without_decoders,
        links: Links = no_links,
        sellers: SellerCheck | None = None,
    ) -> None:
        self._hold_auction = hold_auction
        self._clock = clock
        self._terms = terms
        self._rates = rates if rates is not None else OneCurrency()
        self._consent = consent
        self._links = links
        self._sellers = sellers

    def read(self, request: dict[str, Any]) -> Problems:
        """Make `request` one of 2.6, in place, and check it; InvalidRequest with all that is wrong, else warnings."""
        problems = Problems()
        upgrade(request, problems)
        validate(request, problems)
        problems.raise_if_any()
        return problems

    async def answer(
        self, request: dict[str, Any], problems: Problems, tenant_id: str, connection: FromConnection
    ) -> Answered:
        """The response to a request that `read` has taken, sold in the name of `tenant_id`."""
        started_ns = self._clock.monotonic_ns()
        dialect = dialect_of(request)
        if self._sellers is not None and (nbr := self._sellers.refusal(request, tenant_id, problems)):
            response = no_bid(request, NoBid(nbr), dialect, self._took_ms(started_ns), problems.warnings)
            return Answered(response, False, dialect)
        currency = answer_currency(request, self._terms.currency, self._rates)
        if not currency:
            response = no_bid(request, NoBid.NO_CURRENCY, dialect, self._took_ms(started_ns), problems.warnings)
            return Answered(response, False, dialect)
        asked = to_page_view(
            request,
            tenant_id=tenant_id,
            connection=connection,
            terms=self._terms,
            rates=self._rates,
            consent=self._consent,
            now_ms=self._clock.now_ms(),
        )
        if asked.view is None:
            unpriced = NotOffered.UNSUPPORTED_CURRENCY in asked.placements_of
            reason = NoBid.NO_CURRENCY if unpriced else NoBid.NO_FORMAT
            response = no_bid(request, reason, dialect, self._took_ms(started_ns), problems.warnings)
            return Answered(response, False, dialect)
        answer = await self._hold_auction(asked.view)
        response = to_response(
            request,
            asked,
            answer,
            ours=self._terms.currency,
            currency=currency,
            rates=self._rates,
            links=self._links,
            dialect=dialect,
            took_ms=self._took_ms(started_ns),
            warnings=problems.warnings,
        )
        return Answered(response, bool(response.get("seatbid")), dialect)

    def _took_ms(self, started_ns: int) -> int:
        return (self._clock.monotonic_ns() - started_ns) // 1_000_000
