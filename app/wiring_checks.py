"""Who checks what people write and upload? Puts the checker together from settings, bans and reputations, and hands it
to posts, comments and pictures in their own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL.Image import Image

from app.settings import Settings
from backends.redirect_hop_aiohttp import HttpRedirectHop
from common.clock import Clock
from common.errors import FieldError, InvalidInput
from common.rate_limits import RateLimits
from feed.media.ports import PostedMedia
from feed.media.record import Media
from feed.moderation import link_lists
from feed.moderation.check_ports import ImageBans, Reputations
from feed.moderation.checker import Checker, NoClassifiers
from feed.moderation.classifiers import MANIFEST_FILE, ClassifiersRefused, TextClassifiers, load
from feed.moderation.domain_file import read_domains
from feed.moderation.domains import Protected
from feed.moderation.followed_links import FollowedLinks
from feed.moderation.image_hash import hash_image, read_stored
from feed.moderation.links import LinkRules
from feed.moderation.pictures import KnownPictures, Picture
from feed.moderation.velocity import Act, Velocity
from feed.post import Post
from feed.post_states import Reach, reach_of
from feed.reputation.book import ReputationBook
from feed.social.words import Person
from feed.verdict import Verdict

MODEL: Final = "moderation"
_POSTS_AT_ONCE: Final = 500
OWN_MODELS: Final = Path(__file__).resolve().parent.parent / "models"


def model_folder(settings: Settings) -> Path:
    """The folder of the classifiers: of the settings, or the program's own when there are none there."""
    chosen = settings.models_dir / MODEL
    return chosen if (chosen / MANIFEST_FILE).exists() else OWN_MODELS / MODEL


def classifiers_of(settings: Settings) -> TextClassifiers | NoClassifiers:
    """The classifiers to serve; the reason why there are none, by which everything is held."""
    try:
        return load(model_folder(settings))
    except ClassifiersRefused as refused:
        return NoClassifiers(str(refused))


def link_rules_of(settings: Settings) -> LinkRules:
    """What is known of domains; InvalidInput when a file of them cannot be read."""
    protected = _domains("protected_domains_file", settings.protected_domains_file)
    blocked = _domains("blocked_domains_file", settings.blocked_domains_file)
    return LinkRules(Protected(link_lists.PROTECTED | protected), blocked=blocked)


def known_pictures(bans: ImageBans, tenant_ids: Iterable[str]) -> KnownPictures:
    """The banned pictures of these tenants, read once; published ones are told afterwards."""
    pictures = KnownPictures()
    for tenant_id in tenant_ids:
        pictures.set_bans(tenant_id, bans.all(tenant_id))
    return pictures


def followed_links_of(settings: Settings, clock: Clock) -> FollowedLinks | None:
    """Who asks short links where they lead; None where the settings let nobody go out to the network for it."""
    if settings.follow_short_links == "off":
        return None
    hop = HttpRedirectHop(private_allowed=settings.private_addresses == "allow")
    return FollowedLinks(hop, link_rules_of(settings), clock.now_ms)


def checker_of(
    settings: Settings,
    pictures: KnownPictures,
    reputations: Reputations,
    clock: Clock,
    followed: FollowedLinks | None = None,
    rates: RateLimits | None = None,
) -> Checker:
    """The checker of posts, comments and profiles; `rates` where nodes count together how much people do."""
    return Checker(
        classifiers=classifiers_of(settings),
        pictures=pictures,
        velocity=Velocity(rates=rates),
        reputations=reputations,
        clock=clock,
        link_rules=link_rules_of(settings),
        followed=followed,
    )


class TrustInBook:
    """Reputations of the check: what the book of standings has."""

    def __init__(self, book: ReputationBook) -> None:
        self._book = book

    def of(self, tenant_id: str, person_id: str) -> float:
        """0 to 1."""
        return min(max(self._book.reputation(tenant_id, person_id), 0.0), 1.0)

    def posts_a_day(self, tenant_id: str, person_id: str) -> int:
        """By standing."""
        return self._book.standing(tenant_id, person_id).posts_a_day


class SocialChecks:
    """SocialChecker: each comment and each edit of a profile counts as one of its author's."""

    def __init__(self, checker: Checker, media: PostedMedia) -> None:
        self._checker = checker
        self._media = media

    def check_text(self, fields: Mapping[str, str], *, tenant_id: str, author_id: str) -> Verdict:
        """The verdict on the fields of a comment."""
        return self._checker.check_text(fields, author=self._checker.author(tenant_id, author_id), act=Act.COMMENT)

    def check_profile(
        self, fields: Mapping[str, str], links: Sequence[str], picture_id: str, person: Person
    ) -> Verdict:
        """The verdict on what a person says of itself, with its links and its picture."""
        found = self._media.find(person.tenant_id, [picture_id])[0] if picture_id else None
        hashed = found.picture_hash if found is not None else None
        pictures = [Picture("picture", picture_id, read_stored(hashed))] if hashed else []
        author = self._checker.author(person.tenant_id, person.person_id)
        return self._checker.check_text(fields, links, author=author, act=Act.PROFILE_EDIT, pictures=pictures)


class PublishedPictures:
    """Tells the check which pictures others see by now, so that copies of them are found."""

    def __init__(self, pictures: KnownPictures, media: PostedMedia) -> None:
        self._pictures = pictures
        self._media = media

    def changed(self, post: Post) -> None:
        """A post came into another state, or got other pictures."""
        self._tell([post], self._of([post]))

    def load(self, posts: Iterable[Post]) -> None:
        """All posts there are, at the start: their media are looked up some hundred posts at a time."""
        waiting: list[Post] = []
        for post in posts:
            if any(medium.media_id for medium in post.media):
                waiting.append(post)
            if len(waiting) >= _POSTS_AT_ONCE:
                self._tell(waiting, self._of(waiting))
                waiting = []
        self._tell(waiting, self._of(waiting))

    def _of(self, posts: Sequence[Post]) -> dict[str, Media]:
        wanted: dict[str, dict[str, None]] = {}
        for post in posts:
            ids = wanted.setdefault(post.tenant_id, {})
            ids |= dict.fromkeys(medium.media_id for medium in post.media if medium.media_id)
        found: dict[str, Media] = {}
        for tenant_id, media_ids in wanted.items():
            if media_ids:
                media = self._media.find(tenant_id, list(media_ids))
                found |= {one.media_id: one for one in media if one is not None}
        return found

    def _tell(self, posts: Sequence[Post], media: Mapping[str, Media]) -> None:
        for post in posts:
            shown = reach_of(post) is not Reach.AUTHOR
            for posted in post.media:
                medium = media.get(posted.media_id)
                if medium is None or medium.picture_hash is None:
                    continue
                if shown:
                    self._pictures.publish(post.tenant_id, medium.media_id, post.creator_id, medium.picture_hash)
                else:
                    self._pictures.withdraw(post.tenant_id, medium.media_id)


def hash_of(image: Image) -> bytes:
    """What pictures are compared by: their PDQ hash and its quality, 33 bytes."""
    return hash_image(image).stored


def _domains(setting: str, file: Path | None) -> frozenset[str]:
    if file is None:
        return frozenset()
    try:
        return read_domains(setting, file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as trouble:
        raise InvalidInput([FieldError(setting, str(file), f"give a text file that can be read ({trouble})")]) from None
