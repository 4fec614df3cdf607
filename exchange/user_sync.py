"""How do browsers become known to outside bidders? `/cookie_sync`, `/setuid` and `/getuids` in Prebid Server's form.

Without consent nothing is set and nobody is to be synced with: no cookie, an empty list, and the same answer otherwise.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from common.clock import Clock
from common.consent import Permission
from common.consent_policy import Verdict
from common.consent_signals import ConsentSignals
from exchange.http_bodies import body_within
from exchange.user_ids import COOKIE, UID_LIMIT, UserIds, read_cookie, set_cookie

BODY_LIMIT_BYTES: Final = 64 * 1024
MOST_SYNCS: Final = 8
_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NEEDED = Permission.REMEMBER | Permission.SHARE
_SECTION: Final = re.compile(r"-?[0-9]{1,4}")
# No section has this number, so nobody can read what it says.
_UNREADABLE: Final = 10_000


class SyncPoint(msgspec.Struct, frozen=True):
    """Where a bidder wants browsers sent; `url` has Prebid Server's macros, `vendor_id` is its vendor number."""

    bidder: str
    url: str
    in_frame: bool = False
    vendor_id: int = 0


class Policy(Protocol):
    """Who decides what consent covers."""

    def verdict(self, signals: ConsentSignals) -> Verdict:
        """What may be used of the visitor."""

    def may_share_with(self, signals: ConsentSignals, vendor_id: int) -> bool:
        """May the visitor's ids go to this vendor?"""


class KindFilter(msgspec.Struct):
    """Which bidders a page lets in by one kind of address, or keeps out: "*" is all of them."""

    bidders: Literal["*"] | list[str] = "*"
    filter: Literal["include", "exclude"] = "include"

    def lets(self, bidder: str) -> bool:
        """May it be synced with in this way?"""
        named = self.bidders == "*" or bidder in self.bidders
        return named == (self.filter == "include")


class FilterSettings(msgspec.Struct):
    """What a page takes of each kind of address; a kind that it does not speak of is taken of everybody."""

    iframe: KindFilter = msgspec.field(default_factory=KindFilter)
    image: KindFilter = msgspec.field(default_factory=KindFilter)


class CookieSyncBody(msgspec.Struct):
    """What a page asks; all of it may be missing. With `coopSync` bidders that it does not name fill what is left of
    `limit`.
    """

    bidders: list[str] | None = None
    limit: int = 0
    gdpr: int | None = None
    gdpr_consent: str = ""
    us_privacy: str = ""
    gpp: str = ""
    gpp_sid: str = ""
    filterSettings: FilterSettings | None = None  # noqa: N815  # Prebid's spelling
    coopSync: bool = False  # noqa: N815


class UserSync:
    """The three pages. `public_url` is where browsers reach this exchange, without a slash at the end."""

    def __init__(
        self, *, points: Sequence[SyncPoint], policy: Callable[[], Policy], clock: Clock, public_url: str
    ) -> None:
        self._points = {point.bidder: point for point in points}
        self._policy = policy
        self._clock = clock
        self._public_url = public_url

    def routes(self) -> list[BaseRoute]:
        """To be added to the HTTP pages."""
        return [
            Route("/cookie_sync", self.cookie_sync, methods=["POST", "OPTIONS"]),
            Route("/setuid", self.setuid),
            Route("/getuids", self.getuids),
        ]

    async def cookie_sync(self, request: Request) -> Response:
        """Whom should this browser be introduced to?"""
        origin = _origin_headers(request)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=origin | _PREFLIGHT)
        raw = await body_within(request, BODY_LIMIT_BYTES)
        if raw is None:
            return _json({"error": f"the body has more than {BODY_LIMIT_BYTES} bytes: name fewer bidders"}, 413, origin)
        try:
            asked = msgspec.json.decode(raw or b"{}", type=CookieSyncBody)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _json({"error": f"the body is no cookie_sync request: {str(error)[:200]}"}, 400, origin)
        signals = _signals(request, asked.gdpr, asked.gdpr_consent, asked.gpp, asked.gpp_sid, asked.us_privacy)
        ids = read_cookie(request.cookies.get(COOKIE, ""))
        statuses = []
        if not ids.opted_out and self._permits(signals):
            limit = asked.limit if 0 < asked.limit < MOST_SYNCS else MOST_SYNCS
            named = asked.bidders if asked.bidders is not None else list(self._points)
            more = list(self._points) if asked.coopSync else []
            taken = asked.filterSettings or FilterSettings()
            statuses = self._introductions(list(dict.fromkeys((*named[:256], *more))), ids, signals, taken)[:limit]
        known = bool(ids.living(self._clock.now_ms()))
        return _json({"status": "ok" if known else "no_cookie", "bidder_status": statuses}, 200, origin)

    async def setuid(self, request: Request) -> Response:
        """A bidder tells its id of this browser; an empty one takes it back."""
        query = request.query_params
        bidder, uid = query.get("bidder", ""), query.get("uid", "")
        if bidder not in self._points:
            return _json(
                {"error": f'"bidder" is {bidder[:40]!r}: give one of {", ".join(self._points) or "(none)"}'}, 400
            )
        if len(uid) > UID_LIMIT or not uid.isprintable():
            return _json({"error": f'"uid" has {len(uid)} characters: give at most {UID_LIMIT} printable ones'}, 400)
        gdpr = query.get("gdpr", "")
        signals = _signals(
            request, int(gdpr) if gdpr in ("0", "1") else None, query.get("gdpr_consent", ""), query.get("gpp", ""),
            query.get("gpp_sid", ""), query.get("us_privacy", ""),
        )  # fmt: skip
        headers = {"cache-control": "no-store", "cross-origin-resource-policy": "cross-origin"}
        ids = read_cookie(request.cookies.get(COOKIE, ""))
        point = self._points[bidder]
        allowed = self._permits(signals) and self._policy().may_share_with(signals, point.vendor_id)
        # Taking an id back needs no consent, and sets nothing in a browser that has none.
        if not ids.opted_out and (allowed if uid else bidder in ids.ids):
            headers["set-cookie"] = set_cookie(ids.with_id(bidder, uid, self._clock.now_ms()))
        if query.get("f") == "i" or (not query.get("f") and not point.in_frame):
            return Response(_PIXEL, media_type="image/gif", headers=headers)
        return Response("<!doctype html><title>ok</title>", media_type="text/html", headers=headers)

    async def getuids(self, request: Request) -> Response:
        """What this browser's cookie says, for the person who looks."""
        ids = read_cookie(request.cookies.get(COOKIE, ""))
        return _json({"buyeruids": ids.living(self._clock.now_ms())}, 200, {"cache-control": "no-store"})

    def _permits(self, signals: ConsentSignals) -> bool:
        return self._policy().verdict(signals).permissions & _NEEDED == _NEEDED

    def _introductions(
        self, named: list[str], ids: UserIds, signals: ConsentSignals, taken: FilterSettings
    ) -> list[dict[str, Any]]:
        statuses: list[dict[str, Any]] = []
        now_ms = self._clock.now_ms()
        for bidder in named:
            point = self._points.get(bidder)
            if point is None:
                statuses.append({"bidder": str(bidder)[:40], "error": "Unsupported bidder"})
            elif not (taken.iframe if point.in_frame else taken.image).lets(bidder):
                continue
            elif point.url and not ids.of(bidder, now_ms) and self._policy().may_share_with(signals, point.vendor_id):
                sync = {
                    "url": self._sync_url(point, signals),
                    "type": "iframe" if point.in_frame else "redirect",
                    "supportCORS": False,
                }
                statuses.append({"bidder": bidder, "no_cookie": True, "usersync": sync})
        return statuses

    def _sync_url(self, point: SyncPoint, signals: ConsentSignals) -> str:
        macros = {
            "GDPR": "" if signals.gdpr is None else str(int(signals.gdpr)),
            "GDPRConsent": signals.tc_string,
            "USPrivacy": signals.us_privacy,
            "GPP": signals.gpp,
            "GPPSID": ",".join(map(str, signals.gpp_sid)),
        }
        back = (
            f"{self._public_url}/setuid?bidder={quote(point.bidder)}&gdpr={macros['GDPR']}"
            f"&gdpr_consent={quote(macros['GDPRConsent'])}&us_privacy={quote(macros['USPrivacy'])}"
            f"&gpp={quote(macros['GPP'])}&gpp_sid={quote(macros['GPPSID'])}"
            f"&f={'b' if point.in_frame else 'i'}&uid="
        )
        url = point.url.replace("{{.RedirectURL}}", quote(back, safe="") + "%24UID")
        for name, value in macros.items():
            url = url.replace("{{." + name + "}}", quote(value, safe=""))
        return url


_PREFLIGHT: Final = {
    "access-control-allow-methods": "POST, OPTIONS",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "86400",
}


def _signals(
    request: Request, gdpr: int | None, tc_string: str, gpp: str, gpp_sid: str, us_privacy: str
) -> ConsentSignals:
    words = [word.strip() for word in gpp_sid.split(",")[:64]]
    sids = tuple(int(word) if _SECTION.fullmatch(word) else _UNREADABLE for word in words if word)
    return ConsentSignals(
        gdpr=None if gdpr is None else gdpr != 0,
        tc_string=tc_string,
        gpp=gpp,
        gpp_sid=sids,
        us_privacy=us_privacy,
        gpc=request.headers.get("sec-gpc") == "1",
        dnt=request.headers.get("dnt") == "1",
    )


def _origin_headers(request: Request) -> dict[str, str]:
    """Pages of any shop may ask, with their cookies: the exact origin, as browsers demand for those."""
    origin = request.headers.get("origin", "")
    if not origin or len(origin) > 300 or not origin.isprintable():
        return {}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "cross-origin-resource-policy": "cross-origin",
        "vary": "Origin",
    }


def _json(content: object, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(content), status_code, media_type="application/json", headers=dict(headers or {})
    )
