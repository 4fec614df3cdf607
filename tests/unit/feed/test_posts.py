from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.posts_sql import SqlPostStore
from common.clock import SteppedClock
from common.errors import Conflict, InvalidInput, NotFound
from feed.media.record import ErasedMedia, Media, MediaKind, Rendition
from feed.post import Disclosure, Post, PostMedia, PostState, ProductTag
from feed.post_pages import cursor_after
from feed.posts import ErasedCreator, Posts
from feed.verdict import Finding, Label, Outcome, Verdict
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, Shop, ToldChecker, a_draft, a_product

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def shop() -> Shop:
    return Shop([a_product("shoe")])


class Scene:
    """Posts over the embedded store, with a shop, a checker and media that a test may change."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.engine = open_database(folder)
        self.clock = SteppedClock(NOW_MS)
        self.checker = ToldChecker()
        self.told: list[Post] = []
        self.media: dict[str, Media] = {}
        self.posts = Posts(
            store=SqlPostStore(self.engine), clock=self.clock, products=shop, checker=self.checker, media=self,
            tell=self.told.append,
        )  # fmt: skip

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> list[Media | None]:
        return [self.media.get(media_id) for media_id in media_ids]

    def erase_creator(self, tenant_id: str, creator_id: str) -> ErasedMedia:
        mine = [media_id for media_id, media in self.media.items() if media.creator_id == creator_id]
        for media_id in mine:
            del self.media[media_id]
        return ErasedMedia(len(mine), len(mine))

    def states(self, post_id: str) -> list[str]:
        """The history as `actor: before > after`, oldest first."""
        steps = [step for _, step in self.posts.history(TENANT, post_id, "creator-1", 0, 100)]
        return [f"{s.actor}: {s.before.name if s.before else '-'} > {s.after.name}" for s in reversed(steps)]


@pytest.fixture
def scene(tmp_path: Path, shop: Shop) -> Iterator[Scene]:
    made = Scene(tmp_path, shop)
    yield made
    made.engine.dispose()


@pytest.fixture
def posts(scene: Scene) -> Posts:
    return scene.posts


def fields_of(posts: Posts, key: str = "key", **changes: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        posts.create(TENANT, key, a_draft(**changes))
    return [error.field for error in refused.value.errors]


def test_a_post_is_published_now_with_normalised_hashtags(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft(caption="Hi\nyou", hashtags=("#Boots", "boots", "ＲＥＤ", "हाट")))

    assert post.published_at_ms == NOW_MS
    assert post.hashtags == ("boots", "red", "हाट")
    assert post.state is PostState.CLEAN
    assert posts.get(TENANT, post.post_id) == post


def test_the_same_key_gives_the_same_post_and_another_request_a_conflict(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft())

    assert posts.create(TENANT, "key", a_draft()) == post
    with pytest.raises(Conflict):
        posts.create(TENANT, "key", a_draft(caption="other"))
    with pytest.raises(Conflict):
        posts.withdraw(TENANT, "key", post.post_id)
    assert posts.create("b" * 32, "key", a_draft()).post_id != post.post_id


def test_a_repeated_request_is_answered_even_when_the_product_is_gone(posts: Posts, shop: Shop) -> None:
    draft = a_draft(product_tags=(ProductTag("shoe", 0.5, 0.5),))
    post = posts.create(TENANT, "key", draft)
    shop.by_id.clear()

    assert posts.create(TENANT, "key", draft) == post


def test_every_field_that_cannot_be_taken_is_named_at_once(posts: Posts) -> None:
    fields = fields_of(
        posts,
        key="",
        creator_id="",
        caption="x" * 2201,
        image_urls=("https://img.example/1.jpg", "javascript:alert(1)"),
        product_tags=(
            ProductTag("shoe", 0, 1),
            ProductTag("unknown", 0.5, 0.5),
            ProductTag("shoe", math.nan, 1.01),
            ProductTag("", -0.1, math.inf),
        ),
        hashtags=("fine", "two words"),
        published_at_ms=NOW_MS + 10_000_000,
        claimed=("likes",),
    )

    assert sorted(fields) == sorted([
        "idempotency_key", "post.creator_id", "post.caption", "post.image_urls[1]", "post.product_tags[1].product_id",
        "post.product_tags[2].x", "post.product_tags[2].y", "post.product_tags[3].product_id",
        "post.product_tags[3].x", "post.product_tags[3].y", "post.hashtags[1]", "post.published_at_ms", "post.likes",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"caption": "bell \x07"}, "post.caption"),
        ({"caption": "turned \u202e round"}, "post.caption"),
        ({"caption": "nul \x00"}, "post.caption"),
        ({"image_urls": ()}, "post.image_urls"),
        ({"image_urls": ("https://img.example/1.jpg",) * 11}, "post.image_urls"),
        ({"image_urls": ("ftp://img.example/1.jpg",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://user:word@img.example/",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://img.example/a b",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://[broken/",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://img.example:99999/",)}, "post.image_urls[0]"),
        ({"image_urls": ("https://img.example/" + "a" * 2048,)}, "post.image_urls[0]"),
        ({"product_tags": (ProductTag("shoe", 0.5, 0.5),) * 21}, "post.product_tags"),
        ({"hashtags": ("#",)}, "post.hashtags[0]"),
        ({"hashtags": ("a" * 101,)}, "post.hashtags[0]"),
        ({"hashtags": tuple(f"t{n}" for n in range(31))}, "post.hashtags"),
        ({"published_at_ms": -1}, "post.published_at_ms"),
        ({"creator_id": "a" * 65}, "post.creator_id"),
        ({"creator_id": "a\nb"}, "post.creator_id"),
    ],
)
def test_what_cannot_stand_in_a_post_is_refused_by_its_path(posts: Posts, changes: dict[str, Any], field: str) -> None:
    assert fields_of(posts, **changes) == [field]


@pytest.mark.parametrize("caption", ["", "x" * 2200, "two\nlines", "family 👨‍👩‍👧", "मेरी दुकान", "a\u200cb"], ids=ascii)
def test_captions_of_any_script_are_taken(posts: Posts, caption: str) -> None:
    assert posts.create(TENANT, "key", a_draft(caption=caption)).caption == caption


def test_withdrawing_is_final_and_idempotent(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft())
    withdrawn = posts.withdraw(TENANT, "key 2", post.post_id)

    assert (withdrawn.state, withdrawn.revision) == (PostState.WITHDRAWN, 2)
    assert posts.withdraw(TENANT, "key 2", post.post_id) == withdrawn
    assert posts.withdraw(TENANT, "key 3", post.post_id) == withdrawn


def test_another_tenants_post_does_not_exist(posts: Posts) -> None:
    post = posts.create(TENANT, "key", a_draft())

    for post_id, tenant in ((post.post_id, "b" * 32), ("f" * 32, TENANT), ("'; drop\x00", TENANT), ("", TENANT)):
        with pytest.raises(NotFound):
            posts.get(tenant, post_id)
        with pytest.raises(NotFound):
            posts.withdraw(tenant, "key 2", post_id)


SPAM = Finding(Label.SPAM, 0.9, 0.8, "caption", "buy now")


def a_medium(number: int = 1, **changes: Any) -> Media:
    facts: dict[str, Any] = {
        "media_id": f"{number:032x}", "tenant_id": TENANT, "creator_id": "creator-1", "kind": MediaKind.IMAGE,
        "width": 640, "height": 480, "duration_ms": 0, "picture_hash": b"hash",
        "renditions": (Rendition("a" * 64 + ".webp", "image/webp", 640, 480, 99),),
    }  # fmt: skip
    return Media(**{**facts, **changes})


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.CLEAN, PostState.CLEAN),
        (Outcome.LIMITED, PostState.LIMITED),
        (Outcome.HELD, PostState.CHECKING),
        (Outcome.REMOVED, PostState.REMOVED),
    ],
)
def test_what_the_check_finds_decides_where_a_post_is_seen_and_its_creator_sees_why(
    scene: Scene, outcome: Outcome, state: PostState
) -> None:
    scene.checker.says(outcome, SPAM)

    post = scene.posts.create(TENANT, "key", a_draft(caption="buy now"))

    assert (post.state, post.revision) == (state, 1)
    assert scene.posts.get(TENANT, post.post_id).verdict == scene.checker.verdict
    assert scene.states(post.post_id) == ["creator: - > CHECKING", f"checker: CHECKING > {state.name}"]
    assert scene.told == [post]
    if outcome in (Outcome.HELD, Outcome.REMOVED):
        with pytest.raises(NotFound):
            scene.posts.seen_by(TENANT, post.post_id, "")
        with pytest.raises(NotFound):
            scene.posts.seen_by(TENANT, post.post_id, "creator-2")
    else:
        assert scene.posts.seen_by(TENANT, post.post_id, "") == post
    assert scene.posts.seen_by(TENANT, post.post_id, "creator-1") == post


def test_a_post_whose_check_fails_is_its_authors_alone_until_a_check_is_made(scene: Scene) -> None:
    scene.checker.broken = True
    post = scene.posts.create(TENANT, "key", a_draft())

    assert (post.state, post.verdict) == (PostState.CHECKING, None)
    with pytest.raises(NotFound):
        scene.posts.seen_by(TENANT, post.post_id, "")
    assert scene.posts.check_missed() == 0
    scene.checker.broken = False
    assert scene.posts.check_missed() == 1
    assert scene.posts.check_missed() == 0
    assert scene.posts.seen_by(TENANT, post.post_id, "").state is PostState.CLEAN
    assert scene.told[-1].state is PostState.CLEAN


def test_a_draft_is_seen_by_its_author_alone_and_checked_when_it_is_published(scene: Scene) -> None:
    draft = scene.posts.create(TENANT, "key", a_draft(draft=True))
    assert draft.state is PostState.DRAFT
    assert scene.checker.seen == []
    with pytest.raises(NotFound):
        scene.posts.seen_by(TENANT, draft.post_id, "creator-2")

    better = scene.posts.edit(TENANT, "k2", draft.post_id, a_draft(caption="Better"), 1)
    assert (better.state, better.revision) == (PostState.DRAFT, 2)
    scene.clock.step(1_000)
    post = scene.posts.publish(TENANT, "k3", draft.post_id, "creator-1", 2)

    assert (post.state, post.published_at_ms, post.revision) == (PostState.CLEAN, NOW_MS + 1_000, 3)
    assert scene.posts.publish(TENANT, "k3", draft.post_id, "creator-1", 2) == post
    with pytest.raises(Conflict, match="published already"):
        scene.posts.publish(TENANT, "k4", draft.post_id, "creator-1", 3)
    assert scene.checker.seen == ["Better"]


def test_a_scheduled_post_is_published_when_its_time_has_come_and_not_before(scene: Scene) -> None:
    post = scene.posts.create(TENANT, "key", a_draft(publish_at_ms=NOW_MS + 60_000))
    assert (post.state, post.publish_at_ms) == (PostState.DRAFT, NOW_MS + 60_000)

    scene.clock.step(59_999)
    assert scene.posts.publish_due() == 0
    scene.clock.step(5_000)
    assert scene.posts.publish_due() == 1
    assert scene.posts.publish_due() == 0

    published = scene.posts.seen_by(TENANT, post.post_id, "")
    assert (published.state, published.published_at_ms, published.publish_at_ms) == (
        PostState.CLEAN, NOW_MS + 60_000, 0,
    )  # fmt: skip
    assert scene.states(post.post_id)[1:] == ["clock: DRAFT > CHECKING", "checker: CHECKING > CLEAN"]


def test_a_scheduled_post_whose_product_is_gone_stays_a_draft_and_says_why(scene: Scene, shop: Shop) -> None:
    tagged = a_draft(publish_at_ms=NOW_MS + 1, product_tags=(ProductTag("shoe", 0.5, 0.5),))
    post = scene.posts.create(TENANT, "key", tagged)
    shop.by_id.clear()
    scene.clock.step(1)

    assert scene.posts.publish_due() == 1
    assert scene.posts.publish_due() == 0
    kept = scene.posts.get(TENANT, post.post_id)
    assert (kept.state, kept.publish_at_ms) == (PostState.DRAFT, 0)
    (_, newest), *_ = scene.posts.history(TENANT, post.post_id, "creator-1", 0, 1)
    assert "post.product_tags[0].product_id" in newest.why
    with pytest.raises(InvalidInput, match="unknown product"):
        scene.posts.publish(TENANT, "k2", post.post_id, "creator-1", kept.revision)


def test_an_edit_is_checked_again_and_its_revisions_stay_readable(scene: Scene) -> None:
    post = scene.posts.create(TENANT, "key", a_draft(caption="First"))
    scene.checker.says(Outcome.HELD)
    edited = scene.posts.edit(TENANT, "k2", post.post_id, a_draft(caption="Second"), 1)

    assert (edited.state, edited.revision, edited.published_at_ms) == (PostState.CHECKING, 2, NOW_MS)
    assert scene.checker.seen == ["First", "Second"]
    found = scene.posts.revisions(TENANT, post.post_id, "creator-1", 0, 0)
    assert [(one.revision, one.caption) for one in found] == [(2, "Second"), (1, "First")]
    with pytest.raises(NotFound):
        scene.posts.revisions(TENANT, post.post_id, "creator-2", 0, 0)


def test_an_edit_of_a_revision_that_is_not_the_newest_is_a_conflict_and_changes_nothing(scene: Scene) -> None:
    post = scene.posts.create(TENANT, "key", a_draft())
    edited = scene.posts.edit(TENANT, "k2", post.post_id, a_draft(caption="One"), 1)

    with pytest.raises(Conflict, match="revision 2 and not at 1"):
        scene.posts.edit(TENANT, "k3", post.post_id, a_draft(caption="Other"), 1)
    assert scene.posts.edit(TENANT, "k2", post.post_id, a_draft(caption="One"), 1) == edited
    assert scene.posts.get(TENANT, post.post_id) == edited


def test_nobody_edits_publishes_withdraws_or_appeals_anothers_post(scene: Scene) -> None:
    scene.checker.says(Outcome.LIMITED)
    post = scene.posts.create(TENANT, "key", a_draft())
    draft = scene.posts.create(TENANT, "k2", a_draft(draft=True))
    tries: list[Callable[[], object]] = [
        lambda: scene.posts.edit(TENANT, "k3", post.post_id, a_draft(creator_id="creator-2"), 1),
        lambda: scene.posts.publish(TENANT, "k4", draft.post_id, "creator-2", 1),
        lambda: scene.posts.withdraw(TENANT, "k5", post.post_id, "creator-2"),
        lambda: scene.posts.appeal(TENANT, post.post_id, "no", creator_id="creator-2"),
        lambda: scene.posts.history(TENANT, post.post_id, "creator-2", 0, 0),
        lambda: scene.posts.edit("b" * 32, "k6", post.post_id, a_draft(), 1),
        lambda: scene.posts.decide("b" * 32, post.post_id, Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "mod", 1),
    ]

    for attempt in tries:
        with pytest.raises(NotFound):
            attempt()
    assert scene.posts.get(TENANT, post.post_id) == post


def test_an_appeal_is_decided_once_by_a_person_and_is_then_the_last_word(scene: Scene) -> None:
    scene.checker.says(Outcome.LIMITED, SPAM)
    post = scene.posts.create(TENANT, "key", a_draft())
    appealed = scene.posts.appeal(TENANT, post.post_id, "  It is my own shop  ", creator_id="creator-1", key="k2")

    assert (appealed.state, appealed.appeal, appealed.revision) == (PostState.APPEALED, "It is my own shop", 2)
    assert scene.posts.seen_by(TENANT, post.post_id, "") == appealed, "an appeal takes nothing away"
    assert scene.posts.appeal(TENANT, post.post_id, "  It is my own shop  ", creator_id="creator-1", key="k2")
    with pytest.raises(Conflict):
        scene.posts.appeal(TENANT, post.post_id, "again")
    verdict = Verdict(Outcome.REMOVED, 1.0, (SPAM,), "a person")
    with pytest.raises(Conflict):
        scene.posts.decide(TENANT, post.post_id, Outcome.REMOVED, verdict, "mod-1", 1)
    removed = scene.posts.decide(TENANT, post.post_id, Outcome.REMOVED, verdict, "mod-1", 2)

    assert (removed.state, removed.decided_by, removed.verdict) == (PostState.REMOVED, "mod-1", verdict)
    with pytest.raises(Conflict, match="last word"):
        scene.posts.appeal(TENANT, post.post_id, "again")
    with pytest.raises(NotFound):
        scene.posts.seen_by(TENANT, post.post_id, "")
    assert scene.states(post.post_id)[-2:] == ["creator: LIMITED > APPEALED", "moderator: APPEALED > REMOVED"]


def test_an_appeal_needs_words(scene: Scene) -> None:
    scene.checker.says(Outcome.LIMITED)
    post = scene.posts.create(TENANT, "key", a_draft())

    for text in ("", " \u200b ", "x" * 1_001, "turned \u202e round"):
        with pytest.raises(InvalidInput) as refused:
            scene.posts.appeal(TENANT, post.post_id, text)
        assert [error.field for error in refused.value.errors] == ["text"]


def test_what_a_person_limited_is_not_cleared_by_an_edit_alone(scene: Scene) -> None:
    post = scene.posts.create(TENANT, "key", a_draft())
    scene.posts.decide(TENANT, post.post_id, Outcome.LIMITED, Verdict(Outcome.LIMITED, 0.5), "mod-1", 1)

    for number, revision in enumerate((2, 3)):
        edited = scene.posts.edit(TENANT, f"e{number}", post.post_id, a_draft(caption=f"{number}"), revision)
        assert edited.state is PostState.CHECKING, "held for a person, also at the second try"
        assert edited.verdict is not None
        assert edited.verdict.outcome is Outcome.HELD
    cleared = scene.posts.decide(TENANT, post.post_id, Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "mod-2", 4)
    assert cleared.state is PostState.CLEAN
    again = scene.posts.edit(TENANT, "e9", post.post_id, a_draft(caption="9"), 5)
    assert again.state is PostState.CLEAN, "what a person cleared is checked as any other post"


@pytest.mark.parametrize("outcome", [Outcome.REMOVED, Outcome.LIMITED])
def test_a_moderator_can_take_back_what_was_decided(scene: Scene, outcome: Outcome) -> None:
    post = scene.posts.create(TENANT, "key", a_draft())
    scene.posts.decide(TENANT, post.post_id, outcome, Verdict(outcome, 0.5), "mod-1", 1, why="first look")
    back = scene.posts.decide(TENANT, post.post_id, Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "mod-2", 2, why="undo")

    assert back.state is PostState.CLEAN
    steps = [step for _, step in scene.posts.history(TENANT, post.post_id, "creator-1", 0, 2)]
    assert [(step.by, step.why) for step in steps] == [("mod-2", "undo"), ("mod-1", "first look")]


def test_what_is_withdrawn_a_draft_or_removed_is_not_moved_by_who_may_not(scene: Scene) -> None:
    draft = scene.posts.create(TENANT, "k1", a_draft(draft=True))
    gone = scene.posts.create(TENANT, "k2", a_draft())
    scene.posts.withdraw(TENANT, "k3", gone.post_id)
    scene.checker.says(Outcome.REMOVED)
    removed = scene.posts.create(TENANT, "k4", a_draft())
    clean = Verdict(Outcome.CLEAN, 0)
    tries: list[Callable[[], object]] = [
        lambda: scene.posts.decide(TENANT, draft.post_id, Outcome.CLEAN, clean, "mod", 1),
        lambda: scene.posts.decide(TENANT, gone.post_id, Outcome.CLEAN, clean, "mod", 2),
        lambda: scene.posts.edit(TENANT, "k5", gone.post_id, a_draft(), 2),
        lambda: scene.posts.edit(TENANT, "k6", removed.post_id, a_draft(), 1),
        lambda: scene.posts.publish(TENANT, "k7", gone.post_id, "creator-1", 2),
        lambda: scene.posts.appeal(TENANT, draft.post_id, "why"),
        lambda: scene.posts.appeal(TENANT, gone.post_id, "why"),
    ]

    for attempt in tries:
        with pytest.raises(Conflict):
            attempt()


def test_a_post_is_listed_to_its_author_in_every_state_and_to_others_where_they_see_it(scene: Scene) -> None:
    made = []
    for number in range(5):
        scene.checker.says([Outcome.CLEAN, Outcome.LIMITED, Outcome.HELD][number % 3])
        scene.clock.step(1)
        made.append(scene.posts.create(TENANT, f"k{number}", a_draft(caption=f"{number}")))

    mine = scene.posts.by_creator(TENANT, "creator-1", "creator-1", "", 0)
    others = scene.posts.by_creator(TENANT, "creator-1", "creator-2", "", 0)
    assert [post.caption for post in mine] == ["4", "3", "2", "1", "0"]
    assert [post.caption for post in others] == ["4", "3", "1", "0"]
    first = scene.posts.by_creator(TENANT, "creator-1", "creator-1", "", 2)
    rest = scene.posts.by_creator(TENANT, "creator-1", "creator-1", cursor_after(first[-1]), 9)
    assert first + rest == mine
    for cursor in ("x", "1", "-", "1-'; drop", "9" * 30 + "-a"):
        with pytest.raises(InvalidInput, match="cursor"):
            scene.posts.by_creator(TENANT, "creator-1", "", cursor, 0)
    with pytest.raises(InvalidInput, match="page_size"):
        scene.posts.by_creator(TENANT, "creator-1", "", "", 101)


def test_pictures_carry_their_alt_text_and_are_handed_to_the_check(scene: Scene) -> None:
    scene.media = {f"{1:032x}": a_medium(1), f"{2:032x}": a_medium(2)}
    media = (PostMedia(media_id=f"{1:032x}", alt_text=" Red shoes "), PostMedia(media_id=f"{2:032x}"))
    tag = ProductTag("shoe", 0.5, 0.5, picture=1)

    post = scene.posts.create(TENANT, "key", a_draft(image_urls=(), media=media, product_tags=(tag,)))

    assert [(one.alt_text, one.width, one.kind) for one in post.media] == [
        ("Red shoes", 640, MediaKind.IMAGE), ("", 640, MediaKind.IMAGE),
    ]  # fmt: skip
    assert post.media[0].renditions == a_medium().renditions
    assert [(one.where, one.picture_hash) for one in scene.checker.pictures] == [
        ("media[0]", b"hash"), ("media[1]", b"hash"),
    ]  # fmt: skip


def test_a_text_alone_can_be_posted(posts: Posts) -> None:
    assert posts.create(TENANT, "key", a_draft(caption="Words", image_urls=())).media == ()


def test_media_of_others_and_tags_of_foreign_or_dead_products_are_refused_by_their_field(
    scene: Scene, shop: Shop
) -> None:
    scene.media = {f"{1:032x}": a_medium(1, creator_id="creator-2")}
    shop.by_id |= {
        "foreign": a_product("foreign", tenant_id="b" * 32), "dead": a_product("dead", in_stock=False),
    }  # fmt: skip
    tags = tuple(ProductTag(name, 0.5, 0.5) for name in ("shoe", "foreign", "dead", "unknown"))
    media = (PostMedia(media_id=f"{1:032x}"), PostMedia(media_id=f"{9:032x}"), PostMedia())

    assert fields_of(scene.posts, image_urls=(), media=media, product_tags=tags) == [
        "post.media[2].media_id", "post.product_tags[1].product_id", "post.product_tags[3].product_id",
        "post.product_tags[2].product_id", "post.media[0].media_id", "post.media[1].media_id",
    ]  # fmt: skip


def test_a_foreign_product_is_told_from_an_unknown_one_by_nobody(scene: Scene, shop: Shop) -> None:
    shop.by_id |= {"foreign": a_product("foreign", tenant_id="b" * 32)}
    values = []
    for name in ("foreign", "unheard"):
        with pytest.raises(InvalidInput) as refused:
            scene.posts.create(TENANT, "key", a_draft(product_tags=(ProductTag(name, 0, 0),)))
        values.append(refused.value.errors[0].value.replace(name, "X"))

    assert values[0] == values[1]


def test_an_edit_keeps_a_tag_whose_product_sold_out_meanwhile(scene: Scene, shop: Shop) -> None:
    tagged = a_draft(product_tags=(ProductTag("shoe", 0.5, 0.5),))
    post = scene.posts.create(TENANT, "key", tagged)
    shop.by_id["shoe"] = a_product("shoe", in_stock=False)

    assert scene.posts.edit(TENANT, "k2", post.post_id, tagged, 1).product_tags == tagged.product_tags


@pytest.mark.parametrize(
    "changes",
    [{"paid": True}, {"hashtags": ("#Ad",)}, {"caption": "Look, #werbung!"}, {"hashtags": ("ＳＰＯＮＳＯＲＥＤ",)}],
    ids=["flag", "hashtag", "caption", "full width"],
)
def test_a_post_that_says_it_is_paid_needs_its_label(posts: Posts, changes: dict[str, Any]) -> None:
    assert fields_of(posts, **changes) == ["post.disclosure"]

    labelled = a_draft(**changes, disclosure=Disclosure.PAID_PARTNERSHIP, partner="Bruma")
    post = posts.create(TENANT, "key", labelled)
    assert (post.paid, post.disclosure, post.partner) == (True, Disclosure.PAID_PARTNERSHIP, "Bruma")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"media": (PostMedia(url="https://a.example/1.png"),)}, "post.image_urls"),
        ({"image_urls": (), "media": (PostMedia(url="javascript:alert(1)"),)}, "post.media[0].url"),
        ({"image_urls": (), "media": (PostMedia(url="https://a.example/1"),) * 11}, "post.media"),
        ({"image_urls": (), "media": (PostMedia(url="https://a.example/", alt_text="x" * 1001),)},
         "post.media[0].alt_text"),
        ({"image_urls": (), "media": (PostMedia(url="https://a.example/", alt_text="\u202egnp.exe"),)},
         "post.media[0].alt_text"),
        ({"product_tags": (ProductTag("shoe", 0.5, 0.5, picture=1),)}, "post.product_tags[0].picture"),
        ({"product_tags": (ProductTag("shoe", 0.5, 0.5, picture=-1),)}, "post.product_tags[0].picture"),
        ({"partner": "Bruma"}, "post.disclosure"),
        ({"partner": "x" * 101, "disclosure": Disclosure.GIFTED}, "post.partner"),
        ({"partner": "two\nlines", "disclosure": Disclosure.GIFTED}, "post.partner"),
        ({"publish_at_ms": NOW_MS - 1}, "post.publish_at_ms"),
        ({"publish_at_ms": NOW_MS + 400 * 86_400_000}, "post.publish_at_ms"),
        ({"publish_at_ms": NOW_MS + 1, "published_at_ms": NOW_MS}, "post.published_at_ms"),
        ({"caption": "z" + "\u0301" * 9}, "post.caption"),
        ({"caption": "isolated \u2066 text"}, "post.caption"),
        ({"caption": "private \ue000"}, "post.caption"),
        ({"caption": "x" * (1 << 20)}, "post.caption"),
    ],
)  # fmt: skip
def test_what_else_cannot_stand_in_a_post_is_refused_too(posts: Posts, changes: dict[str, Any], field: str) -> None:
    assert fields_of(posts, **changes) == [field]


def test_a_host_that_is_not_listed_may_not_show_its_pictures(scene: Scene, shop: Shop) -> None:
    strict = Posts(
        store=SqlPostStore(scene.engine), clock=scene.clock, products=shop, checker=scene.checker,
        picture_hosts=("cdn.shop.example",),
    )  # fmt: skip

    assert fields_of(strict, image_urls=("https://cdn.shop.example.evil.example/1.jpg",)) == ["post.image_urls[0]"]
    assert strict.create(TENANT, "key", a_draft(image_urls=("https://cdn.shop.example/1.jpg",))).image_urls


def test_erasing_a_creator_leaves_no_post_and_tells_the_index(scene: Scene) -> None:
    post = scene.posts.create(TENANT, "key", a_draft(caption="Secret"))
    scene.posts.edit(TENANT, "k2", post.post_id, a_draft(caption="Secret too"), 1)
    kept = scene.posts.create(TENANT, "k3", a_draft(creator_id="creator-2"))

    erased = scene.posts.erase_creator(TENANT, "creator-1")

    assert erased == ErasedCreator(posts=1, revisions=2, history=4, media=0, files=0)
    with pytest.raises(NotFound):
        scene.posts.get(TENANT, post.post_id)
    assert (scene.told[-1].post_id, scene.told[-1].caption, scene.told[-1].revision) == (post.post_id, "", 3)
    assert scene.posts.get(TENANT, kept.post_id) == kept
