"""What becomes of pictures, good and hostile ones?"""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from common.errors import BackendUnavailable
from feed.media.images import ImageLimits, render
from feed.media.isolation import IsolatedImages
from feed.media.record import Rendition
from feed.media.refused import MediaRefused
from feed.media.sniffing import type_of
from tests.media_builders import a_picture, an_archive, png_of


def rendered(tmp_path: Path, data: bytes, declared: str = "image/jpeg", **limits: int) -> list[Rendition]:
    (tmp_path / "upload").write_bytes(data)
    return render(tmp_path / "upload", tmp_path, declared, ImageLimits(**limits))


def refused(tmp_path: Path, data: bytes, declared: str = "image/jpeg", **limits: int) -> str:
    with pytest.raises(MediaRefused) as why:
        rendered(tmp_path, data, declared, **limits)
    assert why.value.remedy
    return why.value.found


def opened(tmp_path: Path, rendition: Rendition) -> Image.Image:
    with Image.open(tmp_path / rendition.name) as image:
        image.load()
        return image


@pytest.mark.parametrize(
    ("width", "widths"),
    [(2_000, [320, 640, 1_280]), (1_280, [320, 640, 1_280]), (700, [320, 640, 700]), (100, [100])],
)
def test_a_picture_comes_in_sizes_that_are_never_wider_than_itself(
    tmp_path: Path, width: int, widths: list[int]
) -> None:
    made = rendered(tmp_path, a_picture(width, width // 2))

    assert [one.width for one in made] == [each for each in widths for _ in "ab"]
    assert [one.content_type for one in made] == ["image/webp", "image/jpeg"] * len(widths)
    for one in made:
        image = opened(tmp_path, one)
        assert image.size == (one.width, one.height)
        assert one.height == pytest.approx(one.width / 2, abs=1)
        assert (tmp_path / one.name).stat().st_size == one.size_bytes


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_each_format_is_taken_under_its_own_type_and_no_other(tmp_path: Path, image_format: str) -> None:
    data = a_picture(64, 64, image_format)
    declared = f"image/{image_format.lower()}"

    assert type_of(data) == declared
    assert len(rendered(tmp_path, data, declared)) == 2
    other = "image/png" if image_format != "PNG" else "image/jpeg"
    assert declared in refused(tmp_path, data, other)


def test_a_name_is_the_hash_of_the_bytes_so_the_same_picture_has_the_same_name(tmp_path: Path) -> None:
    first, again = rendered(tmp_path, a_picture()), rendered(tmp_path, a_picture())

    assert first == again
    assert all(len(one.name.partition(".")[0]) == 64 for one in first)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_stands_upright_and_loses_what_it_tells_of_its_owner(tmp_path: Path, orientation: int) -> None:
    turned = {3: 180, 6: 90, 8: 270}[orientation]
    image = Image.open(io.BytesIO(a_picture(800, 400))).rotate(turned, expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, comment=b"secret comment", xmp=b"<x:xmpmeta>secret</x:xmpmeta>")
    assert b"Secret Camera" in out.getvalue()

    for one in rendered(tmp_path, out.getvalue()):
        made = opened(tmp_path, one)
        data = (tmp_path / one.name).read_bytes()
        assert made.width == 2 * made.height
        assert len(made.getexif()) == 0
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(made.info)
        assert b"ecret" not in data
        left = made.convert("RGB").getpixel((made.width // 4, made.height // 2))
        assert isinstance(left, tuple)
        assert left[0] > 150 > left[2], "red is on the left again"


def test_texts_and_profiles_of_a_png_are_gone_and_what_was_clear_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    told = PngImagePlugin.PngInfo()
    told.add_text("Author", "secret")
    out = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(out, "PNG", pnginfo=told, icc_profile=profile)

    for one in rendered(tmp_path, out.getvalue(), "image/png"):
        assert b"secret" not in (tmp_path / one.name).read_bytes()
        assert opened(tmp_path, one).convert("RGB").getpixel((9, 9)) == (255, 255, 255)


def test_modes_that_no_browser_shows_are_shown_as_they_look(tmp_path: Path) -> None:
    grey = Image.new("I;16", (64, 64), 65_535)
    out = io.BytesIO()
    grey.save(out, "PNG")
    assert opened(tmp_path, rendered(tmp_path, out.getvalue(), "image/png")[0]).convert("L").getpixel((9, 9)) == 255

    out = io.BytesIO()
    Image.new("CMYK", (64, 64), (0, 0, 0, 0)).save(out, "JPEG")
    assert opened(tmp_path, rendered(tmp_path, out.getvalue())[0]).convert("L").getpixel((9, 9)) == 255


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "empty"),
        (b"hello", "nothing that is known"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "SVG"),
        (b"  <html><script>alert(1)</script></html>", "HTML"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04" + bytes(40), "archive"),
        (b"BM" + bytes(60), "nothing that is known"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(40), "film of brand"),
    ],
)
def test_what_is_no_picture_is_refused_whatever_it_is_called(tmp_path: Path, data: bytes, found: str) -> None:
    assert found in refused(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "declared", "found"),
    [
        (a_picture() + an_archive(), "image/jpeg", "archive"),
        (a_picture(64, 64, "GIF") + an_archive(), "image/gif", "archive"),
        (a_picture(64, 64, "PNG") + b"<script>alert(1)</script>", "image/png", "page with scripts"),
        (a_picture(comment=b"<html><body>"), "image/jpeg", "page with scripts"),
        (a_picture(comment=b"<?php system($_GET['x']); ?>"), "image/jpeg", "page with scripts"),
        (b"GIF89a/*" + bytes(9) + b"*/=1;<script >alert(1)</script>", "image/gif", "page with scripts"),
        (a_picture(comment=b"%PDF-1.4"), "image/jpeg", "PDF"),
    ],
    ids=["jpeg+zip", "gif+zip", "png+script", "html in comment", "php in comment", "gif/js", "jpeg+pdf"],
)
def test_a_picture_that_is_something_else_too_is_refused(
    tmp_path: Path, data: bytes, declared: str, found: str
) -> None:
    assert found in refused(tmp_path, data, declared)


def test_what_is_hidden_in_a_picture_and_not_found_does_not_come_out_of_it(tmp_path: Path) -> None:
    hidden = b"\x7fELF hidden payload"
    data = a_picture() + hidden

    assert all(b"hidden payload" not in (tmp_path / one.name).read_bytes() for one in rendered(tmp_path, data))


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        # Kilobytes that would be gigabytes of pixels.
        (png_of(60_000, 60_000, zlib.compress(bytes(10_000_000), 9)), "image/png"),
        (png_of(16_001, 1, b""), "image/png"),
        (a_picture(4_000, 4_000), "image/jpeg"),
    ],
    ids=["bomb", "too wide", "too many pixels"],
)
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, data: bytes, declared: str
) -> None:
    assert "pixels" in refused(tmp_path, data, declared, max_pixels=10_000_000)


def test_a_file_of_too_many_bytes_is_not_even_read(tmp_path: Path) -> None:
    assert refused(tmp_path, a_picture() + bytes(1_000), max_bytes=1_000) == "more than 1000 bytes"


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_refused_and_its_sender_told_to_make_a_video(tmp_path: Path, image_format: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), (n, 0, 0)) for n in range(0, 250, 5)]
    frames[0].save(out, image_format, save_all=True, append_images=frames[1:])

    assert refused(tmp_path, out.getvalue(), f"image/{image_format.lower()}") == "an animation"


@pytest.fixture(scope="module")
def isolated() -> IsolatedImages:
    return IsolatedImages(ImageLimits())


def test_a_picture_is_opened_in_a_process_of_its_own(tmp_path: Path, isolated: IsolatedImages) -> None:
    (tmp_path / "upload").write_bytes(a_picture())

    assert isolated.render(tmp_path / "upload", tmp_path, "image/jpeg") == rendered(tmp_path, a_picture())


@pytest.mark.parametrize(
    "data",
    [
        a_picture()[:500],
        b"\xff\xd8\xff" + bytes(100),
        png_of(100, 100, b"no deflate"),
        # A text of 64 MiB in some kilobytes.
        png_of(8, 8, zlib.compress(bytes(72)), (lambda body: len(body).to_bytes(4) + b"zTXt" + body + zlib.crc32(
            b"zTXt" + body).to_bytes(4))(b"k\0\0" + zlib.compress(bytes(64 << 20), 9))),
    ],
    ids=["cut off", "no frames", "broken rows", "text bomb"],
)  # fmt: skip
def test_broken_bytes_are_refused_and_harm_nothing(tmp_path: Path, isolated: IsolatedImages, data: bytes) -> None:
    (tmp_path / "upload").write_bytes(data)
    declared = type_of(data)

    with pytest.raises(MediaRefused, match="broken"):
        isolated.render(tmp_path / "upload", tmp_path, declared)


@pytest.mark.slow
def test_a_picture_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(a_picture(7_000, 7_000, "PNG"))

    with pytest.raises(MediaRefused):
        IsolatedImages(ImageLimits(), max_memory_bytes=220 << 20).render(tmp_path / "upload", tmp_path, "image/png")


def test_pictures_beyond_those_that_are_being_looked_at_wait_and_are_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feed.media.isolation._QUEUE_S", 0)
    busy = IsolatedImages(ImageLimits(), at_once=1)
    busy._free.acquire()

    with pytest.raises(BackendUnavailable, match="in a moment"):
        busy.render(tmp_path / "upload", tmp_path, "image/jpeg")


def test_the_worker_knows_nothing_of_its_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(_printer(tmp_path)))
    (tmp_path / "upload").write_bytes(a_picture())

    with pytest.raises(MediaRefused, match="within bounds"):
        IsolatedImages(ImageLimits()).render(tmp_path / "upload", tmp_path, "image/jpeg")
    names = {line.partition("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
    assert names <= {"PYTHONPATH", "PWD", "SHLVL", "_", "OLDPWD"}


def _printer(folder: Path) -> Path:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n/usr/bin/env > {folder}/environment\n")
    script.chmod(0o700)
    return script
