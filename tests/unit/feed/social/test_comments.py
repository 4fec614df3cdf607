from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import Conflict, InvalidInput, NotFound
from feed.post import PostState
from feed.social.calls import Relate
from feed.social.calls_said import Comment
from feed.social.words import CommentState
from feed.verdict import Outcome, Verdict
from tests.feed_builders import TENANT
from tests.social_worlds import World, social_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea", "cyd"]) as opened:
        yield opened


def counted(world: World) -> int:
    return int(world.call("ListPosts", creator_id="ana").posts[0].comments)


def one(world: World, post: str, comment_id: str, viewer_id: str = "", parent_id: str = "") -> Comment:
    listed = world.call("ListComments", post_id=post, viewer_id=viewer_id, parent_id=parent_id)
    found: Comment = next(comment for comment in listed.comments if comment.comment_id == comment_id)
    return found


def test_the_same_key_writes_one_comment_and_is_judged_once(world: World) -> None:
    post = world.post(1)
    said = {"idempotency_key": "k", "person_id": "bea", "post_id": post, "text": "nice"}

    assert world.call("AddComment", **said) == world.call("AddComment", **said)
    assert world.comments(post) == ["nice"]
    assert (counted(world), len(world.checker.asked)) == (1, 1)
    with pytest.raises(Conflict):
        world.call("AddComment", **{**said, "text": "other"})


@pytest.mark.parametrize(
    ("text", "state", "seen_by_all"),
    [("fine", CommentState.CLEAN, True), ("spam", CommentState.LIMITED, True), ("odd", CommentState.CHECKING, False),
     ("vile", CommentState.REMOVED, False)],
)  # fmt: skip
def test_what_is_not_clean_is_seen_by_its_author_alone(
    world: World, text: str, state: CommentState, seen_by_all: bool
) -> None:
    post = world.post(1)
    written = world.comment(post, "bea", text)

    assert written.state is state
    assert bool(written.reasons) == (state is not CommentState.CLEAN)
    assert world.comments(post, "bea") == [text]
    for other in ("", "ana", "cyd"):
        assert world.comments(post, other) == ([text] if seen_by_all else [])
    assert counted(world) == int(seen_by_all)
    if seen_by_all:
        assert one(world, post, written.comment_id, "cyd").reasons == ()


def test_while_moderation_is_away_a_comment_waits_and_tells_nobody(world: World) -> None:
    post = world.post(1)
    world.checker.away = True
    world.comment(post, "bea", "hello @cyd")
    assert (world.comments(post, "bea"), world.comments(post), world.told("cyd")) == (["hello @cyd"], [], [])

    world.checker.away = False
    world.part.check_waiting()

    assert world.comments(post) == ["hello @cyd"]
    assert [kind for kind, *_ in world.told("cyd")] == ["MENTION"]
    assert [kind for kind, *_ in world.told("ana")] == ["COMMENT", "POST_CLEAN"]


def test_what_is_held_waits_for_a_person_and_not_for_the_machine(world: World) -> None:
    post = world.post(1)
    held = world.comment(post, "bea", "odd")
    world.part.check_waiting()
    assert len(world.checker.asked) == 1

    comments = next(one.answer for one in world.part.operations if one.name == "AddComment").__self__  # type: ignore[attr-defined]
    comments.settle(TENANT, held.comment_id, Verdict(Outcome.CLEAN, 0.0))

    assert world.comments(post) == ["odd"]
    assert counted(world) == 1


def test_replies_are_three_deep_at_most(world: World) -> None:
    post = world.post(1)
    parent = world.comment(post, "bea")
    for depth in (1, 2, 3):
        parent = world.comment(post, "cyd", f"reply {depth}", parent.comment_id)
        assert parent.depth == depth

    with pytest.raises(InvalidInput) as refused:
        world.comment(post, "bea", "too deep", parent.comment_id)
    assert [error.field for error in refused.value.errors] == ["parent_id"]
    assert counted(world) == 4
    assert one(world, post, parent.parent_id, parent_id=one_above(world, post)).replies == 1


def one_above(world: World, post: str) -> str:
    """The comment whose reply has the deepest reply."""
    top = world.call("ListComments", post_id=post).comments[0]
    return str(world.call("ListComments", post_id=post, parent_id=top.comment_id).comments[0].comment_id)


def test_a_reply_belongs_to_a_comment_of_the_same_post_that_its_author_sees(world: World) -> None:
    first, second = world.post(1), world.post(2)
    elsewhere = world.comment(first, "bea")
    unseen = world.comment(second, "bea", "vile")

    for parent_id in (elsewhere.comment_id, unseen.comment_id, "f" * 32, "x"):
        with pytest.raises(NotFound):
            world.comment(second, "cyd", "reply", parent_id)


def test_an_edit_is_judged_anew_and_needs_the_newest_revision(world: World) -> None:
    post = world.post(1)
    written = world.comment(post, "bea")
    edit = {"person_id": "bea", "comment_id": written.comment_id}

    edited = world.call("EditComment", **edit, revision=1, text="vile")

    assert (edited.state, edited.revision) == (CommentState.REMOVED, 2)
    assert (world.comments(post), counted(world)) == ([], 0)
    with pytest.raises(Conflict):
        world.call("EditComment", **edit, revision=1, text="fine")
    assert world.call("EditComment", **edit, revision=2, text="fine").state is CommentState.CLEAN
    assert (world.comments(post), counted(world)) == (["fine"], 1)


def test_others_edit_and_delete_nothing(world: World) -> None:
    post = world.post(1)
    written = world.comment(post, "bea")

    with pytest.raises(NotFound):
        world.call("EditComment", person_id="cyd", comment_id=written.comment_id, revision=1, text="x")
    with pytest.raises(NotFound):
        world.call("DeleteComment", person_id="ana", comment_id=written.comment_id)
    world.join("bea", tenant="b" * 32)
    with pytest.raises(NotFound):
        world.call("DeleteComment", "b" * 32, person_id="bea", comment_id=written.comment_id)


def test_a_deleted_comment_leaves_its_place_where_it_has_replies(world: World) -> None:
    post = world.post(1)
    parent, alone = world.comment(post, "bea", "parent"), world.comment(post, "bea", "alone")
    world.comment(post, "cyd", "reply", parent.comment_id)

    for gone in (parent, alone):
        world.call("DeleteComment", person_id="bea", comment_id=gone.comment_id)

    listed = world.call("ListComments", post_id=post).comments
    assert [(shown.text, shown.author_id, shown.state, shown.replies) for shown in listed] == [
        ("", "", CommentState.DELETED, 1)
    ]
    assert world.comments(post, parent_id=parent.comment_id) == ["reply"]
    assert counted(world) == 1


def test_the_creator_hides_comments_from_all_but_their_authors(world: World) -> None:
    post = world.post(1)
    written = world.comment(post, "bea")
    hide = {"person_id": "ana", "comment_id": written.comment_id}
    world.call("HideComment", **hide, hidden=True)
    assert (world.comments(post), world.comments(post, "cyd"), counted(world)) == ([], [], 0)
    assert world.comments(post, "bea") == world.comments(post, "ana") == ["nice"]
    with pytest.raises(NotFound):
        world.call("HideComment", **{**hide, "person_id": "cyd"}, hidden=False)

    world.call("HideComment", **hide, hidden=False)
    world.call("HideComment", **hide, hidden=False)

    assert (world.comments(post), counted(world)) == (["nice"], 1)


def test_comments_are_turned_off_and_on_by_the_creator(world: World) -> None:
    post = world.post(1)
    world.comment(post, "bea", "before")
    with pytest.raises(NotFound):
        world.call("AllowComments", person_id="bea", post_id=post, allowed=False)
    world.call("AllowComments", person_id="ana", post_id=post, allowed=False)
    with pytest.raises(Conflict):
        world.comment(post, "bea", "too late")
    listed = world.call("ListComments", post_id=post)
    assert ([shown.text for shown in listed.comments], listed.allowed) == (["before"], False)

    world.call("AllowComments", person_id="ana", post_id=post, allowed=True)

    assert world.comment(post, "bea", "after").text == "after"


def test_a_comment_is_liked_once_and_unliked(world: World) -> None:
    post = world.post(1)
    written = world.comment(post, "bea")
    like = {"person_id": "cyd", "comment_id": written.comment_id}

    for action_id in ("a", "a", "b"):
        world.call("LikeComment", **like, liked=True, action_id=action_id)
    assert (one(world, post, written.comment_id).likes, world.told("bea")) == (
        1, [("COMMENT_LIKE", written.comment_id, 1)],
    )  # fmt: skip
    assert one(world, post, written.comment_id, "cyd").liked_by_viewer
    assert world.call("LikeComment", **like, liked=False, action_id="c").likes == 0


def test_posts_that_are_not_seen_cannot_be_commented(world: World) -> None:
    for state in (PostState.DRAFT, PostState.CHECKING, PostState.REMOVED, PostState.WITHDRAWN, PostState.APPEALED):
        post = world.post(int(state), state=state)
        with pytest.raises(NotFound):
            world.comment(post, "bea")
        with pytest.raises(NotFound):
            world.comments(post)
    with pytest.raises(NotFound):
        world.comment("f" * 32, "bea")


@pytest.mark.parametrize("text", ["", " \n", "x" * 1_001, "x" * 1_000_000, "a\u202eb", "\u0007", "e" + "\u0301" * 9])
def test_what_cannot_be_a_comment(world: World, text: str) -> None:
    post = world.post(1)
    with pytest.raises(InvalidInput) as refused:
        world.comment(post, "bea", text)
    assert [error.field for error in refused.value.errors] == ["text"]
    assert len(str(refused.value)) < 300


def test_pages_are_stable_though_an_author_is_erased_in_the_middle(world: World) -> None:
    post = world.post(1)
    texts = [f"{person} {number}" for number in range(6) for person in ("bea", "cyd")]
    for text in texts:
        world.clock.step(1)
        world.comment(post, text.split()[0], text)
    first = world.call("ListComments", post_id=post, page_size=5)
    world.call("ErasePerson", person_id="bea")

    seen = [shown.text for shown in first.comments]
    cursor = first.next_cursor
    while cursor:
        page = world.call("ListComments", post_id=post, page_size=5, cursor=cursor)
        seen += [shown.text for shown in page.comments]
        cursor = page.next_cursor

    assert seen == texts[:5] + [text for text in texts[5:] if "cyd" in text]
    assert counted(world) == 6


def test_counters_are_exact_when_eight_write_at_the_same_time(world: World) -> None:
    post = world.post(1)
    people = [f"fan{number}" for number in range(8)]
    world.join(*people)

    def write(person: str) -> None:
        for number in range(6):
            written = world.comment(post, person, f"{number}")
            if number % 3 == 0:
                world.call("DeleteComment", person_id=person, comment_id=written.comment_id)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, people))

    assert counted(world) == 32 == len(world.comments(post, page_size=50))


def test_a_blocked_person_does_not_mention(world: World) -> None:
    post = world.post(1)
    world.relate("cyd", Relate.BLOCK, "bea")
    world.comment(post, "bea", "hello @cyd")

    assert world.told("cyd") == []
