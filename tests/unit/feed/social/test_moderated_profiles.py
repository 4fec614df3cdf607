from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import Conflict, NotFound
from feed.verdict import Outcome, Verdict
from tests.feed_builders import TENANT
from tests.social_worlds import World, social_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea"]) as opened:
        yield opened


def seen(world: World, viewer_id: str = "") -> Any:
    return world.call("GetProfile", person_id="ana", viewer_id=viewer_id).person


def edit(world: World, **said: Any) -> Any:
    revision = seen(world, "ana").revision
    fields = {"handle": "ana", "display_name": "Ana", **said}
    return world.call("EditPerson", person_id="ana", revision=revision, **fields)


def decide(world: World, outcome: Outcome, by: str = "moderator") -> Any:
    before = world.part.people.get(TENANT, "ana")
    return world.part.people.settle(TENANT, "ana", Verdict(outcome, 0.5), before.revision, by)


def test_who_signs_up_with_words_that_are_held_is_seen_without_any_by_others(world: World) -> None:
    world.join("cyd", display_name="Odd one", bio="odd bio", links=["https://cyd.example"])

    others = world.call("GetProfile", person_id="cyd", viewer_id="bea").person
    assert (others.handle, others.display_name, others.bio, others.links) == ("", "", "", ())
    assert (others.state, others.reasons) == ("", ())
    with pytest.raises(NotFound):
        world.call("GetProfile", handle="cyd")
    assert world.found("cyd") == []
    own = world.call("GetProfile", person_id="cyd", viewer_id="cyd").person
    assert (own.display_name, own.bio, own.state) == ("Odd one", "odd bio", "checking")
    assert own.reasons[-1] == "A person will look at it."
    assert world.call("GetProfile", handle="cyd", viewer_id="cyd").person.handle == "cyd"


def test_while_an_edit_is_held_others_see_what_was_let_through_before(world: World) -> None:
    edit(world, bio="I like boots")
    held = edit(world, handle="ana_new", bio="odd boots")

    assert (held.state, held.bio) == ("checking", "odd boots")
    assert (seen(world, "bea").bio, seen(world).handle) == ("I like boots", "ana")
    assert world.found("odd") == []
    assert world.found("boots") == ["ana"]

    decide(world, Outcome.CLEAN)

    assert (seen(world, "bea").bio, seen(world).handle) == ("odd boots", "ana_new")
    assert world.found("odd") == ["ana"]
    assert world.told("ana")[0][0] == "PROFILE_DECIDED"


def test_a_limited_profile_is_seen_by_who_comes_to_it_and_found_by_nobody(world: World) -> None:
    edit(world, bio="spam spam")

    assert seen(world, "bea").bio == "spam spam"
    assert world.found("ana") == []
    assert world.found("spam") == []


def test_a_removed_profile_shows_no_words_until_it_is_cleared_again(world: World) -> None:
    edit(world, bio="about me")
    decide(world, Outcome.REMOVED)

    assert (seen(world).handle, seen(world).bio) == ("", "")
    assert world.found("ana") == []
    assert seen(world, "ana").state == "removed"

    decide(world, Outcome.CLEAN)
    assert seen(world).bio == "about me"


def test_what_a_person_has_removed_is_not_cleared_by_an_edit_alone(world: World) -> None:
    decide(world, Outcome.REMOVED)
    edited = edit(world, bio="harmless")

    assert edited.state == "checking"
    assert seen(world).bio == ""
    assert edit(world, bio="harmless still").state == "checking"


def test_a_decision_on_another_revision_is_a_conflict(world: World) -> None:
    edit(world, bio="new")
    with pytest.raises(Conflict):
        world.part.people.settle(TENANT, "ana", Verdict(Outcome.REMOVED, 1.0), 1, "moderator")
    assert seen(world).bio == "new"


def test_profiles_that_were_written_while_moderation_was_away_are_checked_later(world: World) -> None:
    world.checker.away = True
    world.join("cyd", bio="hello")
    assert world.call("GetProfile", person_id="cyd").person.bio == ""
    world.part.check_waiting()
    assert world.call("GetProfile", person_id="cyd").person.bio == ""

    world.checker.away = False
    world.part.check_waiting()

    assert world.call("GetProfile", person_id="cyd").person.bio == "hello"
    assert world.found("cyd") == ["cyd"]


def test_what_moderation_made_of_a_profile_outlasts_a_restart_and_an_index_made_anew(world: World) -> None:
    edit(world, bio="first words")
    edit(world, bio="odd words")
    world.close()
    (world.folder / "search.sqlite").unlink()
    world._open()

    assert seen(world).bio == "first words"
    assert world.found("odd") == []
    assert world.found("first") == ["ana"]


def test_wishes_change_nothing_of_what_others_see(world: World) -> None:
    edit(world, bio="odd words")
    world.call("ChooseNotifications", person_id="ana", unwanted=[9])

    assert seen(world).bio == ""
    assert seen(world, "ana").state == "checking"


def test_signing_up_again_with_the_same_key_is_not_judged_anew(world: World) -> None:
    asked: dict[str, Any] = {
        "idempotency_key": "again",
        "consent": {"granted": [1]},
        "handle": "dan",
        "display_name": "odd Dan",
    }
    first = world.call("SignUp", **asked)

    assert world.call("SignUp", **asked) == first
    assert first.state == "checking"
