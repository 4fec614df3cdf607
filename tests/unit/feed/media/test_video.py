"""What is told of videos, and what is taken out of them?"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from feed.media.container import Probed
from feed.media.refused import MediaRefused
from feed.media.video import VideoLimits, blank_out, probe
from tests.media_builders import FILM, a_picture, an_mp4, box


def probed(tmp_path: Path, data: bytes, declared: str = "video/mp4", **limits: int) -> Probed:
    (tmp_path / "film").write_bytes(data)
    return probe(tmp_path / "film", declared, VideoLimits(**limits))


def refused(tmp_path: Path, data: bytes, declared: str = "video/mp4", **limits: int) -> str:
    with pytest.raises(MediaRefused) as why:
        probed(tmp_path, data, declared, **limits)
    assert why.value.remedy
    return why.value.found


def test_an_mp4_tells_its_length_and_size(tmp_path: Path) -> None:
    told = probed(tmp_path, an_mp4())

    assert (told.content_type, told.duration_ms, told.width, told.height) == ("video/mp4", 5_000, 720, 1_280)


def test_a_webm_tells_its_length_and_size(tmp_path: Path) -> None:
    told = probed(tmp_path, FILM.read_bytes(), "video/webm")

    assert told.content_type == "video/webm"
    assert 14_000 <= told.duration_ms <= 16_000
    assert told.width > 0 < told.height


def test_place_time_and_hidden_text_are_taken_out_of_an_mp4_and_nothing_moves(tmp_path: Path) -> None:
    data = an_mp4()
    assert b"+52.5200" in data
    told = probed(tmp_path, data)
    blank_out(tmp_path / "film", told)
    clean = (tmp_path / "film").read_bytes()

    assert len(clean) == len(data)
    assert clean.index(b"mdatframes") == data.index(b"mdatframes")
    for gone in (b"+52.5200", b"<script>", b"\x11" * 8, b"udta"):
        assert gone not in clean
    again = probed(tmp_path, clean)
    assert (again.duration_ms, again.width, again.height) == (5_000, 720, 1_280)


def test_tags_and_titles_are_taken_out_of_a_webm_and_nothing_moves(tmp_path: Path) -> None:
    data = FILM.read_bytes()
    told = probed(tmp_path, data, "video/webm")
    blank_out(tmp_path / "film", told)
    clean = (tmp_path / "film").read_bytes()

    assert len(clean) == len(data)
    assert b"ENCODER" in data
    assert b"ENCODER" not in clean
    again = probed(tmp_path, clean, "video/webm")
    assert (again.duration_ms, again.width, again.height) == (told.duration_ms, told.width, told.height)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (an_mp4()[:-3], "cut off"),
        (an_mp4() + b"<html><script>", "something else"),
        (an_mp4() + box(b"evil", b"payload"), "something else"),
        (an_mp4().replace(b"avc1", b"text"), "without a track of pictures"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", b"x"), "without a film"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov", b""), "without a film"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov", b"\x00\x00\x00\x04mvhd") + box(b"mdat"), "broken"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov", box(b"trak") * 3, b"\xff") + box(b"mdat"), "broken"),
        (box(b"ftyp", b"qt  ", bytes(4)) + box(b"mdat"), "film of brand"),
        (FILM.read_bytes(), "video/webm"),
        (a_picture(), "image/jpeg"),
        (b"<svg/>", "SVG"),
        (b"", "empty"),
    ],
)
def test_what_is_no_whole_mp4_is_refused(tmp_path: Path, data: bytes, found: str) -> None:
    assert found in refused(tmp_path, data)


def test_boxes_in_boxes_have_an_end(tmp_path: Path) -> None:
    nested = b""
    for _ in range(2_000):
        nested = box(b"trak", nested)
    data = box(b"ftyp", b"isom", bytes(4)) + box(b"moov", nested) + box(b"mdat")

    assert "broken" in refused(tmp_path, data)
    assert "boxes" in refused(tmp_path, box(b"ftyp", b"isom", bytes(4)) + box(b"free") * 20_000)


@pytest.mark.parametrize(
    ("mutate", "found"),
    [
        (lambda data: data[:-10], "without a film"),
        (lambda data: data + b"<script>alert(1)</script>", "something else behind it"),
        (lambda data: data[:60], "without a film"),
        (lambda data: data[:4] + b"\x81\x00webm", "nothing that is known"),
    ],
    ids=["cut off", "script behind", "header alone", "no header"],
)
def test_what_is_no_whole_webm_is_refused(tmp_path: Path, mutate: Callable[[bytes], bytes], found: str) -> None:
    assert found in refused(tmp_path, mutate(FILM.read_bytes()), "video/webm")


@pytest.mark.parametrize("step", [97])
def test_a_film_with_a_changed_byte_is_told_of_or_refused_and_never_breaks_anything(tmp_path: Path, step: int) -> None:
    for original, declared in ((an_mp4(), "video/mp4"), (FILM.read_bytes()[:3_000], "video/webm")):
        for at in range(0, len(original), step if declared == "video/webm" else 3):
            for value in (0x00, 0xFF, original[at] ^ 0x40):
                changed = bytearray(original)
                changed[at] = value
                try:
                    told = probed(tmp_path, bytes(changed), declared)
                except MediaRefused:
                    continue
                blank_out(tmp_path / "film", told)
                assert (tmp_path / "film").stat().st_size == len(original)


@pytest.mark.parametrize(
    ("data", "limits", "found"),
    [
        (an_mp4(), {"max_bytes": 10}, "bytes"),
        (an_mp4(duration_ms=200_000), {}, "200000 ms long"),
        (an_mp4(width=8_000), {}, "8000 × 1280 pixels"),
    ],
)
def test_a_video_that_is_too_much_is_refused_with_what_it_is(
    tmp_path: Path, data: bytes, limits: dict[str, int], found: str
) -> None:
    assert found in refused(tmp_path, data, "video/mp4", **limits)


def test_a_recording_of_a_browser_that_does_not_know_its_length_is_taken(tmp_path: Path) -> None:
    def element(name: bytes, *parts: bytes, size: bytes = b"") -> bytes:
        body = b"".join(parts)
        return name + (size or (0x10000000 | len(body)).to_bytes(4)) + body

    video = element(b"\xe0", element(b"\xb0", b"\x02\x80"), element(b"\xba", b"\x01\xe0"))
    tracks = element(b"\x16\x54\xae\x6b", element(b"\xae", element(b"\x83", b"\x01"), video))
    words = element(b"\x15\x49\xa9\x66", element(b"\x7b\xa9", b"my secret title"))
    unknown = b"\x01" + b"\xff" * 7
    cluster = element(b"\x1f\x43\xb6\x75", element(b"\xe7", b"\x00"), element(b"\xa3", b"frame"), size=unknown)
    tags = element(b"\x12\x54\xc3\x67", b"secret tags")
    out = io.BytesIO()
    out.write(element(b"\x1a\x45\xdf\xa3", b"\x42\x82\x84webm"))
    out.write(element(b"\x18\x53\x80\x67", words, tracks, cluster, cluster, tags, size=unknown))

    told = probed(tmp_path, out.getvalue(), "video/webm")
    blank_out(tmp_path / "film", told)
    clean = (tmp_path / "film").read_bytes()

    assert (told.duration_ms, told.width, told.height) == (0, 640, 480)
    assert b"secret" not in clean
    assert clean.count(b"frame") == 2
    assert probed(tmp_path, clean, "video/webm").width == 640
