"""What do the demo's photographers upload? Pictures of our own: soft fields of colour with a few shapes, by number."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 320, 400
CONTENT_TYPE = "image/jpeg"
_SHAPES = 4


def photo(number: int) -> bytes:
    """A JPEG, the same for the same number, and not alike for another one."""
    chance = np.random.default_rng([7, number])
    field = chance.integers(30, 226, (6, 5, 3), np.uint8)
    image = Image.fromarray(field).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(_SHAPES):
        left, top = chance.integers(0, WIDTH - 60), chance.integers(0, HEIGHT - 60)
        right, bottom = left + chance.integers(30, 140), top + chance.integers(30, 180)
        colour = tuple(int(part) for part in chance.integers(0, 256, 3))
        shape = draw.ellipse if chance.random() < 0.5 else draw.rectangle
        shape((int(left), int(top), int(right), int(bottom)), fill=colour)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    return file.getvalue()
