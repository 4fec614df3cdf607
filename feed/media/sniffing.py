"""What is a file, by its bytes? Neither its name nor what its sender calls it counts."""

from __future__ import annotations

import re
from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
WEBP: Final = "image/webp"
GIF: Final = "image/gif"
MP4: Final = "video/mp4"
WEBM: Final = "video/webm"
IMAGE_TYPES: Final = (JPEG, PNG, WEBP, GIF)
VIDEO_TYPES: Final = (MP4, WEBM)
# So many bytes from the start are enough.
HEAD_BYTES: Final = 4_096

# Brands of ISO/IEC 14496-12 files that browsers play as MP4.
_MP4_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"avc1", b"mp41", b"mp42", b"M4V ", b"M4VP", b"dash"}
)
_ZIP_END = b"PK\x05\x06"
_MARKUP = re.compile(rb"<(?:script|iframe|html|svg)[\s>/]|<!doctype\s|<\?(?:php|xml)\s|<!entity\s", re.IGNORECASE)
_CODE = re.compile(rb"<(?:script|iframe|html)[\s>/]|<!doctype\s+html|<\?php\s", re.IGNORECASE)


def type_of(head: bytes) -> str:
    """The media type that the first bytes of a file say, "" for anything that is not taken."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return GIF
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return MP4
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in head[:64]:
        return WEBM
    return ""


def seems(head: bytes) -> str:
    """What a file that is not taken seems to be, in words for its sender."""
    if _MARKUP.search(head) or head.lstrip()[:1] == b"<":
        return "SVG, HTML or other markup"
    if head.startswith(b"%PDF-"):
        return "a PDF"
    if head.startswith(b"PK"):
        return "an archive"
    if head[4:8] == b"ftyp":
        return f"a film of brand {head[8:12]!a}"
    return "nothing that is known here" if head else "empty"


def second_content(data: bytes) -> str:
    """What else a picture's bytes are besides a picture, "" for nothing: an archive, a PDF, a page with scripts.

    A picture is written anew from its pixels, so none of it would survive; a sender who hides it is told.
    """
    if _CODE.search(data):
        return "a page with scripts"
    if b"%PDF-" in data[:1_024]:
        return "a PDF"
    at = data.rfind(_ZIP_END, max(0, len(data) - 65_557))
    # An archive's end is a record of 22 bytes and a comment whose length it tells, and nothing after it.
    if at >= 0 and at + 22 <= len(data) and at + 22 + int.from_bytes(data[at + 20 : at + 22], "little") == len(data):
        return "an archive"
    return ""
