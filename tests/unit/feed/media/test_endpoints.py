"""Media over HTTP: what comes in, and how it goes out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backends.media_folder import FolderMediaStore
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from feed.media.addresses import MediaAddresses
from feed.media.endpoints import MediaEndpoints
from feed.media.ports import Upload
from feed.media.ranges import BEYOND, range_of
from feed.media.tickets import TicketRefusal, Tickets
from tests.feed_builders import NOW_MS
from tests.media_builders import SECRET, an_upload

MEDIA_ID = "d" * 32
DATA = bytes(range(256)) * 20
DIGEST = hashlib.sha256(DATA).hexdigest()
PATH = f"/media/{MEDIA_ID}/{DIGEST}.webp"


class Scene:
    """The routes over a folder with one file; `shown` are the media that others may see."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock(NOW_MS)
        self.tickets = Tickets(SECRET)
        self.store = FolderMediaStore(folder / "media", "http://media.example")
        (folder / "made").write_bytes(DATA)
        self.store.put(f"{MEDIA_ID}/{DIGEST}.webp", folder / "made", "image/webp")
        self.shown = {MEDIA_ID}
        endpoints = MediaEndpoints(
            store=self.store, receiver=self.store, tickets=self.tickets, is_shown=lambda id_: id_ in self.shown,
            clock=self.clock,
        )  # fmt: skip
        self.app = Starlette(routes=endpoints.routes())
        self.client = TestClient(self.app)

    def upload(self, upload: Upload, data: bytes, **headers: str) -> int:
        sent = {"content-type": upload.content_type} | {n.replace("_", "-"): v for n, v in headers.items()}
        path = f"/media/uploads/{self.tickets.sign(upload)}"
        status: int = self.client.put(path, content=data, headers=sent).status_code
        return status


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_file_goes_out_with_headers_that_cache_it_for_good_and_let_nothing_in_it_run(scene: Scene) -> None:
    answer = scene.client.get(PATH)

    assert (answer.status_code, answer.content) == (200, DATA)
    headers = dict(answer.headers)
    assert headers.pop("content-length") == str(len(DATA))
    assert headers == {
        "etag": f'"{DIGEST}"', "cache-control": "public, max-age=31536000, s-maxage=3600, immutable",
        "content-type": "image/webp", "content-disposition": f'inline; filename="{DIGEST}.webp"',
        "x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "cross-origin", "access-control-allow-origin": "*", "accept-ranges": "bytes",
    }  # fmt: skip


def test_head_says_the_same_without_the_bytes(scene: Scene) -> None:
    whole, head = scene.client.get(PATH), scene.client.head(PATH)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


@pytest.mark.parametrize("tags", [f'"{DIGEST}"', f'"other", "{DIGEST}"', f'W/"{DIGEST}"', "*"])
def test_who_has_it_already_gets_304(scene: Scene, tags: str) -> None:
    answer = scene.client.get(PATH, headers={"if-none-match": tags})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{DIGEST}"'
    assert scene.client.get(PATH, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=5000-", 5_000, 5_119), ("bytes=-5", 5_115, 5_119),
     ("bytes=5100-9999", 5_100, 5_119), ("bytes=-99999", 0, 5_119)],
)  # fmt: skip
def test_a_range_is_answered_with_that_part(scene: Scene, asked: str, start: int, end: int) -> None:
    answer = scene.client.get(PATH, headers={"range": asked})

    assert (answer.status_code, answer.content) == (206, DATA[start : end + 1])
    assert answer.headers["content-range"] == f"bytes {start}-{end}/5120"


@pytest.mark.parametrize("asked", ["bytes=5120-", "bytes=9999-10000", "bytes=-0"])
def test_a_range_beyond_the_file_is_416_with_its_size(scene: Scene, asked: str) -> None:
    answer = scene.client.get(PATH, headers={"range": asked})

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */5120")


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=9-2", "bytes=-", "lines=0-1", "bytes=x-y", "bytes=" + "9" * 40]
)
def test_what_is_no_single_range_gets_the_whole_file(scene: Scene, asked: str) -> None:
    assert scene.client.get(PATH, headers={"range": asked}).status_code == 200


def test_a_range_of_another_version_gets_the_whole_file(scene: Scene) -> None:
    part = {"range": "bytes=0-1"}

    assert scene.client.get(PATH, headers=part | {"if-range": f'"{DIGEST}"'}).status_code == 206
    assert scene.client.get(PATH, headers=part | {"if-range": '"other"'}).status_code == 200


def test_an_empty_file_has_no_range() -> None:
    assert range_of("bytes=0-", 0) == BEYOND


def test_what_is_in_no_post_that_others_see_is_not_found_but_by_its_author(scene: Scene) -> None:
    scene.shown.clear()
    preview = MediaAddresses("http://cdn", "", scene.tickets, scene.clock).preview(MEDIA_ID, f"{DIGEST}.webp")

    assert scene.client.get(PATH).status_code == 404
    looked = scene.client.get(preview)
    assert (looked.status_code, looked.headers["cache-control"]) == (200, "private, no-store")
    for forged in (preview[:-1] + ("A" if preview[-1] != "A" else "B"), preview.replace("d" * 32, "e" * 32)):
        assert scene.client.get(forged).status_code == 404
    assert scene.client.get(f"{PATH}?preview={NOW_MS + 10**9}-abc").status_code == 404
    assert scene.client.get(f"{PATH}?preview=\u0663-x").status_code == 404
    scene.clock.step(3_600_001)
    assert scene.client.get(preview).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/media/{MEDIA_ID}/{DIGEST}.html", f"/media/{MEDIA_ID}/..%2F..%2Fcursor.key", f"/media/x/{DIGEST}.webp",
        f"/media/{MEDIA_ID.upper()}/{DIGEST}.webp", f"/media/{MEDIA_ID}/{'0' * 64}.webp",
        f"/media/..%2f{MEDIA_ID}/{DIGEST}.webp",
    ],
)  # fmt: skip
def test_another_name_leads_to_nothing(scene: Scene, path: str) -> None:
    assert scene.client.get(path).status_code == 404


def test_an_upload_comes_in_once_as_it_was_signed(scene: Scene, tmp_path: Path) -> None:
    upload = an_upload(max_bytes=10)

    assert scene.upload(upload, b"x" * 11) == 413
    assert scene.upload(upload, b"x", content_type="text/html") == 415
    assert scene.upload(upload, b"x" * 10) == 201
    assert scene.upload(upload, b"x" * 10) == 409
    scene.clock.step(60_001)
    assert scene.upload(upload, b"x") == 410


def test_more_bytes_than_were_announced_are_cut_off_and_the_ticket_may_be_tried_again(scene: Scene) -> None:
    upload = an_upload(max_bytes=3 << 20)
    path = f"/media/uploads/{scene.tickets.sign(upload)}"

    def endless() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * (1 << 20)

    answer = scene.client.put(path, content=endless(), headers={"content-type": "image/jpeg"})

    assert answer.status_code == 413
    assert scene.upload(upload, b"x" * 100) == 201


async def test_an_upload_is_never_whole_in_memory(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    begin = scene.store.begin

    def watched(upload: Upload) -> object:
        sink = begin(upload)
        write = sink.write

        def measured(piece: bytes) -> None:
            sizes.append(len(piece))
            write(piece)

        sink.write = measured  # type: ignore[method-assign]
        return sink

    monkeypatch.setattr(scene.store, "begin", watched)
    path = f"/media/uploads/{scene.tickets.sign(an_upload(max_bytes=20 << 20))}"
    left = 20 * 16

    async def receive() -> dict[str, object]:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b"x" * (1 << 16), "more_body": left > 0}

    said: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "PUT", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"image/jpeg")], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip
    await scene.app(scope, receive, send)

    assert said[0]["status"] == 201
    assert sum(sizes) == 20 << 20
    assert max(sizes) <= 2 << 20


def test_a_full_disk_is_said_to_be_unavailable_and_gives_the_ticket_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = scene.store.begin

    def full(upload: Upload) -> object:
        sink = begin(upload)

        def write(piece: bytes) -> None:
            raise BackendUnavailable("the folder of media cannot be written or read: no space left")

        sink.write = write  # type: ignore[method-assign]
        return sink

    upload = an_upload()
    with monkeypatch.context() as patched:
        patched.setattr(scene.store, "begin", full)
        assert scene.upload(upload, b"x") == 503
    assert scene.upload(upload, b"x") == 201


def test_a_page_of_another_origin_may_upload(scene: Scene) -> None:
    path = f"/media/uploads/{scene.tickets.sign(an_upload())}"
    answer = scene.client.options(path)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PUT" in answer.headers["access-control-allow-methods"]


def test_a_ticket_that_was_altered_anywhere_is_not_ours() -> None:
    tickets = Tickets(SECRET)
    ticket = tickets.sign(an_upload())

    assert tickets.read(ticket, NOW_MS) == an_upload()
    for at in range(len(ticket)):
        altered = ticket[:at] + ("A" if ticket[at] != "A" else "B") + ticket[at + 1 :]
        assert tickets.read(altered, NOW_MS) is TicketRefusal.ALTERED, at
    for text in ("", "é", "x" * 5_000, ticket + " ", "." + ticket):
        assert tickets.read(text, NOW_MS) is TicketRefusal.ALTERED
    assert tickets.read(ticket, NOW_MS + 60_000) == an_upload()
    assert tickets.read(ticket, NOW_MS + 60_001) is TicketRefusal.EXPIRED
    assert tickets.read(ticket, NOW_MS + 60_001, grace_ms=1) == an_upload()


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tickets(b"short")
