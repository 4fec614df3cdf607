"""How does a browser say what became of an ad? Over HTTP: a pixel for what was seen, a redirect for a click.

What can be decided is decided at once, then the notice goes the way of all notices, so it is on disk before the answer
leaves. Nothing is set in the browser, and nothing of it is kept: not its address, not its agent.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.billing import Kind, Notice, NoticeOutcome, Verdict
from exchange.event_urls import KIND_OF, UNKEPT
from exchange.holds import Hold, Holds
from exchange.invalid_traffic import Agents, Limits, TrafficEvent, Validity, verdict
from exchange.landing_pages import as_header, with_click_id
from exchange.networks import Address, Networks, caller_address
from exchange.tokens import Token, TokenKind, TokenRefusal, Tokens, tenant_bytes
from exchange.traffic_memory import TrafficMemory
from exchange.viewability import SCRIPT

TakeNotices = Callable[[Sequence[Notice]], Awaitable[list[NoticeOutcome]]]

# The smallest GIF: one transparent pixel.
PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
# Beyond so many notices that wait for the disk, new ones are turned away at once.
MOST_WAITING: Final = 5_000
_HEADERS: Final = {
    "cache-control": "no-store, max-age=0",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "timing-allow-origin": "*",
}
_STATUS_OF: Final = {TokenRefusal.EXPIRED: 410}

_log = logging.getLogger(__name__)


class EventEndpoints:
    """The addresses that hear of ads.

    `tenant_of(line_item_number)` is whose line item it is, "" when it is not known; `sold_elsewhere` and `clicked` are
    of NoticeRouter where there are other nodes; `heard` counts what came by its name, for metrics: accepted, duplicate,
    bad_token, invalid_bot_agent …
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        holds: Holds,
        take: TakeNotices,
        clock: Clock,
        tenant_of: Callable[[int], Awaitable[str]],
        agents: Agents,
        data_centres: Networks,
        proxies: Networks,
        limits: Limits,
        click_id_parameter: str = "",
        sold_elsewhere: Callable[[str], bool] = lambda _: False,
        clicked: Callable[[str], tuple[int, int]] | None = None,
    ) -> None:
        self._sold_elsewhere = sold_elsewhere
        self._clicked = clicked or self._clicked_here
        self._tokens = tokens
        self._holds = holds
        self._take = take
        self._clock = clock
        self._tenant_of = tenant_of
        self._agents = agents
        self._data_centres = data_centres
        self._proxies = proxies
        self._limits = limits
        self._click_id_parameter = click_id_parameter
        self._memory = TrafficMemory()
        self._waiting = 0
        self.heard: Counter[str] = Counter()

    def routes(self) -> list[BaseRoute]:
        """To be added to the HTTP pages. A pixel may be posted too, as browsers do when a page is left."""
        return [
            Route("/e/{token}", self._event, methods=["GET", "POST"]),
            Route("/e/{token}/{name}", self._event, methods=["GET", "POST"]),
            Route("/c/{token}", self._click, methods=["GET"]),
            Route("/viewable.js", _script, methods=["GET"]),
        ]

    async def _event(self, request: Request) -> Response:
        name = request.path_params.get("name", "impression")
        kind = KIND_OF.get(name)
        if kind is None and name not in UNKEPT:
            return self._refused("no_such_event", 404)
        token = self._tokens.read(request.path_params["token"], self._clock.now_ms() // 1000, TokenKind.EVENT)
        if isinstance(token, TokenRefusal):
            return self._refused(f"token_{token.name.lower()}", _STATUS_OF.get(token, 400))
        if kind is None:
            self.heard[f"event_{name}"] += 1
        elif await self._say(kind, token.impression_id, request) is None:
            return Response(status_code=503, headers={**_HEADERS, "retry-after": "1"})
        return Response(PIXEL, media_type="image/gif", headers=_HEADERS)

    async def _click(self, request: Request) -> Response:
        """Count and lead on. Whoever clicked gets to the page, also when the click no longer counts."""
        landing_url = request.query_params.get("to", "")
        along = landing_url.encode("utf-8", "replace")
        now_s = self._clock.now_ms() // 1000
        token = self._tokens.read(request.path_params["token"], now_s, TokenKind.CLICK, along=along)
        # An expired token was signed by us all the same, with the page that it leads to.
        if isinstance(token, TokenRefusal) and token is not TokenRefusal.EXPIRED:
            return self._refused(f"token_{token.name.lower()}", 400)
        page = as_header(landing_url)
        if not page:
            return self._refused("no_landing_page", 404)
        click_id = ""
        if isinstance(token, Token):
            outcome = await self._say(Kind.CLICK, token.impression_id, request)
            if outcome is not None and outcome.verdict in _CLICKED:
                click_id = await self._click_id(token.impression_id)
        else:
            self.heard["token_expired"] += 1
        location = with_click_id(page, click_id, self._click_id_parameter)
        return Response(
            status_code=302, headers={**_HEADERS, "location": location, "referrer-policy": "no-referrer-when-downgrade"}
        )

    async def _say(self, kind: Kind, impression_id: str, request: Request) -> NoticeOutcome | None:
        """What the notice came to; None when it could not be taken: too many wait, or the log cannot be written."""
        if self._waiting >= MOST_WAITING:
            self.heard["turned_away"] += 1
            return None
        hold = self._holds.find(impression_id)
        elsewhere = hold is None and self._sold_elsewhere(impression_id)
        validity = self._validity(kind, hold, request, impression_id, elsewhere)
        self._waiting += 1
        try:
            (outcome,) = await self._take([Notice(kind, impression_id, validity=validity, from_browser=elsewhere)])
        except BackendUnavailable as error:
            self.heard["unavailable"] += 1
            _log.warning("a notice from a browser could not be taken: %s", error)
            return None
        finally:
            self._waiting -= 1
        invalid = outcome.verdict == Verdict.INVALID
        self.heard[f"invalid_{validity.name.lower()}" if invalid else outcome.verdict.name.lower()] += 1
        return outcome

    def _validity(
        self, kind: Kind, hold: Hold | None, request: Request, impression_id: str, elsewhere: bool
    ) -> Validity:
        now_ms = self._clock.now_ms()
        headers, address = request.headers, self._caller(request)
        agent = headers.get("user-agent", "")
        event = TrafficEvent(
            kind=kind,
            at_ms=now_ms,
            agent=agent,
            in_data_centre=address in self._data_centres,
            prefetch="prefetch" in (headers.get("sec-purpose") or headers.get("purpose") or ""),
        )
        around = self._memory.around(kind, hold, address, agent, now_ms)
        if elsewhere:
            around = replace(around, sold_elsewhere=True)
        found = verdict(event, around, self._agents, self._limits)
        if found == Validity.VALID and kind == Kind.IMPRESSION:
            # Now and not when it is on disk, so that a click right after it finds it.
            self._memory.shown(impression_id, address, now_ms)
        if kind == Kind.CLICK and found in (Validity.VALID, Validity.CLICKS_TOO_OFTEN):
            self._memory.clicked(address, now_ms)
        return found

    def _caller(self, request: Request) -> Address | None:
        peer = request.client.host if request.client else ""
        return caller_address(peer, request.headers.get("x-forwarded-for", ""), self._proxies)

    async def _click_id(self, impression_id: str) -> str:
        """The token by which the advertiser says that the click led to an order; none for an outside bidder's ad."""
        line_item_number, clicked_at_ms = self._clicked(impression_id)
        tenant_id = await self._tenant_of(line_item_number) if line_item_number else ""
        if not tenant_id:
            return ""
        expires_at_s = (clicked_at_ms + self._holds.terms.clicked_ms) // 1000 + 1
        return self._tokens.sign(TokenKind.CONVERSION, impression_id, expires_at_s, tenant=tenant_bytes(tenant_id))

    def _clicked_here(self, impression_id: str) -> tuple[int, int]:
        hold = self._holds.find(impression_id)
        return (hold.line_item_number, hold.clicked_at_ms) if hold is not None else (0, 0)

    def _refused(self, why: str, status_code: int) -> Response:
        self.heard[why] += 1
        return Response(why.replace("_", " ").encode(), status_code, headers=_HEADERS, media_type="text/plain")


_CLICKED: Final = frozenset({Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.BEYOND_BUDGET})


async def _script(_request: Request) -> Response:
    headers = {**_HEADERS, "cache-control": "public, max-age=3600"}
    return Response(SCRIPT, media_type="text/javascript", headers=headers)
