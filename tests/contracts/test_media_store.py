"""What every MediaStore promises: the folder of our own, and an object store that speaks S3 (moto's server).

moto takes any signature, so that an altered or expired address is refused is shown here for the folder alone; what a
bucket's own signature binds is read from the address.
"""

from __future__ import annotations

import hashlib
import http.client
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
from moto.server import ThreadedMotoServer
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backends.media_folder import FolderMediaStore
from backends.media_s3 import S3MediaStore
from backends.media_sql import SqlMediaRecords
from common.clock import SteppedClock
from common.errors import BackendUnavailable, InvalidInput, NotFound
from feed.media.endpoints import MediaEndpoints
from feed.media.ports import MediaStore, Upload, UploadAddress
from feed.media.record import ErasedMedia
from feed.media.tickets import Tickets
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT
from tests.media_builders import SECRET, a_library, a_picture, an_upload

pytestmark = pytest.mark.slow

MEDIA_ID = "d" * 32


class Opened(Protocol):
    """A store, and how a browser uploads to it."""

    store: MediaStore

    def put(self, address: UploadAddress, data: bytes, **headers: str) -> int: ...


class Folder:
    def __init__(self, folder: Path, url: str) -> None:
        folder_store = FolderMediaStore(folder, "http://media.example")
        self.store: MediaStore = folder_store
        self.clock = SteppedClock(NOW_MS)
        endpoints = MediaEndpoints(
            store=folder_store, receiver=folder_store, tickets=Tickets(SECRET), is_shown=lambda media_id: True,
            clock=self.clock,
        )  # fmt: skip
        self._client = TestClient(Starlette(routes=endpoints.routes()))

    def put(self, address: UploadAddress, data: bytes, **headers: str) -> int:
        path = urlsplit(address.url).path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status: int = self._client.put(path, content=data, headers={**address.headers, **named}).status_code
        return status


class Bucket:
    def __init__(self, folder: Path, url: str) -> None:
        # The bucket is named by the test, since all tests share a server.
        name = re.sub("[^a-z0-9]+", "-", folder.name.lower())[-40:].strip("-") + "-bucket"
        store = S3MediaStore(
            name, clock=SteppedClock(NOW_MS), endpoint_url=url, region="us-east-1", access_key="key", secret_key="word"
        )
        store._client.create_bucket(Bucket=name)
        self.store: MediaStore = store

    def put(self, address: UploadAddress, data: bytes, **headers: str) -> int:
        parts = urlsplit(address.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**address.headers, **named, "content-length": str(len(data))}
        connection.request("PUT", f"{parts.path}?{parts.query}", data, sent)
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


STORES: dict[str, Callable[[Path, str], Opened]] = {"folder": Folder, "s3": Bucket}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def opened(request: pytest.FixtureRequest, tmp_path: Path, object_store: str) -> Opened:
    made: Opened = request.param(tmp_path, object_store)
    return made


def address_of(opened: Opened, upload: Upload) -> UploadAddress:
    return opened.store.upload_address(upload, Tickets(SECRET).sign(upload))


def name_of(data: bytes) -> str:
    return f"{MEDIA_ID}/{hashlib.sha256(data).hexdigest()}.webp"


def kept(opened: Opened, tmp_path: Path, data: bytes) -> str:
    file = tmp_path / "made"
    file.write_bytes(data)
    opened.store.put(name_of(data), file, "image/webp")
    return name_of(data)


def test_what_is_uploaded_by_a_signed_address_is_fetched_byte_for_byte(opened: Opened, tmp_path: Path) -> None:
    data = bytes(range(256)) * 500
    upload = an_upload(max_bytes=len(data))

    assert opened.put(address_of(opened, upload), data) in (200, 201)
    opened.store.fetch_upload(upload, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == data


def test_a_ticket_is_good_for_one_upload_also_after_that_was_dropped(opened: Opened, tmp_path: Path) -> None:
    upload = an_upload(max_bytes=5)
    opened.put(address_of(opened, upload), b"first")

    assert opened.put(address_of(opened, upload), b"again") in (409, 412)
    opened.store.fetch_upload(upload, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"first"
    opened.store.drop_upload(upload.upload_id)
    with pytest.raises(NotFound):
        opened.store.fetch_upload(upload, tmp_path / "copy")
    assert opened.put(address_of(opened, upload), b"third") in (409, 412)


def test_more_than_the_ticket_allows_does_not_get_in(opened: Opened, tmp_path: Path) -> None:
    upload = an_upload(max_bytes=5)
    status = opened.put(address_of(opened, upload), b"too much")

    assert status == 413 or isinstance(opened.store, S3MediaStore)
    with pytest.raises((InvalidInput, NotFound)):
        opened.store.fetch_upload(upload, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_another_type_than_the_ticket_says_does_not_get_in(opened: Opened, tmp_path: Path) -> None:
    upload = an_upload(max_bytes=5)
    status = opened.put(address_of(opened, upload), b"<svg>", content_type="image/svg+xml")

    assert status == 415 or isinstance(opened.store, S3MediaStore)
    with pytest.raises((InvalidInput, NotFound)):
        opened.store.fetch_upload(upload, tmp_path / "copy")


def test_nothing_is_fetched_where_nothing_was_uploaded(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        opened.store.fetch_upload(an_upload(), tmp_path / "copy")
    opened.store.drop_upload(an_upload().upload_id)


def test_uploads_that_are_too_old_are_dropped(opened: Opened, tmp_path: Path) -> None:
    old, new = an_upload(1, max_bytes=3), an_upload(2, upload_id=f"{NOW_MS + 9:012x}{2:020x}", max_bytes=3)
    opened.put(address_of(opened, old), b"old")
    opened.put(address_of(opened, new), b"new")

    assert opened.store.drop_uploads_before(NOW_MS) == 0
    assert opened.store.drop_uploads_before(NOW_MS + 9) == 1
    with pytest.raises(NotFound):
        opened.store.fetch_upload(old, tmp_path / "copy")
    opened.store.fetch_upload(new, tmp_path / "copy")


def test_a_file_is_read_whole_and_in_parts(opened: Opened, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1_000
    name = kept(opened, tmp_path, data)

    assert opened.store.size(name) == len(data)
    assert b"".join(opened.store.read(name, 0, len(data))) == data
    assert b"".join(opened.store.read(name, 100_000, 3)) == data[100_000:100_003]
    assert list(opened.store.read(name, 0, 0)) == []
    assert max(len(piece) for piece in opened.store.read(name, 0, len(data))) <= 64 << 10


def test_a_file_that_is_put_twice_is_there_once(opened: Opened, tmp_path: Path) -> None:
    name = kept(opened, tmp_path, b"picture")
    assert kept(opened, tmp_path, b"picture") == name

    assert opened.store.delete([name]) == 1
    assert opened.store.size(name) is None


def test_what_is_deleted_is_gone_and_counted(opened: Opened, tmp_path: Path) -> None:
    one, two = kept(opened, tmp_path, b"one"), kept(opened, tmp_path, b"two")

    assert opened.store.delete([one, name_of(b"never"), one]) >= 1
    assert opened.store.size(one) is None
    with pytest.raises(NotFound):
        list(opened.store.read(one, 0, 3))
    assert opened.store.size(two) == 3
    assert opened.store.delete([]) == 0


def test_the_folder_refuses_an_altered_and_an_expired_address(tmp_path: Path) -> None:
    opened = Folder(tmp_path, "")
    upload = an_upload(max_bytes=5)
    address = address_of(opened, upload)
    ticket = address.url.rpartition("/")[2]
    flipped = ticket[:10] + ("A" if ticket[10] != "A" else "B") + ticket[11:]
    other_key = Tickets(b"x" * 32).sign(upload)

    for altered in (flipped, other_key, ticket + "=", ticket.partition(".")[0], "x", "x.y", "%00"):
        bad = UploadAddress(f"http://media.example/media/uploads/{altered}", address.headers)
        assert opened.put(bad, b"bytes") == 403, altered
    opened.clock.step(60_001)
    assert opened.put(address, b"bytes") == 410
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_address_of_the_bucket_binds_key_type_length_expiry_and_single_use(
    tmp_path: Path, object_store: str
) -> None:
    address = address_of(Bucket(tmp_path, object_store), an_upload(max_bytes=77))
    query = parse_qs(urlsplit(address.url).query)

    assert urlsplit(address.url).path.endswith("/uploads/" + an_upload().upload_id)
    assert query["X-Amz-Expires"] == ["60"]
    assert set(query["X-Amz-SignedHeaders"][0].split(";")) >= {"content-length", "content-type", "if-none-match"}
    assert address.headers["content-length"] == "77"


def test_an_object_store_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    store = S3MediaStore(
        "bucket", clock=SteppedClock(NOW_MS), endpoint_url="http://127.0.0.1:1", region="us-east-1",
        access_key="key", secret_key="word",
    )  # fmt: skip

    with pytest.raises(BackendUnavailable):
        store.size(name_of(b"x"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", f"{MEDIA_ID}/../x.webp", f"{MEDIA_ID}/{'a' * 64}.webp/.."])
def test_the_folder_takes_no_name_that_leads_out_of_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Folder(tmp_path, "").store.size(name)


def test_an_upload_becomes_a_medium_and_is_erased_again(opened: Opened, tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    library = a_library(opened.store, SqlMediaRecords(engine), tmp_path / "work")
    started = library.start(TENANT, "creator-1", "image/jpeg", len(a_picture()))
    assert opened.put(started.address, a_picture()) in (200, 201)
    media = library.finish(TENANT, started.ticket)

    assert library.finish(TENANT, started.ticket) == media
    for rendition in media.renditions:
        name = f"{media.media_id}/{rendition.name}"
        data = b"".join(opened.store.read(name, 0, rendition.size_bytes))
        assert hashlib.sha256(data).hexdigest() == rendition.name.partition(".")[0]
    assert opened.put(started.address, a_picture()) in (409, 412), "a finished ticket is a used one"
    assert library.erase_creator(TENANT, "creator-1") == ErasedMedia(1, len(media.renditions))
    assert opened.store.size(f"{media.media_id}/{media.renditions[0].name}") is None
    engine.dispose()
