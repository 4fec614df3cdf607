"""A person is erased from the wired program: every store is searched for the person's id and for what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from backends.sql import open_engine, reading, sqlite_url
from backends.sql_schema import METADATA
from common.consent import Permission
from feed.moderation.report_values import ReportReason
from feed.moderation.reports import ReportAsked, digest_of
from feed.moderation.subjects import Subject, SubjectKind
from feed.verdict import Outcome
from streams.topics import TOPICS
from tests.feed_builders import a_product
from tests.media_builders import a_picture
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = pytest.mark.slow

# Nothing else holds these letters.
WHO = "zq-person-9"
HANDLE = "zqhandle"
MARK = "zanzibarmark"
HELD = f"{MARK} https://bit.ly/3xYz12"
TAG = {"product_id": "shoe", "x": 0.5, "y": 0.5}


@pytest.fixture
def haat(tmp_path: Path) -> Iterator[WholeHaat]:
    with whole_haat(tmp_path) as opened:
        opened.sell(a_product("shoe", tenant_id=opened.tenant))
        opened.join("bea")
        yield opened


def act(haat: WholeHaat, visitor_id: str, *actions: tuple[str, str, str]) -> None:
    haat.ask(
        "POST",
        "/v1/feed/actions",
        {
            "session_id": f"session {len(visitor_id)}",
            "visitor": {"visitor_id": visitor_id},
            "consent": {"granted": ["remember", "personalised_content"]},
            "actions": [
                {"kind": kind, "subject_id": subject, "action_id": haat.fresh(), "detail": detail}
                for kind, subject, detail in actions
            ],
        },
    )


def live(haat: WholeHaat) -> tuple[str, list[str]]:
    """Everything that somebody may do; another's post, and the addresses of the person's pictures."""
    said = {"idempotency_key": "join", "consent": {"granted": [1]}, "person_id": WHO, "handle": HANDLE}
    haat.call("SignUp", **said, display_name=f"Z {MARK}", bio=MARK, links=[f"https://{MARK}.example"])
    medium = haat.upload(WHO, a_picture())
    edited = haat.edit(WHO, handle=HANDLE, display_name=f"Z {MARK}", bio=f"more {MARK}", picture_media_id=medium)
    theirs = haat.post("bea", "A look for everybody", product_tags=[TAG], image_urls=["https://img.example/1.jpg"])
    own = haat.post(
        WHO, f"A look of {MARK} with @bea #{MARK}", hashtags=[MARK], product_tags=[TAG], disclosure="gifted",
        partner=MARK, media=[{"media_id": medium, "alt_text": MARK}],
    )  # fmt: skip
    view = haat.view(own)
    urls = [one["url"] for one in view["media"][0]["renditions"]] + [edited.picture_url]
    body = {"creator_id": WHO, "caption": f"Changed {MARK}", "expected_revision": view["revision"],
            "product_tags": [TAG], "image_urls": ["https://img.example/1.jpg"]}  # fmt: skip
    haat.ask("PUT", f"/v1/posts/{own}", body)
    held = haat.post(WHO, HELD)
    removed = haat.decide(haat.case_of(SubjectKind.POST, held), Outcome.REMOVED)
    haat.settle()
    haat.ask("POST", f"/v1/posts/{held}/appeal", {"creator_id": WHO, "text": f"My {MARK} is mine"})
    haat.ask("POST", "/v1/posts", {"creator_id": WHO, "caption": f"Draft {MARK}", "draft": True})
    said_of = haat.call("AddComment", idempotency_key="c1", person_id=WHO, post_id=theirs, text=f"{MARK} @bea")
    haat.call("AddComment", idempotency_key="c2", person_id=WHO, post_id=theirs, text=HELD)
    haat.call("AddComment", idempotency_key="c3", person_id="bea", post_id=theirs, text="so true",
              parent_id=said_of.comment_id)  # fmt: skip
    haat.call("Relate", person_id=WHO, kind=1, subject="bea", action_id="f1")
    haat.call("Relate", person_id="bea", kind=1, subject=WHO, action_id="f2")
    haat.call("Relate", person_id=WHO, kind=7, subject=MARK, action_id="m1")
    haat.call("ShareLink", idempotency_key="l1", person_id=WHO, post_id=theirs, disclosure=1, product_id="shoe")
    haat.call("ShareLink", idempotency_key="l2", person_id="bea", post_id=own, disclosure=1, product_id="shoe")
    act(haat, WHO, ("like", theirs, ""), ("save", theirs, ""), ("purchase", theirs, "shoe"), ("follow", "bea", ""))
    act(haat, "bea", ("like", own, ""), ("purchase", own, "shoe"), ("follow", WHO, ""))
    haat.feed("of theirs", visitor={"visitor_id": WHO}, consent={"granted": ["remember", "personalised_content"]})
    for subject, visitor, text in ((theirs, WHO, MARK), (own, "bea", "a copy")):
        asked = ReportAsked(
            haat.tenant, Subject(SubjectKind.POST, subject), ReportReason.SPAM, "s", Permission.REMEMBER, visitor, text
        )
        haat.moderation.reports.report(asked)
    haat.settle()
    haat.clock.step(15 * 86_400_000)
    haat.moderation.sales.count_kept()
    haat.moderation.reputations.refresh()
    assert removed.author_id == WHO
    return theirs, urls


def traces(haat: WholeHaat) -> dict[str, list[str]]:
    """Where the person, or what was written, still stands: by store."""
    digests = [digest_of(haat.tenant, "visitor", WHO)]
    needles = [WHO, HANDLE, MARK, *digests]
    found: dict[str, list[str]] = {}

    def look(where: str, what: object) -> None:
        text = what.decode("latin-1") if isinstance(what, bytes) else str(what)
        if hit := [one for one in needles if one in text]:
            found.setdefault(where, []).append(f"{hit}: {text[:200]}")

    engine = open_engine(sqlite_url(haat.folder))
    with reading(engine) as connection:
        for table in METADATA.sorted_tables:
            for row in connection.execute(select(table)).all():
                look(f"table {table.name}", tuple(row))
    engine.dispose()
    for topic in TOPICS:
        offset = 0
        while records := haat.haat.log.read(topic, offset, 1_000):
            for record in records:
                look(f"topic {topic}", record.payload)
            offset = records[-1].offset + 1
    for profile in haat.haat.profile_store.read([WHO]):
        if profile is not None:
            look("profiles", (WHO, profile))
    shelf = haat.haat.feed_index.shelf(haat.tenant)
    for post in shelf.posts:
        look("the feed's index", post)
    for file in sorted(haat.folder.rglob("*")):
        if file.is_file() and (file.name.startswith("search.sqlite") or "media" in file.parts or file.suffix == ".log"):
            look(f"file {file.name}", file.read_bytes())
    return found


def test_nothing_of_an_erased_person_is_left_in_any_store(haat: WholeHaat) -> None:
    theirs, urls = live(haat)
    before = traces(haat)
    for where in ("table posts", "table post_revisions", "table post_history", "table people", "table media",
                  "table comments", "table moderation_cases", "table upload_days", "topic feed_actions",
                  "topic feed_pages", "topic posts", "profiles", "the feed's index", "file search.sqlite"):  # fmt: skip
        assert where in before, where
    assert all(haat.fetch(url) == 200 for url in urls[:1])

    erased = {one.what: one.count for one in haat.call("ErasePerson", person_id=WHO).erased}
    haat.settle()
    haat.moderation.reputations.refresh()

    assert traces(haat) == {}
    for what in ("posts", "comments", "media", "media files", "accounts", "moderation cases", "reports", "follows",
                 "followers", "share links", "likes, saves, hides, reports and purchases", "profiles", "search entries",
                 "event log records", "reputation records"):  # fmt: skip
        assert erased[what] > 0, what
    assert not any(haat.fetch(url) == 200 for url in urls)
    # Of a ticket that was used an empty file stays, named by the upload, until it could be used no more.
    assert not [file for file in (haat.folder / "media").rglob("*") if file.is_file() and file.stat().st_size]
    assert haat.call("Search", words=MARK).hits == ()
    assert haat.feed("after") == [theirs]
    # What others wrote stays; of the person's comment the place alone.
    shown = haat.call("ListComments", post_id=theirs).comments
    assert [(one.author_id, one.text) for one in shown] == [("", "")]
    # The law asks that decisions can be accounted for: they stay, without the person.
    assert haat.moderation.cases.first_break(haat.tenant) == 0
    assert any(entry.action == "decided" for entry in haat.moderation.cases.trail(haat.tenant))
    again = haat.call("ErasePerson", person_id=WHO).erased
    assert not any(one.count for one in again)

    haat.reopen()
    haat.settle()
    assert traces(haat) == {}
