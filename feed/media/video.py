"""What is an uploaded video, and what must not leave with it? Its container is read; its pictures are never decoded."""

from __future__ import annotations

from pathlib import Path

import msgspec

from feed.media import mp4, sniffing, webm
from feed.media.container import Probed
from feed.media.refused import MediaRefused

_ZEROS = bytes(1 << 16)


class VideoLimits(msgspec.Struct, frozen=True):
    """What a video may be: bytes, duration where its header says one, pixels of its longer side."""

    max_bytes: int = 200 << 20
    max_duration_ms: int = 180_000
    max_side: int = 4_096


def probe(file: Path, declared: str, limits: VideoLimits) -> Probed:
    """Read the container's headers; MediaRefused when it is not of the declared type, broken, or too much."""
    size = file.stat().st_size
    if size > limits.max_bytes:
        raise MediaRefused(f"{size} bytes", f"upload a video of at most {limits.max_bytes}")
    with file.open("rb") as stream:
        head = stream.read(sniffing.HEAD_BYTES)
        found = sniffing.type_of(head)
        if found not in sniffing.VIDEO_TYPES or found != declared:
            raise MediaRefused(
                f"{found or sniffing.seems(head)}, and not {declared}", "upload an MP4 or WebM under its own type"
            )
        probed = mp4.probe(stream, size) if found == sniffing.MP4 else webm.probe(stream, size)
    if probed.duration_ms > limits.max_duration_ms:
        raise MediaRefused(f"{probed.duration_ms} ms long", f"upload at most {limits.max_duration_ms} ms")
    if max(probed.width, probed.height) > limits.max_side:
        remedy = f"upload at most {limits.max_side} on a side"
        raise MediaRefused(f"{probed.width} × {probed.height} pixels", remedy)
    return probed


def blank_out(file: Path, probed: Probed) -> None:
    """Write over the file what `probed` says must not leave with it."""
    with file.open("r+b") as stream:
        for blank in probed.blank:
            stream.seek(blank.offset)
            stream.write(blank.prefix)
            left = blank.length - len(blank.prefix)
            while left > 0:
                left -= stream.write(_ZEROS[:left])
