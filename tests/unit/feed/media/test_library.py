"""From a ticket to a medium that can be posted, and to nothing again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backends.media_folder import FolderMediaStore
from backends.media_sql import SqlMediaRecords
from backends.posts_sql import SqlPostStore
from common.clock import SteppedClock
from common.errors import InvalidInput, NotFound, PermissionDenied
from feed.media.library import FINISH_WITHIN_MS, MediaLibrary
from feed.media.record import Media, MediaKind
from feed.media.tickets import Tickets
from feed.media.video import VideoLimits
from feed.post import PostMedia
from feed.posts import ErasedCreator, Posts
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, Shop, ToldChecker, a_draft
from tests.media_builders import FILM, SECRET, a_library, a_picture, an_mp4

pytestmark = pytest.mark.on_every_database


class Scene:
    """A library over a folder, and a short way to upload to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = open_database(folder)
        self.clock = SteppedClock(NOW_MS)
        self.store = FolderMediaStore(folder / "media", "http://media.example")
        self.records = SqlMediaRecords(self.engine)
        self.library = self.opened()

    def opened(self, **changes: Any) -> MediaLibrary:
        return a_library(self.store, self.records, self.folder / "work", clock=self.clock, **changes)

    def uploaded(self, data: bytes, content_type: str = "image/jpeg", creator_id: str = "creator-1") -> str:
        started = self.library.start(TENANT, creator_id, content_type, len(data))
        upload = Tickets(SECRET).read(started.ticket, self.clock.now_ms())
        assert not isinstance(upload, int)
        sink = self.store.begin(upload)
        sink.write(data)
        sink.commit()
        return started.ticket

    def made(self, data: bytes, content_type: str = "image/jpeg", creator_id: str = "creator-1") -> Media:
        return self.library.finish(TENANT, self.uploaded(data, content_type, creator_id))

    def files(self) -> list[str]:
        return sorted(file.name for file in (self.folder / "media").rglob("*") if file.is_file())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.engine.dispose()


def test_a_picture_becomes_renditions_under_the_hashes_of_their_bytes(scene: Scene) -> None:
    media = scene.made(a_picture(700, 350))

    assert (media.kind, media.width, media.height, media.creator_id) == (MediaKind.IMAGE, 700, 350, "creator-1")
    assert [one.width for one in media.renditions] == [320, 320, 640, 640, 700, 700]
    for one in media.renditions:
        assert scene.store.size(f"{media.media_id}/{one.name}") == one.size_bytes
    assert scene.library.find(TENANT, [media.media_id, "x"]) == [media, None]
    assert scene.library.find("b" * 32, [media.media_id]) == [None]
    assert not any(name.endswith(".done") for name in scene.files()), "what came in is not kept"
    assert list((scene.folder / "work").iterdir()) == []


def test_a_video_keeps_its_bytes_but_for_what_it_told_of_its_owner(scene: Scene) -> None:
    media = scene.made(an_mp4(), "video/mp4")
    (rendition,) = media.renditions
    data = b"".join(scene.store.read(f"{media.media_id}/{rendition.name}", 0, rendition.size_bytes))

    assert (media.kind, media.duration_ms, media.width, media.height) == (MediaKind.VIDEO, 5_000, 720, 1_280)
    assert len(data) == len(an_mp4())
    assert b"+52.5200" not in data
    assert scene.made(FILM.read_bytes(), "video/webm").renditions[0].content_type == "video/webm"


def test_finishing_again_gives_the_same_medium(scene: Scene) -> None:
    ticket = scene.uploaded(a_picture())
    media = scene.library.finish(TENANT, ticket)

    assert scene.library.finish(TENANT, ticket) == media
    scene.clock.step(60_000 + FINISH_WITHIN_MS)
    assert scene.library.finish(TENANT, ticket) == media
    scene.clock.step(1)
    with pytest.raises(PermissionDenied, match="expired"):
        scene.library.finish(TENANT, ticket)


def test_a_finish_that_broke_off_is_done_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = scene.uploaded(a_picture())
    put = scene.store.put
    calls = iter(range(100))

    def breaks(name: str, file: Path, content_type: str) -> None:
        if next(calls) == 2:
            raise RuntimeError("killed")
        put(name, file, content_type)

    monkeypatch.setattr(scene.store, "put", breaks)
    with pytest.raises(RuntimeError):
        scene.library.finish(TENANT, ticket)
    media_id = next(iter(scene.records.of_creator(TENANT, "creator-1", 9))).media_id
    assert scene.library.find(TENANT, [media_id]) == [None], "what is not whole cannot be posted"

    assert scene.library.finish(TENANT, ticket).media_id == media_id


def test_what_is_refused_is_told_by_its_field_and_not_kept(scene: Scene) -> None:
    ticket = scene.uploaded(b"<svg><script>alert(1)</script></svg>", "image/png")

    with pytest.raises(InvalidInput) as refused:
        scene.library.finish(TENANT, ticket)
    assert [error.field for error in refused.value.errors] == ["upload"]
    assert "SVG" in refused.value.errors[0].value
    assert [name for name in scene.files() if not name.endswith(".used")] == []
    with pytest.raises(NotFound):
        scene.library.finish(TENANT, ticket)


def test_a_ticket_is_its_tenants(scene: Scene) -> None:
    ticket = scene.uploaded(a_picture())

    with pytest.raises(NotFound):
        scene.library.finish("b" * 32, ticket)
    with pytest.raises(PermissionDenied, match="not one of ours"):
        scene.library.finish(TENANT, ticket[:-2])
    with pytest.raises(NotFound):
        scene.library.finish(TENANT, scene.library.start(TENANT, "creator-1", "image/png", 9).ticket)


def test_an_upload_that_cannot_be_is_refused_with_all_of_its_fields(scene: Scene) -> None:
    with pytest.raises(InvalidInput) as refused:
        scene.library.start(TENANT, "", "image/svg+xml", 0)
    assert [error.field for error in refused.value.errors] == ["creator_id", "content_type", "size_bytes"]
    for content_type, size in (("image/jpeg", (5 << 20) + 1), ("video/mp4", VideoLimits().max_bytes + 1)):
        with pytest.raises(InvalidInput, match="size_bytes"):
            scene.library.start(TENANT, "creator-1", content_type, size)


def test_pictures_are_given_to_whoever_compares_them(scene: Scene) -> None:
    seen: list[tuple[str, int]] = []

    def hash_of(image: Image.Image) -> bytes:
        seen.append((image.mode, image.width))
        return b"32 bytes"

    scene.library = scene.opened(hash_of=hash_of)
    media = scene.made(a_picture())

    assert seen == [("RGB", 320)]
    assert media.picture_hash == b"32 bytes"
    assert scene.library.find(TENANT, [media.media_id]) == [media]


def test_uploads_that_nobody_finished_are_dropped_when_they_can_be_no_more(scene: Scene) -> None:
    scene.uploaded(a_picture())

    assert scene.library.drop_stale_uploads() == 0
    scene.clock.step(60_001 + FINISH_WITHIN_MS)
    assert scene.library.drop_stale_uploads() == 1
    assert scene.files() == []


def test_erasing_a_creator_says_how_much_there_was_and_leaves_nothing(scene: Scene) -> None:
    picture, film = scene.made(a_picture(100, 100)), scene.made(an_mp4(), "video/mp4")
    other = scene.made(a_picture(100, 100), creator_id="creator-2")
    posts = Posts(
        store=SqlPostStore(scene.engine), clock=scene.clock, products=Shop(), checker=ToldChecker(),
        media=scene.library,
    )  # fmt: skip
    media = (PostMedia(media_id=picture.media_id), PostMedia(media_id=film.media_id))
    post = posts.create(TENANT, "key", a_draft(image_urls=(), media=media))
    posts.withdraw(TENANT, "k2", post.post_id)

    erased = posts.erase_creator(TENANT, "creator-1")

    assert erased == ErasedCreator(posts=1, revisions=1, history=3, media=2, files=3)
    assert scene.library.find(TENANT, [picture.media_id, film.media_id, other.media_id]) == [None, None, other]
    assert [n for n in scene.files() if not n.endswith(".used")] == sorted(one.name for one in other.renditions)
    assert posts.erase_creator(TENANT, "creator-1") == ErasedCreator(0, 0, 0, 0, 0)
