"""Profiles and pictures at the desk: over the real use cases and stores, a decision reaches what others see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.consent import Permission
from common.errors import Conflict, InvalidInput
from feed.moderation.report_values import ReportReason
from feed.moderation.reports import ReportAsked
from feed.moderation.subjects import Subject, SubjectKind
from feed.verdict import Outcome
from tests.media_builders import a_picture
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = pytest.mark.slow

HELD = "Win: https://bit.ly/3xYz12"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[WholeHaat]:
    with whole_haat(tmp_path) as opened:
        yield opened


def profile(desk: WholeHaat, viewer_id: str = "") -> Any:
    return desk.call("GetProfile", person_id="ana", viewer_id=viewer_id).person


def test_a_held_profile_waits_in_the_queue_and_is_cleared_removed_appealed_and_restored(desk: WholeHaat) -> None:
    desk.join("ana", bio=HELD)
    case = desk.case_of(SubjectKind.PROFILE, "ana")
    assert case.waits
    assert "https://bit.ly/3xYz12" in case.excerpt
    assert profile(desk).bio == ""

    desk.decide(case, Outcome.REMOVED)
    assert profile(desk, "ana").state == "removed"
    statement = desk.haat.moderation.cases.statement_about(desk.tenant, case.subject, "ana")
    assert "Your profile" in statement.text

    desk.haat.moderation.cases.appeal(desk.write("ana"), case.case_id, "ana", "That is my shop.")
    desk.decide(case, Outcome.CLEAN, who="bob")

    assert profile(desk).bio == HELD
    assert profile(desk, "ana").state == "clean"


def test_a_decision_about_a_profile_that_was_edited_meanwhile_is_dropped(desk: WholeHaat) -> None:
    desk.join("ana", bio=HELD)
    case = desk.case_of(SubjectKind.PROFILE, "ana")
    desk.call("ChooseNotifications", person_id="ana", unwanted=[9])

    with pytest.raises(Conflict):
        desk.decide(case, Outcome.CLEAN)
    assert profile(desk).bio == ""
    desk.decide(desk.case_of(SubjectKind.PROFILE, "ana"), Outcome.CLEAN)
    assert profile(desk).bio != ""


def test_undoing_brings_back_what_held_before(desk: WholeHaat) -> None:
    desk.join("ana", bio=HELD)
    case = desk.case_of(SubjectKind.PROFILE, "ana")
    desk.decide(case, Outcome.CLEAN)
    desk.haat.moderation.cases.undo(desk.write("ann"), case.case_id)

    assert profile(desk, "ana").state == "checking"


def test_a_picture_of_a_profile_is_its_owners_until_it_is_let_through(desk: WholeHaat) -> None:
    desk.join("ana")
    media_id = desk.upload("ana", a_picture())
    held = desk.edit("ana", bio=HELD, picture_media_id=media_id)
    assert desk.fetch(held.picture_url) == 200
    assert desk.fetch(held.picture_url.partition("?")[0]) == 404
    assert profile(desk).picture_url == ""

    desk.decide(desk.case_of(SubjectKind.PROFILE, "ana"), Outcome.CLEAN)

    assert desk.fetch(profile(desk).picture_url) == 200
    assert "preview" not in profile(desk).picture_url


def test_a_picture_that_is_taken_away_is_nobodys_but_its_creators_and_cannot_be_used_again(desk: WholeHaat) -> None:
    desk.join("ana")
    media_id = desk.upload("ana", a_picture())
    desk.edit("ana", picture_media_id=media_id)
    post = desk.post("ana", media=[{"media_id": media_id, "alt_text": "Boots"}])
    url = desk.view(post)["media"][0]["renditions"][0]["url"]
    assert desk.fetch(url) == 200

    subject = Subject(SubjectKind.PICTURE, media_id)
    for number in range(3):
        asked = ReportAsked(
            desk.tenant, subject, ReportReason.ADULT, f"s{number}", Permission.REMEMBER, f"visitor-{number}"
        )
        desk.haat.moderation.reports.report(asked)
    case = desk.case_of(SubjectKind.PICTURE, media_id)
    desk.decide(case, Outcome.REMOVED)

    assert desk.fetch(url) == 404
    assert desk.fetch(profile(desk).picture_url) == 404
    [medium] = desk.view(post)["media"]
    assert (medium["renditions"], medium["alt_text"], medium["media_id"]) == ([], "", "")
    assert desk.fetch(desk.view(post, "ana")["media"][0]["renditions"][0]["url"]) == 200
    page = desk.ask("POST", "/v1/feed/pages", {"session_id": "s"})
    assert url not in str(page)
    refused = desk.ask("POST", "/v1/posts", {"creator_id": "ana", "media": [{"media_id": media_id}]}, 400)
    assert "taken down" in str(refused)
    with pytest.raises(InvalidInput, match="taken down"):
        desk.edit("ana", picture_media_id=media_id)

    desk.haat.moderation.cases.undo(desk.write("ann"), case.case_id)
    assert desk.fetch(url) == 200


@pytest.mark.parametrize("whose", ["bea's", "nobody's"])
def test_a_picture_of_somebody_else_is_no_picture_of_a_profile(desk: WholeHaat, whose: str) -> None:
    desk.join("ana")
    media_id = desk.upload("bea", a_picture()) if whose == "bea's" else "f" * 32
    with pytest.raises(InvalidInput, match="picture_media_id"):
        desk.edit("ana", picture_media_id=media_id)
