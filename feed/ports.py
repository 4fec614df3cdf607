"""What does the feed need from outside: a record of posts, products, profiles, relations, ads, and someone to tell?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from feed.actions import Action, ActionKind
from feed.post import Disclosure, Post, PostMedia, ProductTag
from feed.verdict import Verdict
from streams.product import Product

if TYPE_CHECKING:
    from feed.index import Shelf
    from feed.kept_ads import PageKey
    from feed.post_states import StateStep
    from feed.sessions import Session


class PostStore(Protocol):
    """The record of posts. A change and its PostChanged event (topic `posts`) are written together or not at all,
    with the post's content as it was by then and the lines of its history.
    """

    def create(self, post: Post, key: str, digest: str, now_ms: int, steps: Sequence[StateStep] = ()) -> Post:
        """Store a post under its tenant's idempotency key.

        Gives the post of an earlier call with the same key and digest; Conflict when the digest is another.
        """

    def change(self, post: Post, key: str, digest: str, now_ms: int, steps: Sequence[StateStep] = ()) -> Post | None:
        """Store revision `post.revision` over the one before, all but its likes and saves; None when what is stored
        is not the revision before, or the tenant has no such post.

        An empty `key` is remembered nowhere; otherwise as `create`.
        """

    def remember(self, post: Post, key: str, digest: str, now_ms: int) -> None:
        """Remember that `key` was answered by this post, which it did not change; as `create`."""

    def written(self, tenant_id: str, key: str, digest: str) -> Post | None:
        """What `key` wrote, as it is now; None when it wrote nothing. Conflict when the digest is another."""

    def get(self, tenant_id: str, post_id: str) -> Post | None:
        """The tenant's post, withdrawn or not; None when it has no such post."""

    def by_creator(
        self, tenant_id: str, creator_id: str, least_reach: int, before: tuple[int, str] | None, limit: int
    ) -> list[Post]:
        """A creator's posts, newest publication first, of at least this reach, without those withdrawn.

        `before` is the publication and id of the last one that was seen.
        """

    def revisions(self, tenant_id: str, post_id: str, before_revision: int, limit: int) -> list[PostRevision]:
        """What stood in the post, newest first: its content at each revision that changed it."""

    def history(self, tenant_id: str, post_id: str, before: int, limit: int) -> list[tuple[int, StateStep]]:
        """What became of the post, newest first, each with the number to go on before."""

    def due(self, now_ms: int, limit: int) -> list[Post]:
        """Drafts of all tenants whose time has come, the longest due first."""

    def unchecked(self, limit: int) -> list[Post]:
        """Published posts of all tenants that no verdict was found for, as when the process died meanwhile."""

    def shows_media(self, media_id: str) -> bool:
        """Does a post that others than its author see show this medium?"""

    def erase_creator(self, tenant_id: str, creator_id: str, now_ms: int) -> ErasedPosts:
        """Delete a creator's posts with all their revisions, histories and keys, and tell that they are withdrawn."""

    def all(self) -> Iterator[Post]:
        """Every post of every tenant, in order of publication, read in bounded portions."""


class PostRevision(msgspec.Struct, frozen=True):
    """What stood in a post from `at_ms` on."""

    revision: int
    at_ms: int
    caption: str
    image_urls: tuple[str, ...]
    media: tuple[PostMedia, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]
    paid: bool
    disclosure: Disclosure
    partner: str


class ErasedPosts(msgspec.Struct, frozen=True):
    """What an erasure deleted; `posts` are (id, revision) by id, with a revision that comes after all others."""

    posts: tuple[tuple[str, int], ...]
    revisions: int
    history: int


class CheckedPicture(msgspec.Struct, frozen=True):
    """A picture as a check sees it: where it stands in the post (`media[0]`), and what pictures are compared by."""

    where: str
    media_id: str
    picture_hash: bytes | None
    width: int
    height: int


class PostChecker(Protocol):
    """Who says what becomes of a post. Called in a thread, before the post is seen by anybody but its author."""

    def check(self, post: Post, pictures: Sequence[CheckedPicture], *, again: bool = False) -> Verdict:
        """What is found in the post's texts and pictures, within 50 ms. What is checked `again` was counted before."""


class Reaction(msgspec.Struct, frozen=True):
    """One action on a post, to be kept and counted.

    `kind` is none that takes back: with `on` False it is taken back. `action_key` is a digest that names the action
    and nobody.
    """

    kind: ActionKind
    subject_id: str
    action_key: bytes
    on: bool = True


class Reacted(msgspec.Struct, frozen=True):
    """What became of a reaction: `new` unless its action was taken before; its counter moved by -1, 0 or 1."""

    new: bool
    moved: int


class Done(NamedTuple):
    """A post that somebody did something with, and when first."""

    post_id: str
    at_ms: int


class ReactionStore(Protocol):
    """Who reacted to which post, and how often each post was reacted to. Counters are exact, whoever else writes."""

    def react(self, tenant_id: str, actor_key: bytes, reactions: Sequence[Reaction], now_ms: int) -> list[Reacted]:
        """Take all reactions or none, each action once (known for a day at least), each entry for one reaction.

        Kinds of feed.actions.REPEATED count each time; of the others one per actor and post stands, and is counted
        once. `actor_key` is a digest of 16 bytes.
        """

    def standing(self, tenant_id: str, actor_key: bytes, subject_ids: Sequence[str]) -> set[tuple[ActionKind, str]]:
        """What of this actor stands on these subjects."""

    def newest(self, tenant_id: str, actor_key: bytes, kind: ActionKind, limit: int) -> list[Done]:
        """What of this actor stands of a kind, the newest first; a PURCHASE stands until something is returned."""


class SocialRecord(Protocol):
    """What lasts of actions of people who agreed to be remembered: whom they follow, block and mute; who is told."""

    def relate(
        self, tenant_id: str, person_id: str, kind: ActionKind, creator_id: str, key: bytes, now_ms: int
    ) -> None:
        """Keep an action of feed.actions.OF_CREATORS; its key counts once. May block."""

    def liked(self, tenant_id: str, person_id: str, creator_id: str, post_id: str, now_ms: int) -> None:
        """A person likes a post that was not liked by them: its creator is told. May block."""

    def blocked(self, tenant_id: str, viewer_id: str, creator_id: str) -> bool:
        """Did one of the two block the other? May block the first time."""

    def chosen(self, tenant_id: str, person_id: str) -> None:
        """A person hid, reported or bought something, or took it back: it holds from now on. May block."""


class Listener(Protocol):
    """Who learns at once from what is done to posts. In memory: called in the event loop, for each action that counts
    of visitors who agreed to personalised content.
    """

    def acted(self, who: bytes, action: Action, session: Session, shelf: Shelf, now_ms: int) -> None:
        """`who` is a key of feed.actor; the session has taken the action, and the shelf has its post."""


class ProductLookup(Protocol):
    """The shop's catalogue, in memory: no I/O, asked for hundreds of products on every page."""

    def products(self, tenant_id: str, product_ids: Sequence[str]) -> Sequence[Product | None]:
        """One entry for each id, None where the tenant has no such product."""


class Profiles(Protocol):
    """What is remembered of visitors. Called only with ids of visitors who agreed to it."""

    def affinities(self, tenant_id: str, visitor_id: str) -> Mapping[str, float]:
        """Product id to weight, empty when nothing is known: a quick read, made while a page waits."""

    def remember(self, tenant_id: str, visitor_id: str, weights: Mapping[str, float], now_ms: int) -> None:
        """Add `weights` by product id to what is known of the visitor, below 0 takes away; may block."""


class Relation(msgspec.Struct, frozen=True):
    """How a visitor stands to others. `blocked` are creators and advertisers (by id or domain) whom the visitor blocked
    and creators who blocked the visitor; `muted_words` (at most 200) are compared without regard to case. `hidden`
    (reported ones among them) and `bought` are posts of any session, at most 1,000 each.
    """

    blocked: frozenset[str] = frozenset()
    muted_words: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    hidden: tuple[Done, ...] = ()
    bought: tuple[Done, ...] = ()


STRANGER = Relation()


class Relations(Protocol):
    """Whom visitors follow and block, and which words they do not want to read."""

    def of(self, tenant_id: str, visitor_id: str) -> Relation:
        """What the visitor chose, `STRANGER` when nothing. Kept in memory: may block the first time."""

    def known(self, tenant_id: str, visitor_id: str) -> Relation | None:
        """The same where it is in memory, else None. Never blocks."""


class Reputation(Protocol):
    """How far the posts of creators reach."""

    def reputation(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float64]:
        """One multiplier for each creator, 0 to 2; 1 is usual. Asked once a page, in memory."""


class SessionStore(Protocol):
    """What sessions have done. A session that is over, or was pushed out by others, reads as a new one."""

    def read(self, tenant_id: str, session_id: str, now_ms: int) -> Session:
        """The session as it is, to be changed in place and handed to `keep`."""

    def keep(self, tenant_id: str, session_id: str, session: Session, now_ms: int) -> None:
        """Keep the session for as long as it lives from now on."""


class AdRequest(msgspec.Struct, frozen=True):
    """The page as the auction may see it: fields that consent does not cover are empty already.

    `permissions` are bits of common.consent.Permission; the auction has `tmax_ms` to answer. `blocked_advertisers` are
    domains that the visitor does not want to hear of.
    """

    request_id: str
    tenant_id: str
    session_id: str
    permissions: int
    slots: int
    tmax_ms: int
    viewed_at_ms: int
    visitor_id: str = ""
    segments: tuple[str, ...] = ()
    affinities: tuple[tuple[str, float], ...] = ()
    url: str = ""
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    product_id: str = ""
    device_type: int = 0
    country: str = ""
    region: str = ""
    language: str = ""
    blocked_advertisers: tuple[str, ...] = ()


class FeedAd(msgspec.Struct, frozen=True):
    """An ad for slot `slot` (0 is the first) of an AdRequest, won in auction `auction_id`.

    The other fields are those of haat.exchange.v1.Ad.
    """

    slot: int
    auction_id: str
    impression_id: str
    line_item_id: str = ""
    creative_id: str = ""
    advertiser_id: str = ""
    advertiser_domain: str = ""
    product_id: str = ""
    format: int = 0
    width: int = 0
    height: int = 0
    markup: str = ""
    price_micros: int = 0
    pricing_model: int = 0
    currency: str = ""
    bidder: str = ""
    mtype: int = 0


class PageAds(Protocol):
    """What was sold for pages, for as long as it can be billed; it may forget at will."""

    def recall(self, key: PageKey, now_ms: int) -> dict[int, FeedAd] | None:
        """The ads by slot; None when the page was not sold, or too long ago. A quick read, made while a page waits."""

    def keep(self, key: PageKey, ads: Mapping[int, FeedAd], now_ms: int) -> None:
        """Remember what was sold, by slots that the ads name too; a page of which nothing was sold is offered again."""


class AdSource(Protocol):
    """Where ads come from: the same auction that serves pages."""

    async def ads(self, request: AdRequest) -> list[FeedAd]:
        """At most one ad for each slot; slots that were not sold are left out. May be cancelled at the deadline."""

    def still_sold(self, ads: Sequence[FeedAd]) -> list[FeedAd]:
        """Those of `ads` that may be shown again: their line items run and their products can be bought. In memory."""
