"""How do people, posts, moderation and the recommender come together? What joins their own wirings is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Engine

from accounts.ports import ApiKeys, Tenant
from app.bridges import HoldAuction
from app.settings import Settings
from app.wiring_checks import SocialChecks, TrustInBook, checker_of, followed_links_of, hash_of, known_pictures
from app.wiring_feed import Feed, wire_feed
from app.wiring_media import wire_media
from app.wiring_moderation import Moderation, moderation_erasure, wire_moderation
from app.wiring_recommender import HeardErasure, open_recommender
from app.wiring_redis import Redis, rate_limits_of
from app.wiring_social import SocialPart, wire_social
from backends.event_log_lmdb import LmdbEventLog
from backends.image_bans_sql import SqlImageBans
from backends.shown_media_sql import SqlShownMedia
from common.clock import Clock
from exchange.inventory import Snapshot
from feed.heard import Heard
from feed.media.library import MediaLibrary
from feed.moderation.comment_keeper import CommentKeeper, judged_comment
from feed.moderation.profile_keeper import ProfileKeeper, judged_profile
from feed.moderation.subjects import Subject, SubjectKind
from feed.recommender.serving import ServingRecommender
from feed.reputation.book import ReachOfCreators, ReputationBook, TierOfCreators
from feed.reputation.standing import Tier
from streams.catalogue import Catalogue
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.shared_topics import SharedTopics


def wire_people_and_posts(
    settings: Settings,
    clock: Clock,
    *,
    engine: Engine,
    log: LmdbEventLog,
    publisher: Publisher,
    catalogue: Catalogue,
    profiles: Profiles,
    keys: ApiKeys,
    tenants: Sequence[Tenant],
    hold_auction: HoldAuction,
    inventory: Callable[[], Snapshot],
    redis: Redis | None = None,
    shared: SharedTopics | None = None,
    others: Callable[[], Sequence[str]] = tuple,
) -> tuple[SocialPart, Feed, Moderation, ServingRecommender]:
    """Everything that people see and say: checked before it is shown, ranked by what its creators are worth."""
    book = ReputationBook()
    pictures = known_pictures(SqlImageBans(engine), [tenant.tenant_id for tenant in tenants])
    followed = followed_links_of(settings, clock)
    checker = checker_of(settings, pictures, TrustInBook(book), clock, followed, rate_limits_of(redis))
    media = wire_media(
        settings,
        clock,
        engine=engine,
        is_shown=SqlShownMedia(engine).is_shown,
        hash_of=hash_of,
        tier_of=TierOfCreators(book).tier,
    )
    recommender = open_recommender(settings, serves=True)
    recommender.follow()
    heard = Heard(lambda: recommender.current)
    social = wire_social(
        settings, clock, engine=engine, log=log, publisher=publisher, catalogue=catalogue, profiles=profiles,
        checker=SocialChecks(checker, media.library),
        media=media,
        judged=judged_comment(lambda: moderation.intake),
        judged_profile=judged_profile(lambda: moderation.intake),
        badges=TierBadges(book),
        statements=_StatementsOf(lambda: moderation),
        shared=shared,
        others=others,
        more_hooks={
            "media": MediaErasure(media.library),
            "moderation": moderation_erasure(engine, clock),
            "recommender": HeardErasure(heard),
        },
    )  # fmt: skip
    feed = wire_feed(
        settings, clock, engine=engine, log=log, publisher=publisher, catalogue=catalogue, profiles=profiles,
        hold_auction=hold_auction, inventory=inventory, keys=keys, social=social, media=media, checker=checker,
        pictures=pictures, reputation=ReachOfCreators(book), recommender=recommender, heard=heard,
        redis=redis,
    )  # fmt: skip
    moderation = wire_moderation(
        engine, clock, node=settings.node, keys=keys, index=feed.index, posts=feed.posts, book=book,
        returns_days=settings.returns_days, media=media, pictures=pictures,
        others={
            SubjectKind.COMMENT: CommentKeeper(social.comments),
            SubjectKind.PROFILE: ProfileKeeper(social.people),
        },
    )  # fmt: skip
    moderation.followed = followed
    return social, feed, moderation, recommender


class TierBadges:
    """Badges of profiles: the commission tier that a creator has come to."""

    def __init__(self, book: ReputationBook) -> None:
        self._book = book

    def badge(self, tenant_id: str, person_id: str) -> str:
        """The tier's name; empty without one."""
        tier = self._book.standing(tenant_id, person_id).tier
        return "" if tier is Tier.NONE else tier.name.lower()


class MediaErasure:
    """Forgets what a person has uploaded."""

    def __init__(self, library: MediaLibrary) -> None:
        self._library = library

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """How many media and files are gone."""
        gone = self._library.erase_creator(tenant_id, person_id)
        return {"media": gone.media, "media files": gone.files}


class _StatementsOf:
    """Statements for notifications. Moderation is wired after the people who are told of its decisions."""

    def __init__(self, moderation: Callable[[], Moderation]) -> None:
        self._moderation = moderation

    def statement(self, tenant_id: str, post_id: str) -> str:
        """The letter about the newest decision on a post; empty without one."""
        moderation = self._moderation()
        # Who tells of a post may have read of its change before moderation did.
        moderation.posts.take_now(tenant_id, post_id)
        return moderation.cases.told_author(tenant_id, Subject(SubjectKind.POST, post_id))
