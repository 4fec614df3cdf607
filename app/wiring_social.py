"""What is the social part made of? Its part of the composition root."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

import grpc
from sqlalchemy import Engine
from starlette.routing import BaseRoute

from accounts.ports import ApiKeys
from app.erased_on_nodes import ErasureHere, OtherNodesErasure
from app.erased_records import IndexErasure, LogErasure, ProfileErasure
from app.settings import Settings
from app.signing_keys import SigningKeys
from app.wiring_elasticsearch import SearchBackend, SearchFilling, expunge, search_of
from app.wiring_media import MediaParts
from app.wiring_shared import share_sights
from backends import projections_sql
from backends.comments_sql import SqlCommentStore
from backends.erasure_sql import SqlPendingErasures, SqlPostErasure, SqlSocialErasure
from backends.event_log_lmdb import LmdbEventLog
from backends.graph_sql import SqlGraphStore
from backends.node_erasures_sql import SqlNodeErasures
from backends.notifications_sql import SqlNotificationStore
from backends.people_sql import SqlPeopleStore
from backends.posts_sql import SqlPostStore
from backends.reactions_sql import SqlReactionStore
from backends.shares_sql import SqlShareStore
from backends.social_posts_sql import SqlPostReader, SqlTagStore
from backends.sql import writing
from common.clock import Clock
from feed.products import CatalogueProducts
from feed.social import link_endpoint, rest
from feed.social.comments import Comments
from feed.social.erasure import Erasure
from feed.social.follower import PostFollower, follow_products
from feed.social.graph import Graph
from feed.social.notifications import Notifications, Notifier
from feed.social.operations import Operation, Social, operations
from feed.social.people import People
from feed.social.ports import Badges, ErasureHook, SocialChecker, Statements
from feed.social.recorded import RecordedActions
from feed.social.search import Finder, follow_person, index_all
from feed.social.server import handlers
from feed.social.share_links import ShareLinks
from feed.social.sights import Sights
from feed.social.signed_in import SignedIn
from feed.social.tagging import Tagging
from feed.social.words import Comment, Person
from feed.verdict import Verdict
from streams.catalogue import Catalogue
from streams.erasures import Erasures
from streams.product import Product
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.shared_topics import SharedTopics
from streams.topics import POSTS

SHARE_KEYS = "shares.key"
_PROJECTION = "social"
# Products that are put into the search at once.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SocialPart:
    """The social part, wired and not yet running. The last three are jobs beside; two block, one is of the loop."""

    operations: tuple[Operation, ...]
    people: People
    comments: Comments
    links: ShareLinks
    recorded: RecordedActions
    erasures: Erasures
    index_erasure: IndexErasure
    search: SearchBackend
    expunge: Callable[[], object]
    catch_up: Callable[[], object]
    check_waiting: Callable[[], object]
    erased_here: ErasureHere

    def handlers(self, keys: ApiKeys) -> grpc.GenericRpcHandler:
        """SocialService."""
        return handlers(self.operations, keys)

    def routes(self, keys: ApiKeys) -> list[BaseRoute]:
        """The same over HTTP, and what shared links lead to."""
        return [*rest.routes(self.operations, keys), *link_endpoint.routes(self.links)]


def wire_social(
    settings: Settings,
    clock: Clock,
    *,
    engine: Engine,
    log: LmdbEventLog,
    publisher: Publisher,
    catalogue: Catalogue,
    profiles: Profiles,
    checker: SocialChecker | None = None,
    media: MediaParts | None = None,
    judged: Callable[[Comment, Verdict], None] = lambda comment, verdict: None,
    judged_profile: Callable[[Person, Verdict], None] = lambda person, verdict: None,
    badges: Badges | None = None,
    statements: Statements | None = None,
    more_hooks: dict[str, ErasureHook] | None = None,
    shared: SharedTopics | None = None,
    others: Callable[[], Sequence[str]] = tuple,
) -> SocialPart:
    """The social part over these stores. Whoever was erased is gone from restored stores before this returns.

    Without a `checker` comments and profiles wait, seen by their authors alone; `more_hooks` forget what other
    packages keep. What is `shared` is told to `others`, the names of the other nodes.
    """
    products = CatalogueProducts(catalogue)
    people, notifications = SqlPeopleStore(engine), SqlNotificationStore(engine)
    posts = SqlPostReader(engine, SqlPostStore(engine))
    graph_store = SqlGraphStore(engine)
    reactions, signed_in = SqlReactionStore(engine), SignedIn(people)
    sights = Sights(graph_store, reactions, share_sights(shared, lambda: sights))
    notifier = Notifier(store=notifications, people=people, sights=sights, clock=clock)
    tagging = Tagging(store=SqlTagStore(engine), people=people, sights=sights, notifier=notifier)
    graph = Graph(store=graph_store, sights=sights, people=signed_in, notifier=notifier, clock=clock)
    search = search_of(settings)
    index_erasure = IndexErasure(search, sights)
    erasures = Erasures()
    erasures.follow(log)
    post_erasure = SqlPostErasure(engine, clock)
    # What is told comes first, so that nothing of a person is told after it was taken out of the log.
    of_this_node: dict[str, ErasureHook] = {
        "profiles": ProfileErasure(profiles), "indexes": index_erasure, "log": LogErasure(log),
    }  # fmt: skip
    asked = SqlNodeErasures(engine)
    publish = partial(publisher.publish, durable=True)
    hooks: dict[str, ErasureHook] = {
        "posts": post_erasure,
        "social": SqlSocialErasure(engine),
        **(more_hooks or {}),
        **({"other nodes": OtherNodesErasure(asked, others, clock)} if shared is not None else {}),
        **of_this_node,
    }
    erasure = Erasure(
        hooks=hooks, pending=SqlPendingErasures(engine), erasures=erasures,
        publish=publish, clock=clock,
    )  # fmt: skip
    joined = ((person.tenant_id, person.person_id, person.joined_at_ms) for person in people.all())
    erasure.forget_again(list(chain(joined, post_erasure.creators())))
    renamed: deque[Person] = deque()
    filling = SearchFilling(search, lambda: index_all(search, posts, people, catalogue.all))
    filling.done()

    comments = Comments(
        store=SqlCommentStore(engine), posts=posts, reactions=reactions, sights=sights,
        signed_in=signed_in, tagging=tagging, notifier=notifier, clock=clock, checker=checker,
        judged=judged,
    )  # fmt: skip
    keys = SigningKeys(settings.keys_dir / SHARE_KEYS)
    links = ShareLinks(
        store=SqlShareStore(engine), posts=posts, products=products, sights=sights, signed_in=signed_in,
        keys=lambda: [key.secret for key in keys()], public_url=settings.public_url or settings.http_url,
        publish=publisher.publish, clock=clock,
    )  # fmt: skip
    addresses = media.addresses if media is not None else None
    who = People(
        store=people, posts=posts, sights=sights, signed_in=signed_in, clock=clock, badges=badges, notifier=notifier,
        checker=checker, judged=judged_profile, media=media.library if media is not None else None,
        addresses=addresses,
        # Nobody who signs up waits for an engine, or is turned away since it is gone.
        changed=renamed.append if settings.elasticsearch_url else partial(follow_person, search),
    )  # fmt: skip
    social = Social(
        people=who,
        graph=graph,
        comments=comments,
        finder=Finder(
            search=search, posts=posts, people=people, products=products, sights=sights, signed_in=signed_in,
            clock=clock,
        ),
        notifications=Notifications(
            store=notifications, people=people, signed_in=signed_in, clock=clock, addresses=addresses
        ),
        share_links=links,
        erasure=erasure,
    )  # fmt: skip
    follower = PostFollower(
        log=log, posts=posts, search=search, tagging=tagging, notifier=notifier, statements=statements,
        read_upto=lambda: projections_sql.read_upto(engine, _PROJECTION, POSTS.name, settings.node)[0],
        move=partial(_move, engine, settings.node),
    )  # fmt: skip
    changed: deque[Product] = deque()
    catalogue.on_change(changed.extend)
    return SocialPart(
        operations=operations(social),
        people=who,
        comments=comments,
        links=links,
        recorded=RecordedActions(graph=graph, sights=sights, notifier=notifier),
        erasures=erasures,
        index_erasure=index_erasure,
        search=search,
        expunge=partial(expunge, search),
        catch_up=partial(_catch_up, filling, follower, search, changed, renamed),
        check_waiting=lambda: (comments.check_waiting(), who.check_waiting()),
        erased_here=ErasureHere(asked, settings.node, list(of_this_node.values()), erasures, publish),
    )


def _move(engine: Engine, node: str, from_offset: int, upto_offset: int) -> None:
    with writing(engine) as connection:
        projections_sql.move(connection, _PROJECTION, POSTS.name, from_offset, upto_offset, 0, node)


def _catch_up(
    filling: SearchFilling,
    follower: PostFollower,
    search: SearchBackend,
    changed: deque[Product],
    people: deque[Person],
) -> None:
    if not filling.done():
        return
    follower.catch_up()
    while changed:
        some = list(islice(changed, _AT_ONCE))
        follow_products(search, some)
        # After they were put: where that fails, they come again.
        for _ in some:
            changed.popleft()
    while people:
        follow_person(search, people[0])
        people.popleft()
