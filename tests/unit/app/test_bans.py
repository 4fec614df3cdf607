"""Banned pictures and upload quotas, through the wired program: by hash, by medium, undone, in the audit trail."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.ban_commands import picture_hash
from common.errors import Conflict, InvalidInput, NotFound
from feed.moderation.bans import Bans
from feed.moderation.subjects import SubjectKind
from feed.verdict import Outcome
from tests.media_builders import a_picture
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = pytest.mark.slow


def a_scene(seed: int, width: int = 640) -> bytes:
    """A picture that differs from those of other seeds, as photos do."""
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((width, width * 3 // 4), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
    return out.getvalue()


@pytest.fixture
def haat(tmp_path: Path) -> Iterator[WholeHaat]:
    with whole_haat(tmp_path, uploads_a_day=4, upload_mib_a_day=1) as opened:
        yield opened


def bans(haat: WholeHaat) -> Bans:
    return haat.moderation.bans


def test_a_banned_picture_is_taken_away_and_no_copy_of_it_is_published(haat: WholeHaat, tmp_path: Path) -> None:
    shown = haat.upload("ana", a_scene(1))
    other = haat.upload("ana", a_scene(2))
    post, innocent = (haat.post("ana", media=[{"media_id": one, "alt_text": "x"}]) for one in (shown, other))
    url = haat.view(post)["media"][0]["renditions"][0]["url"]
    file = tmp_path / "copy.jpg"
    file.write_bytes(a_scene(1, width=400))

    ban, taken = bans(haat).add(haat.write("ann"), picture_hash(file), "", "seen before")

    assert taken == [shown]
    assert [one.image_hash for one in bans(haat).all(haat.tenant)] == [ban.image_hash]
    assert haat.fetch(url) == 404
    assert haat.view(innocent)["media"][0]["renditions"]
    case = haat.case_of(SubjectKind.PICTURE, shown)
    assert "Your picture" in haat.moderation.cases.statement_about(haat.tenant, case.subject, "ana").text
    again = haat.post("bob", media=[{"media_id": haat.upload("bob", a_scene(1, width=800)), "alt_text": "x"}])
    assert haat.view(again, "bob")["state"] == "removed"

    # On appeal a moderator may let it stand all the same.
    haat.moderation.cases.appeal(haat.write("ana"), case.case_id, "ana", "It is my own.")
    haat.decide(case, Outcome.CLEAN)
    assert haat.fetch(url) == 200


def test_every_change_is_in_the_trail_once_and_can_be_taken_back(haat: WholeHaat) -> None:
    medium = haat.upload("ana", a_scene(3))
    write = haat.write("ann")
    ban, _ = bans(haat).add(write, "", medium, "why not")
    bans(haat).add(write, "", medium, "why not")
    bans(haat).add(haat.write("bob"), ban.image_hash, "", "twice")
    trail = haat.moderation.cases.trail(haat.tenant)
    assert [(one.actor, one.action, one.note) for one in trail] == [("ann", "image_banned", "why not")]

    assert bans(haat).undo(haat.write("ann"), trail[0].position) == (ban, False)
    with pytest.raises(Conflict):
        bans(haat).undo(haat.write("ann"), trail[0].position)
    assert bans(haat).all(haat.tenant) == []
    lifted = haat.moderation.cases.trail(haat.tenant)[-1]
    assert bans(haat).undo(haat.write("ann"), lifted.position)[1] is True
    assert [one.reason for one in bans(haat).all(haat.tenant)] == ["why not"]
    assert haat.moderation.cases.first_break(haat.tenant) == 0
    haat.reopen()
    held = haat.post("ana", media=[{"media_id": medium, "alt_text": "x"}])
    assert haat.view(held, "ana")["state"] == "removed"


def test_bad_input_is_named(haat: WholeHaat, tmp_path: Path) -> None:
    for image_hash, media_id, reason, field in (
        ("", "", "why", "image_hash"), ("f" * 63, "", "why", "image_hash"), ("f" * 64, "m", "why", "image_hash"),
        ("f" * 64, "", " ", "reason"), ("f" * 64, "", "x" * 1_001, "reason"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=field):
            bans(haat).add(haat.write("ann"), image_hash, media_id, reason)
    with pytest.raises(NotFound):
        bans(haat).add(haat.write("ann"), "", "f" * 32, "why")
    with pytest.raises(NotFound):
        bans(haat).remove(haat.write("ann"), "f" * 64)
    with pytest.raises(NotFound):
        bans(haat).undo(haat.write("ann"), 1)
    svg = tmp_path / "x.svg"
    svg.write_text("<svg><script>alert(1)</script></svg>")
    with pytest.raises(InvalidInput, match="SVG"):
        picture_hash(svg)
    with pytest.raises(InvalidInput, match="PICTURE"):
        picture_hash(tmp_path / "nothing")
    plain = tmp_path / "plain.jpg"
    Image.new("RGB", (300, 300), (9, 9, 9)).save(plain)
    with pytest.raises(InvalidInput, match="plain"):
        picture_hash(plain)


def started(haat: WholeHaat, creator_id: str, size_bytes: int, status: int = 201) -> str:
    asked = {"creator_id": creator_id, "content_type": "image/jpeg", "size_bytes": size_bytes}
    return str(haat.ask("POST", "/v1/uploads", asked, status))


def test_uploads_of_a_day_are_counted_by_files_and_bytes_and_a_new_day_begins_anew(haat: WholeHaat) -> None:
    for _ in range(4):
        started(haat, "ana", 1_000)
    refused = started(haat, "ana", 1_000, 400)
    assert "creator_id" in refused
    assert "has started 4 uploads today" in refused
    started(haat, "bob", 1_000_000)
    assert "size_bytes" in started(haat, "bob", 100_000, 400)
    started(haat, "bob", 10_000)
    # What was counted is kept over a restart.
    haat.reopen()
    started(haat, "ana", 1_000, 400)
    haat.clock.step(86_400_000)
    started(haat, "ana", 1_000)
    haat.haat.feed_server.posts.media.drop_stale_uploads()
    started(haat, "ana", 1_000)


def test_a_tier_may_upload_more(haat: WholeHaat) -> None:
    from feed.media.quotas import Quota, quota_of_tier

    base = Quota(4, 1 << 20)
    assert [quota_of_tier(base, tier).uploads for tier in range(4)] == [4, 8, 16, 32]
    haat.upload("ana", a_picture())
