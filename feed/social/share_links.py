"""How is a post shared so that its author gets the credit, and what does a reader of the link learn?

A link is `/s/` and a code: the link's id and a mac (HMAC-SHA256, cut to 8 bytes) over everything that it stands for,
so that nobody makes links, and nobody changes where one leads or whom it credits without its being seen.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import IntEnum
from hashlib import blake2b, sha256
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from common.clock import Clock
from common.errors import BackendUnavailable, FieldError, InvalidInput, NotFound
from common.ids import new_id
from feed.ports import ProductLookup
from feed.post import Post
from feed.post_rules import is_id, is_web_address, shown
from feed.recording import Publish
from feed.social import calls
from feed.social.cards import SEEN, may_see
from feed.social.ports import PostReader, ShareStore
from feed.social.sights import Sights
from feed.social.signed_in import SignedIn
from feed.social.words import SharedLink
from streams import schemas
from streams.feed_events import ShareClicked
from streams.topics import SHARE_CLICKS

ID_CHARS = 12
MAC_CHARS = 11
CODE_CHARS = ID_CHARS + MAC_CHARS
_MAC_BYTES = 8
_DAY_MS = 86_400_000
# Clicks without a session that are told apart; beyond it the oldest may count again.
_MOST_STRANGERS = 100_000
# What a landing page gets, so that an order can be told to whose post led to it.
PARAMETERS = ("haat_ref", "haat_share", "haat_click", "haat_disclosure")


class Refusal(IntEnum):
    """Why a code leads nowhere."""

    # Not made here, or altered.
    FOREIGN = 1
    # The post is gone, or its author.
    GONE = 2


class Followed(msgspec.Struct, frozen=True):
    """Where a code leads; `counted` False when this session followed it before."""

    landing_url: str
    link: SharedLink
    counted: bool


class ShareLinks:
    """The use cases of share links; all of them block on the stores. `keys` are secrets, newest first."""

    def __init__(
        self,
        *,
        store: ShareStore,
        posts: PostReader,
        products: ProductLookup,
        sights: Sights,
        signed_in: SignedIn,
        keys: Callable[[], Sequence[bytes]],
        public_url: str,
        publish: Publish,
        clock: Clock,
    ) -> None:
        self._store = store
        self._posts = posts
        self._products = products
        self._sights = sights
        self._signed_in = signed_in
        self._keys = keys
        self._public_url = public_url.rstrip("/")
        self._publish = publish
        self._clock = clock
        self._strangers: OrderedDict[bytes, None] = OrderedDict()
        # Clicks that were counted and could not be told to the event log.
        self.clicks_untold = 0

    def share(self, tenant_id: str, request: calls.ShareLinkRequest) -> calls.SharedLink:
        """Make a link to a product of a post; the same key and request give the link that they gave before.

        NotFound when the sharer does not see the post, or its author did not sign up; InvalidInput names every field.
        """
        errors = []
        if not is_id(request.idempotency_key):
            remedy = "give 1 to 64 printable characters, fresh for each write"
            errors.append(FieldError("idempotency_key", shown(request.idempotency_key), remedy))
        if request.product_id and not is_id(request.product_id):
            errors.append(FieldError("product_id", shown(request.product_id), "give a product of the post, or nothing"))
        if request.landing_url and not is_web_address(request.landing_url):
            errors.append(FieldError("landing_url", shown(request.landing_url), "give an http(s) address, or nothing"))
        if errors:
            raise InvalidInput(errors)
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        post = self._posts.get(tenant_id, request.post_id)
        if (
            post is None
            or post.state not in SEEN
            or not may_see(post, person_id, self._sights.of(tenant_id, person_id))
        ):
            raise NotFound(f"post_id: there is no post {shown(request.post_id)} to share")
        author = self._signed_in.require(tenant_id, post.creator_id, field="post_id")
        link = SharedLink(
            share_id=urlsafe_b64encode(secrets.token_bytes(ID_CHARS * 3 // 4)).decode(),
            tenant_id=tenant_id,
            post_id=post.post_id,
            person_id=person_id,
            tracking_id=author.tracking_id,
            landing_url=self._landing_url(tenant_id, post, request),
            disclosure=request.disclosure,
            made_at_ms=self._clock.now_ms(),
        )
        digest = blake2b(b"share\0" + msgspec.json.encode(request), digest_size=16).hexdigest()
        return self._answer(self._store.add(link, request.idempotency_key, digest))

    def get(self, tenant_id: str, request: calls.GetSharedLinkRequest) -> calls.SharedLink:
        """One link with its clicks, for the one who shared it."""
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        link = self._store.get(request.share_id) if len(request.share_id) == ID_CHARS else None
        if link is None or link.tenant_id != tenant_id or link.person_id != person_id:
            raise NotFound(f"share_id: there is no link {shown(request.share_id)} of this person")
        return self._answer(link)

    def follow(self, code: str, session_id: str = "", stranger: bytes = b"") -> Followed | Refusal:
        """Where a code leads, and count the click once for each session; without one, for each `stranger` and day.

        `stranger` tells readers without a session apart: it is kept in memory alone, as a digest that says nothing.
        """
        link = self._store.get(code[:ID_CHARS]) if len(code) == CODE_CHARS and code.isascii() else None
        if link is None or not self._is_ours(link, code[ID_CHARS:]):
            return Refusal.FOREIGN
        post = self._posts.get(link.tenant_id, link.post_id)
        if post is None or post.state not in SEEN:
            return Refusal.GONE
        now_ms = self._clock.now_ms()
        click_id = new_id(now_ms)
        counted = self._count(link, session_id, stranger, now_ms)
        if counted:
            self._tell(link, click_id, now_ms)
        values = (link.tracking_id, link.share_id, click_id, link.disclosure.name.lower())
        return Followed(_with(link.landing_url, dict(zip(PARAMETERS, values, strict=True))), link, counted)

    def _landing_url(self, tenant_id: str, post: Post, request: calls.ShareLinkRequest) -> str:
        tagged = list(dict.fromkeys(tag.product_id for tag in post.product_tags))
        if request.product_id and request.product_id not in tagged:
            remedy = "give a product that the post shows, or nothing for its first"
            raise InvalidInput([FieldError("product_id", shown(request.product_id), remedy)])
        products = self._products.products(tenant_id, tagged) if tagged else ()
        pages = {
            product.product_id: product.landing_url
            for product in products
            if product is not None and is_web_address(product.landing_url)
        }
        if request.landing_url:
            # Only into the shops whose products the post shows: a link of ours leads nowhere else.
            if _host(request.landing_url) not in {_host(page) for page in pages.values()}:
                remedy = "give a page of a shop whose product the post shows, or nothing"
                raise InvalidInput([FieldError("landing_url", shown(request.landing_url), remedy)])
            return request.landing_url
        wanted = request.product_id or next((product_id for product_id in tagged if product_id in pages), "")
        if wanted not in pages:
            remedy = "share a post that shows a product with a landing page"
            raise InvalidInput([FieldError("product_id", shown(wanted), remedy)])
        return pages[wanted]

    def _answer(self, link: SharedLink) -> calls.SharedLink:
        code = link.share_id + _mac(self._keys()[0], link)
        return calls.view(calls.SharedLink, link, url=f"{self._public_url}/s/{code}")

    def _is_ours(self, link: SharedLink, mac: str) -> bool:
        return any(hmac.compare_digest(_mac(key, link), mac) for key in self._keys())

    def _count(self, link: SharedLink, session_id: str, stranger: bytes, now_ms: int) -> bool:
        key = self._keys()[-1]
        if is_id(session_id):
            named = f"{link.share_id}\0{session_id}".encode(errors="surrogatepass")
            return self._store.count_click(link.share_id, blake2b(named, digest_size=16, key=key).digest(), now_ms)
        day = str(now_ms // _DAY_MS).encode()
        who = blake2b(b"\0".join((link.share_id.encode(), day, stranger)), digest_size=16, key=key).digest()
        if who in self._strangers:
            return False
        self._strangers[who] = None
        while len(self._strangers) > _MOST_STRANGERS:
            self._strangers.popitem(last=False)
        return self._store.count_click(link.share_id, secrets.token_bytes(16), now_ms)

    def _tell(self, link: SharedLink, click_id: str, now_ms: int) -> None:
        event = ShareClicked(
            clicked_at_ms=now_ms,
            tenant_id=link.tenant_id,
            click_id=click_id,
            share_id=link.share_id,
            post_id=link.post_id,
            tracking_id=link.tracking_id,
            disclosure=link.disclosure.name.lower(),
        )
        try:
            self._publish(SHARE_CLICKS.name, [schemas.encode(event)])
        except BackendUnavailable:
            # The reader gets to the page all the same.
            self.clicks_untold += 1


def _mac(key: bytes, link: SharedLink) -> str:
    stands_for = (link.share_id, link.tenant_id, link.post_id, link.tracking_id, link.landing_url, int(link.disclosure))
    mac = hmac.new(key, b"share\0" + msgspec.json.encode(stands_for), sha256).digest()[:_MAC_BYTES]
    return urlsafe_b64encode(mac).decode().rstrip("=")


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").casefold()


def _with(url: str, parameters: dict[str, str]) -> str:
    """The URL with these parameters, in place of any that it has of the same names."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in parameters]
    return urlunsplit(parts._replace(query=urlencode([*kept, *parameters.items()])))
