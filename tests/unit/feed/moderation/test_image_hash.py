"""Is it PDQ, and what does it find? Turned, shrunk and re-encoded pictures, not other ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from feed.moderation.image_hash import LEAST_QUALITY, SAME_WITHIN, ImageHash, distance, hash_image, read_stored
from feed.moderation.picture_index import PictureIndex


def picture(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    chance = np.random.default_rng(seed)
    made = Image.fromarray(chance.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(made)
    for _ in range(12):
        x, y, a, b = (
            *(chance.integers(0, size[0]), chance.integers(0, size[1])),
            *(chance.integers(10, 120), chance.integers(10, 120)),
        )
        colour = tuple(int(value) for value in chance.integers(0, 255, 3))
        draw.ellipse([int(x), int(y), int(x + a), int(y + b)], fill=colour)
    return made


def recoded(one: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    one.save(held, "JPEG", quality=quality)
    return Image.open(io.BytesIO(held.getvalue()))


# Made by the reference's own code (pdqhash 0.2.8, which holds it) from the same pixels.
REFERENCE = {
    (1, (400, 300)): "66182c4b0d699a4c4cd9e539328fd37411e7806771edfa7dbf6d013a04ec0df1",
    (2, (64, 64)): "08ec447fd1fd80012f39bfbc1703af003140b8c17ffd7def00432787e7d6e129",
    (3, (511, 129)): "f05070fb9b128c9b5a68726c848c8b272e8fd2f040e73b8e5a2f46f7eb8f134a",
    (4, (100, 333)): "e857deba854d92de16aaefcbdf51153d9e9c908bc3ffda017c119218920b5003",
    (5, (200, 200)): "ff7c86382947d423f9ae339c94be193910833fe9829d64bc0e23e2f31d1d1856",
}


@pytest.mark.parametrize(("seed", "size"), REFERENCE)
def test_bits_are_those_of_the_reference(seed: int, size: tuple[int, int]) -> None:
    found = hash_image(picture(seed, size))

    # Sums run in another order here, which may tip a wave that lies on the median.
    assert distance(found.bits, bytes.fromhex(REFERENCE[seed, size])) <= 2
    assert found.quality == 100


@pytest.mark.parametrize("seed", range(5))
def test_the_same_picture_is_found_after_what_sites_do_to_it(seed: int) -> None:
    one = picture(seed)
    known = hash_image(one).bits

    for changed in (
        recoded(one, 50),
        recoded(one, 20),
        one.resize((200, 150)),
        one.resize((800, 600)),
        one.convert("L"),
        ImageEnhance.Brightness(one).enhance(1.1),
        ImageEnhance.Contrast(one).enhance(0.8),
        one.convert("P"),
    ):
        assert distance(known, hash_image(changed).bits) <= SAME_WITHIN


@pytest.mark.parametrize("seed", range(5))
def test_turned_and_mirrored_pictures_are_found_by_the_turned_hashes(seed: int) -> None:
    one = picture(seed)
    index = PictureIndex()
    index.add("one", hash_image(one).bits)

    for turn in Image.Transpose:
        changed = hash_image(one.transpose(turn))
        assert [known.picture_id for known in index.near(changed)] == ["one"], turn
        assert index.near(changed, turned=False) == []


@pytest.mark.parametrize("seed", range(5))
def test_what_it_does_not_find_is_known(seed: int) -> None:
    """PDQ looks at the whole picture: a cut of a tenth on each side, or a turn by 20 degrees, is another picture."""
    one = picture(seed)
    known = hash_image(one).bits
    width, height = one.size

    cut = one.crop((width // 10, height // 10, width * 9 // 10, height * 9 // 10))

    assert distance(known, hash_image(cut).bits) > SAME_WITHIN
    assert distance(known, hash_image(one.rotate(20)).bits) > SAME_WITHIN


def test_other_pictures_are_far_away() -> None:
    hashes = [hash_image(picture(seed)).bits for seed in range(20)]

    assert min(distance(a, b) for at, a in enumerate(hashes) for b in hashes[:at]) > 2 * SAME_WITHIN


def test_a_plain_picture_has_little_quality_and_a_tiny_one_none() -> None:
    assert hash_image(Image.new("RGB", (100, 100), "red")).quality < LEAST_QUALITY
    assert hash_image(Image.new("RGB", (4, 400))) == ImageHash(bytes(32), 0, (bytes(32),) * 7)


def test_what_is_see_through_is_seen_on_white() -> None:
    one = picture(1).convert("RGBA")
    one.putalpha(Image.linear_gradient("L").resize(one.size))

    seen = Image.alpha_composite(Image.new("RGBA", one.size, "white"), one).convert("RGB")

    assert hash_image(one).bits == hash_image(seen).bits


def test_the_index_finds_what_one_by_one_finds() -> None:
    chance = np.random.default_rng(7)
    index = PictureIndex()
    kept: dict[str, bytes] = {}
    for number in range(2_000):
        bits = chance.integers(0, 256, 32, np.uint8).tobytes()
        index.add(str(number), bits, f"owner {number % 7}")
        kept[str(number)] = bits
        if number % 3 == 0:
            gone = str(int(chance.integers(0, number + 1)))
            assert index.remove(gone) == (kept.pop(gone, None) is not None)
    assert len(index) == len(kept)
    for _ in range(20):
        asked = ImageHash(chance.integers(0, 256, 32, np.uint8).tobytes(), 100)
        wanted = sorted(distance(bits, asked.bits) for bits in kept.values())[:5]

        found = index.near(asked, 256, most=5)

        assert [known.distance for known in found] == wanted
        assert all(distance(kept[known.picture_id], asked.bits) == known.distance for known in found)


def test_a_picture_told_again_is_known_by_its_new_hash() -> None:
    index = PictureIndex()
    index.add("one", bytes(32), "a")
    index.add("one", bytes([255] * 32), "b")

    assert len(index) == 1
    assert index.near(ImageHash(bytes(32), 100)) == []
    assert index.near(ImageHash(bytes([255] * 32), 100))[0].owner_id == "b"


@pytest.mark.parametrize("seed", range(5))
def test_a_stored_hash_is_read_as_it_was_and_still_finds_turned_pictures(seed: int) -> None:
    exact = hash_image(picture(seed))

    read = read_stored(exact.stored)

    assert (read.bits, read.quality) == (exact.bits, exact.quality)
    assert max(distance(ours, theirs) for ours, theirs in zip(read.turned, exact.turned, strict=True)) <= SAME_WITHIN
    assert read_stored(exact.bits).quality == 100


def test_other_lengths_are_no_hash() -> None:
    with pytest.raises(ValueError, match="32 or 33 bytes, not 8"):
        read_stored(bytes(8))
