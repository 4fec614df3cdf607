"""What becomes of an uploaded picture? Its pixels, upright and in sRGB, in a few sizes; nothing else of it is kept.

Runs in a process of its own (image_worker.py), since it opens bytes of strangers with decoders written in C.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Final

import msgspec
from PIL import Image, ImageCms, ImageOps

from feed.media import sniffing
from feed.media.record import Rendition
from feed.media.refused import MediaRefused

# Wide enough for a thumbnail, a phone and a page; never wider than the picture itself.
WIDTHS: Final = (320, 640, 1_280)
_FORMATS: Final = {sniffing.JPEG: "JPEG", sniffing.PNG: "PNG", sniffing.WEBP: "WEBP", sniffing.GIF: "GIF"}
_WHITE: Final = (255, 255, 255)


class ImageLimits(msgspec.Struct, frozen=True):
    """What a picture may be: bytes of its file, pixels when decoded, pixels of its longer side."""

    max_bytes: int = 20 << 20
    max_pixels: int = 50_000_000
    max_side: int = 16_000


def render(source: Path, folder: Path, declared: str, limits: ImageLimits) -> list[Rendition]:
    """Write the renditions of the picture in `source` into `folder`, each under its name; narrow ones first.

    MediaRefused when the bytes are not of the `declared` type, too much, animated, or anything besides a picture.
    """
    with source.open("rb") as file:
        data = file.read(limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        raise MediaRefused(f"more than {limits.max_bytes} bytes", "upload a smaller picture")
    found = sniffing.type_of(data[: sniffing.HEAD_BYTES])
    if found not in _FORMATS or found != declared:
        seems = found or sniffing.seems(data[: sniffing.HEAD_BYTES])
        raise MediaRefused(f"{seems}, and not {declared}", "upload a JPEG, PNG, WebP or GIF under its own type")
    if second := sniffing.second_content(data):
        raise MediaRefused(f"a picture that is also {second}", "upload the picture alone")
    return [
        _written(picture, content_type, folder)
        for picture in _sizes(_pixels(data, _FORMATS[found], limits))
        for content_type in (sniffing.WEBP, sniffing.JPEG)
    ]


def _pixels(data: bytes, image_format: str, limits: ImageLimits) -> Image.Image:
    """The picture as RGB, upright, in sRGB."""
    # Sizes are checked before anything is decoded; Pillow's own bound holds for what is nested within.
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    remedy = f"upload one of at most {limits.max_pixels} pixels, {limits.max_side} on a side"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=[image_format])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise MediaRefused(f"more than {limits.max_pixels} pixels", remedy) from None
    width, height = image.size
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise MediaRefused(f"{width} × {height} pixels", remedy)
    # A photo with a preview or a second exposure in it (MPO) is no animation: its first picture is the photo.
    if image_format != "JPEG" and getattr(image, "is_animated", False):
        raise MediaRefused("an animation", "upload it as a video, or its first frame")
    profile = image.info.get("icc_profile")
    # A JPEG can be decoded at a fraction of its size, which is all that is kept anyway.
    image.draft("RGB", (2 * WIDTHS[-1], 2 * WIDTHS[-1]))
    upright: Image.Image = ImageOps.exif_transpose(image)
    return _in_srgb(_flattened(upright), profile if isinstance(profile, bytes) else b"")


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.new("RGB", image.size, _WHITE)
        image.paste(with_alpha, mask=with_alpha.getchannel("A"))
    return image


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            # A broken profile costs colours, not the picture.
            pass
    return image.convert("RGB")


def _sizes(image: Image.Image) -> list[Image.Image]:
    widest = min(image.width, WIDTHS[-1])
    widths = [width for width in WIDTHS if width < widest] + [widest]
    return [
        image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
        for width in widths
    ]


def _written(picture: Image.Image, content_type: str, folder: Path) -> Rendition:
    out = io.BytesIO()
    # A picture that was made here carries no metadata: nothing is passed on to `save`.
    clean = Image.frombytes("RGB", picture.size, picture.tobytes())
    if content_type == sniffing.WEBP:
        clean.save(out, "WEBP", quality=80, method=4)
    else:
        clean.save(out, "JPEG", quality=85, optimize=True, progressive=True)
    data = out.getvalue()
    name = f"{hashlib.sha256(data).hexdigest()}.{'webp' if content_type == sniffing.WEBP else 'jpg'}"
    (folder / name).write_bytes(data)
    return Rendition(name, content_type, clean.width, clean.height, len(data))
