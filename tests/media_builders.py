"""Pictures, films and uploads to start a test from."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from common.clock import SteppedClock
from feed.media import images
from feed.media.images import ImageLimits
from feed.media.library import MediaLibrary
from feed.media.ports import MediaRecords, MediaStore, Upload
from feed.media.record import Rendition
from feed.media.tickets import Tickets
from feed.media.video import VideoLimits
from tests.feed_builders import NOW_MS, TENANT

SECRET = b"s" * 32
FILM = Path(__file__).parents[1] / "app" / "demo_film.webm"


def a_picture(width: int = 800, height: int = 600, image_format: str = "JPEG", **saved: Any) -> bytes:
    """A picture that is red on its left and blue on its right half, so that it can be seen which way up it is."""
    image = Image.new("RGB", (width, height), (0, 0, 200))
    image.paste((200, 0, 0), (0, 0, width // 2, height))
    out = io.BytesIO()
    image.save(out, image_format, **saved)
    return out.getvalue()


def png_of(width: int, height: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG of one byte of grey for each pixel, whatever its rows hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def an_archive() -> bytes:
    """A ZIP of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("run.class", b"payload")
    return out.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of an MP4."""
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4) + kind + body


def an_mp4(*, duration_ms: int = 5_000, width: int = 720, height: int = 1_280, codec: bytes = b"avc1") -> bytes:
    """A film of no frames with all of its headers; it tells where it was taken, as phones do."""
    mvhd = box(b"mvhd", bytes(4), b"\x11" * 8, (1_000).to_bytes(4), duration_ms.to_bytes(4), bytes(80))
    tkhd = box(b"tkhd", bytes(76), (width << 16).to_bytes(4), (height << 16).to_bytes(4))
    entry = (86).to_bytes(4) + codec + bytes(78)
    stsd = box(b"stsd", bytes(4), (1).to_bytes(4), entry)
    trak = box(b"trak", tkhd, box(b"mdia", box(b"minf", box(b"stbl", stsd))))
    place = box(b"udta", box(b"\xa9xyz", b"\x00\x12\x15\xc7+52.5200+013.4050/"))
    moov = box(b"moov", mvhd, trak, place)
    return box(b"ftyp", b"isom", bytes(4), b"isommp42") + moov + box(b"free", b"<script>alert(1)</script>") + box(
        b"mdat", b"frames"
    )  # fmt: skip


def an_upload(number: int = 1, **changes: Any) -> Upload:
    """What a ticket of the first creator allows."""
    facts: dict[str, Any] = {
        "upload_id": f"{NOW_MS:012x}{number:020x}", "tenant_id": TENANT, "creator_id": "creator-1",
        "content_type": "image/jpeg", "max_bytes": 1_000, "expires_at_ms": NOW_MS + 60_000,
    }  # fmt: skip
    return Upload(**{**facts, **changes})


class InThisProcess:
    """Renderer without a process of its own, for tests that make many pictures."""

    def render(self, source: Path, folder: Path, declared: str) -> list[Rendition]:
        return images.render(source, folder, declared, ImageLimits())


def a_library(store: MediaStore, records: MediaRecords, work_dir: Path, **changes: Any) -> MediaLibrary:
    """A library with small bounds."""
    parts: dict[str, Any] = {
        "store": store, "records": records, "tickets": Tickets(SECRET), "clock": SteppedClock(NOW_MS),
        "images": InThisProcess(), "image_max_bytes": 5 << 20, "video_limits": VideoLimits(), "work_dir": work_dir,
        "ticket_ms": 60_000,
    }  # fmt: skip
    return MediaLibrary(**{**parts, **changes})
