"""How does somebody sign up, and what does a creator's page show? What is said is checked before others see it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

import msgspec

from common.clock import Clock
from common.consent import Permission, decide
from common.errors import BackendUnavailable, Conflict, FieldError, InvalidInput, NotFound
from common.ids import new_id
from feed.media.ports import NoMedia
from feed.media.record import MediaKind
from feed.muting import text_of
from feed.post import Post, PostState
from feed.post_rules import MAX_URL_CHARS, is_id, is_web_address, normalised_hashtags, shown
from feed.social import calls, handles, profiles
from feed.social.calls import (
    EditPersonRequest,
    GetProfileRequest,
    ListPostsRequest,
    PostList,
    Profile,
    SignUpRequest,
)
from feed.social.cards import SEEN, card_of, may_see
from feed.social.notifications import Notifier
from feed.social.pages import FROM_THE_NEWEST, cursor_of, place_of, size_of
from feed.social.ports import Badges, PeoplesMedia, PeopleStore, PostReader, SocialChecker
from feed.social.profiles import PictureAddresses
from feed.social.sights import Sight, Sights
from feed.social.signed_in import SignedIn
from feed.social.texts import composed, text_errors
from feed.social.words import NotificationKind, Person, ProfilePicture, ProfileState
from feed.verdict import Outcome, Verdict

MAX_NAME_CHARS = 50
MAX_BIO_CHARS = 300
MAX_LINKS = 5
# A page shows the products of so many of the newest posts, and so many products.
_POSTS_OF_PRODUCTS = 100
_MOST_PRODUCTS = 20
# Looked through for one page of a list at most, when most of what is found may not be seen.
_MOST_LOOKED_THROUGH = 500


class People:
    """The use cases of people; all of them block on the stores. `changed` hears of everybody of whom others see
    something else than before, `judged` what the checker said of a profile, after it was stored.
    """

    def __init__(
        self,
        *,
        store: PeopleStore,
        posts: PostReader,
        sights: Sights,
        signed_in: SignedIn,
        clock: Clock,
        changed: Callable[[Person], object],
        notifier: Notifier,
        checker: SocialChecker | None,
        judged: Callable[[Person, Verdict], None] = lambda person, verdict: None,
        media: PeoplesMedia | None = None,
        addresses: PictureAddresses | None = None,
        badges: Badges | None = None,
    ) -> None:
        self._store = store
        self._posts = posts
        self._sights = sights
        self._signed_in = signed_in
        self._clock = clock
        self._changed = changed
        self._notifier = notifier
        self._checker = checker
        self._judged = judged
        self._media = media or NoMedia()
        self._addresses = addresses
        self._badges = badges

    def sign_up(self, tenant_id: str, request: SignUpRequest) -> calls.Person:
        """A person joins; the same key and request give the person that they gave before. Until moderation has looked,
        and where it holds or removes what is said, the person alone sees it.

        InvalidInput names every field that cannot be taken, consent.granted too; Conflict when the id or a handle
        that looks alike is taken, or the key was used for another request.
        """
        errors = [] if is_id(request.idempotency_key) else [_key_error(request.idempotency_key)]
        consent = request.consent
        permissions = decide(
            consent.granted,
            global_privacy_control=consent.global_privacy_control,
            child_directed=consent.child_directed,
        )
        if Permission.REMEMBER not in permissions:
            remedy = "an account is kept under the person's id: ask the person, and grant remember (PURPOSE_REMEMBER)"
            errors.append(FieldError("consent.granted", "not covered", remedy))
        if request.person_id and not is_id(request.person_id):
            errors.append(FieldError("person_id", shown(request.person_id), "give 1 to 64 printable characters"))
        errors += _said_errors(request)
        now_ms = self._clock.now_ms()
        person_id = request.person_id or new_id(now_ms)
        picture = self._picture(tenant_id, person_id, request.picture_media_id, errors)
        if errors:
            raise InvalidInput(errors)
        person = Person(
            tenant_id=tenant_id,
            person_id=person_id,
            joined_at_ms=now_ms,
            tracking_id=new_id(now_ms),
            handle=handles.normalised(request.handle),
            display_name=composed(request.display_name),
            bio=composed(request.bio),
            links=request.links,
            picture=picture,
        )
        verdict = self._verdict(person)
        person = profiles.moderated(person, verdict)
        digest = hashlib.blake2b(b"sign up\0" + msgspec.json.encode(request), digest_size=16).hexdigest()
        joined = self._store.sign_up(person, handles.skeleton(person.handle), request.idempotency_key, digest)
        # Another tracking id than this one's is that of the call before.
        if joined.tracking_id == person.tracking_id:
            self._changed(joined)
            self._was_judged(joined, verdict)
        return profiles.own_card(joined, self._addresses)

    def edit(self, tenant_id: str, request: EditPersonRequest) -> calls.Person:
        """Replace what a person says of itself, which is looked at anew: until it is let through, others see what was
        before. Conflict when `revision` is not the newest, or as `sign_up`.
        """
        errors = _said_errors(request)
        picture = self._picture(tenant_id, request.person_id, request.picture_media_id, errors)
        if errors:
            raise InvalidInput(errors)
        before = self._signed_in.require(tenant_id, request.person_id)
        if before.revision != request.revision:
            raise Conflict(f"revision {request.revision} is not the newest, that is {before.revision}: read it again")
        person = msgspec.structs.replace(
            before,
            handle=handles.normalised(request.handle),
            display_name=composed(request.display_name),
            bio=composed(request.bio),
            links=request.links,
            picture=picture,
        )
        person, verdict = profiles.edited(before, person, self._verdict(person))
        edited = self._kept(person, request.revision)
        self._was_judged(edited, verdict)
        return profiles.own_card(edited, self._addresses)

    def get(self, tenant_id: str, person_id: str) -> Person:
        """The person as moderators see it; NotFound."""
        person = self._store.get(tenant_id, person_id) if is_id(person_id) else None
        if person is None:
            raise NotFound(f"nobody signed up as {shown(person_id)}")
        return person

    def settle(
        self, tenant_id: str, person_id: str, verdict: Verdict, expected_revision: int, decided_by: str
    ) -> Person:
        """What moderation says of a profile later. NotFound; Conflict when the person changed meanwhile."""
        before = self.get(tenant_id, person_id)
        if before.revision != expected_revision:
            raise Conflict(f"revision {expected_revision} is not the newest, that is {before.revision}: look again")
        settled = self._kept(profiles.moderated(before, verdict, decided_by), before.revision)
        if decided_by != profiles.CHECKER and settled.state is not before.state:
            text = " ".join(settled.reasons) or "Your profile was found to be in order."
            self._notifier.tell(tenant_id, person_id, NotificationKind.PROFILE_DECIDED, text=text)
        return settled

    def check_waiting(self, limit: int = 100) -> int:
        """Have profiles checked that were written while moderation was away; how many were. For a job beside."""
        if self._checker is None:
            return 0
        checked, after = 0, ("", "")
        while checked < limit and (waiting := self._store.in_state(ProfileState.CHECKING, after, limit)):
            after = waiting[-1].tenant_id, waiting[-1].person_id
            for person in waiting:
                # One with reasons is held: a person is to look.
                if person.reasons or (verdict := self._verdict(person)) is None:
                    continue
                by = profiles.CHECKER
                self._was_judged(self.settle(person.tenant_id, person.person_id, verdict, person.revision, by), verdict)
                checked += 1
        return checked

    def profile(self, tenant_id: str, request: GetProfileRequest) -> Profile:
        """What a creator's page shows. NotFound when there is no such person, or one of the two blocked the other."""
        viewer_id = self._signed_in.viewer(tenant_id, request.viewer_id)
        sight = self._sights.of(tenant_id, viewer_id)
        person = self._wanted(tenant_id, request)
        if person.person_id in sight.blocked:
            self._signed_in.refuse("person_id", request.person_id or request.handle)
        posts, likes = self._posts.totals(tenant_id, person.person_id)
        card = profiles.own_card if viewer_id == person.person_id else profiles.card_for_others
        return Profile(
            person=card(person, self._addresses),
            posts=posts,
            likes=likes,
            product_ids=self._products(tenant_id, person.person_id),
            badge=self._badges.badge(tenant_id, person.person_id) if self._badges is not None else "",
            followed_by_viewer=person.person_id in sight.followed,
            muted_by_viewer=person.person_id in sight.muted,
        )

    def posts(self, tenant_id: str, request: ListPostsRequest) -> PostList:
        """Posts of a creator or under a hashtag, newest first, as the viewer may see them."""
        viewer_id = self._signed_in.viewer(tenant_id, request.viewer_id)
        sight = self._sights.of(tenant_id, viewer_id)
        tag = _asked_tag(request)
        size, listed = size_of(request.page_size), f"posts {tag or request.creator_id}"
        place = place_of(listed, request.cursor, FROM_THE_NEWEST)
        found: list[Post] = []
        looked = 0
        while portion := self._portion(tenant_id, request.creator_id, tag, place, size):
            for post in portion:
                place = (post.published_at_ms, post.post_id)
                if may_see(post, viewer_id, sight) and (not tag or _is_wanted(post, sight)):
                    found.append(post)
                if len(found) == size:
                    break
            looked += len(portion)
            if len(found) == size or len(portion) < size or looked >= _MOST_LOOKED_THROUGH:
                break
        more = (portion and (portion[-1].published_at_ms, portion[-1].post_id) != place) or len(portion) == size
        tallies = self._posts.tallies(tenant_id, [post.post_id for post in found])
        cards = tuple(card_of(post, tallies, viewer_id, self._addresses) for post in found)
        return PostList(cards, cursor_of(listed, *place) if more else "")

    def _portion(self, tenant_id: str, creator_id: str, tag: str, before: tuple[int, str], limit: int) -> list[Post]:
        if tag:
            return self._posts.newest_tagged(tenant_id, tag, before, limit)
        return self._posts.newest_of(tenant_id, creator_id, before, limit)

    def _wanted(self, tenant_id: str, request: GetProfileRequest) -> Person:
        if request.handle and not request.person_id:
            skeleton = handles.skeleton(request.handle[: 4 * handles.MOST_CHARS])
            person = self._store.looking_like(tenant_id, [skeleton]).get(skeleton)
            # A handle that looks like somebody's is not that one's; and one that nobody has looked at leads to nobody.
            seen = person is not None and (
                person.person_id == request.viewer_id or (person.shown and person.shown.handle == person.handle)
            )
            if person is None or not seen or person.handle != handles.normalised(request.handle):
                self._signed_in.refuse("handle", request.handle)
            return person
        return self._signed_in.require(tenant_id, request.person_id)

    def _picture(
        self, tenant_id: str, person_id: str, media_id: str, errors: list[FieldError]
    ) -> ProfilePicture | None:
        if not media_id:
            return None
        found = self._media.find(tenant_id, [media_id])[0] if is_id(media_id) else None
        if found is None or found.creator_id != person_id:
            remedy = "upload and finish it first, as this person"
            errors.append(FieldError("picture_media_id", f"no medium {shown(media_id)}", remedy))
        elif found.kind is not MediaKind.IMAGE:
            errors.append(FieldError("picture_media_id", "is a video", "give a picture"))
        elif found.outcome is not Outcome.CLEAN:
            errors.append(FieldError("picture_media_id", "was taken down by moderation", "give another one, or appeal"))
        else:
            file = next(one.name for one in found.renditions if one.content_type == "image/jpeg")
            return ProfilePicture(media_id, file)
        return None

    def _verdict(self, person: Person) -> Verdict | None:
        """None when nobody could look: the profile waits."""
        if self._checker is None:
            return None
        fields = {"handle": person.handle, "display_name": person.display_name, "bio": person.bio}
        picture_id = person.picture.media_id if person.picture else ""
        try:
            return self._checker.check_profile(fields, person.links, picture_id, person)
        except BackendUnavailable:
            return None

    def _kept(self, person: Person, revision: int) -> Person:
        kept = self._store.edit(person, handles.skeleton(person.handle), revision)
        if kept is None:
            self._signed_in.refuse("person_id", person.person_id)
        self._changed(kept)
        return kept

    def _was_judged(self, person: Person, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._judged(person, verdict)

    def _products(self, tenant_id: str, creator_id: str) -> tuple[str, ...]:
        newest = self._posts.newest_of(tenant_id, creator_id, FROM_THE_NEWEST, _POSTS_OF_PRODUCTS)
        counts = Counter(tag.product_id for post in newest if post.state in SEEN for tag in post.product_tags)
        return tuple(product_id for product_id, _ in counts.most_common(_MOST_PRODUCTS))


def _is_wanted(post: Post, sight: Sight) -> bool:
    # Under a hashtag posts are offered to those who did not ask for this creator.
    return post.state is PostState.CLEAN and sight.sees(post.creator_id, text_of(post))


def _asked_tag(request: ListPostsRequest) -> str:
    if bool(request.creator_id) == bool(request.hashtag):
        raise InvalidInput([FieldError("creator_id", shown(request.creator_id), "give it or hashtag, one of the two")])
    if request.creator_id and not is_id(request.creator_id):
        raise InvalidInput([FieldError("creator_id", shown(request.creator_id), "give the id of a creator")])
    return normalised_hashtags([request.hashtag[:200]])[0] if request.hashtag else ""


def _said_errors(request: SignUpRequest | EditPersonRequest) -> list[FieldError]:
    errors = handles.errors("handle", request.handle)
    errors += text_errors("display_name", request.display_name, MAX_NAME_CHARS, least_chars=1)
    errors += text_errors("bio", request.bio, MAX_BIO_CHARS, lines=True)
    if len(request.links) > MAX_LINKS:
        errors.append(FieldError("links", f"{len(request.links)} links", f"give at most {MAX_LINKS}"))
    remedy = f"give an http(s) address with a host, at most {MAX_URL_CHARS} characters"
    return errors + [
        FieldError(f"links[{at}]", shown(link), remedy)
        for at, link in enumerate(request.links[:MAX_LINKS])
        if not is_web_address(link)
    ]


def _key_error(key: str) -> FieldError:
    return FieldError("idempotency_key", shown(key), "give 1 to 64 printable characters, fresh for each write")
