"""Is this the same picture, whatever was done to its file? PDQ: 256 bits that stay alike when a picture is re-encoded.

After Facebook's "TMK and PDQ algorithms" (ThreatExchange, hashing/hashing.pdf, 2019) and the reference beside it:
luminance, a tent filter of two box passes, 64 × 64 samples, the 16 × 16 lowest waves of a cosine transform without the
constant one, and one bit for each that says whether it is above the median. Two pictures are taken for the same up to a
Hamming distance of 31. The code is our own; its bits are those of the reference, in the order of its hexadecimal form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAME_WITHIN: Final = 31
# Below it a picture is too plain for its bits to mean much (hashing.pdf: quality, "discard below 50").
LEAST_QUALITY: Final = 50
_SAMPLES, _WAVES, _LARGEST, _SMALLEST = 64, 16, 512, 5
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_DCT: Final = np.sqrt(2.0 / _SAMPLES) * np.cos(
    np.pi / 2 / _SAMPLES * np.outer(np.arange(1, _WAVES + 1), 2 * np.arange(_SAMPLES) + 1)
)


@dataclass(frozen=True, slots=True)
class ImageHash:
    """`bits` are 32 bytes, most significant first; `quality` is 0 (a plain area) to 100.

    `turned` are the hashes of the picture turned by 90, 180, 270 degrees, mirrored both ways, and mirrored along either
    diagonal: what a copy can be turned into without a new file having to be hashed.
    """

    bits: bytes
    quality: int
    turned: tuple[bytes, ...] = ()

    @property
    def hex(self) -> str:
        """64 hexadecimal digits, as other tools write PDQ."""
        return self.bits.hex()

    @property
    def stored(self) -> bytes:
        """33 bytes: the bits and the quality, which `read_stored` takes."""
        return self.bits + bytes([self.quality])


def read_stored(stored: bytes) -> ImageHash:
    """The hash of 33 stored bytes, or of the 32 of any PDQ, whose quality is taken for good. ValueError for others.

    Its turned hashes are told from the bits alone: they differ from the exact ones by a few bits, up to some twenty,
    so that a picture that was both turned and changed may be missed.
    """
    if len(stored) not in (32, 33):
        raise ValueError(f"a picture hash has 32 or 33 bytes, not {len(stored)}")
    grid = np.unpackbits(np.frombuffer(stored[:32], np.uint8))[::-1].reshape(_WAVES, _WAVES).astype(bool)
    odd = np.arange(_WAVES) % 2 == 0
    down = odd[:, None]
    others = (grid.T ^ odd, grid ^ odd ^ down, grid.T ^ down, grid ^ odd, grid ^ down, grid.T, grid.T ^ odd ^ down)
    turned = tuple(np.packbits(other.ravel()[::-1]).tobytes() for other in others)
    return ImageHash(stored[:32], stored[32] if len(stored) == 33 else 100, turned)


def hash_image(picture: Image.Image) -> ImageHash:
    """The hash of an opened, bounded picture of any mode; one below 5 × 5 has quality 0 and no bits."""
    luma = _luminance(picture)
    if min(luma.shape) < _SMALLEST:
        return ImageHash(bytes(32), 0, (bytes(32),) * 7)
    samples = luma if luma.shape == (_SAMPLES, _SAMPLES) else _sampled(luma)
    waves = _DCT @ samples @ _DCT.T
    # A mirrored signal has every second wave upside down.
    flip = np.where(np.arange(_WAVES) % 2 == 0, -1.0, 1.0)
    across, down, turned = waves * flip, waves * flip[:, None], waves.T
    others = (
        *(turned * flip, across * flip[:, None], turned * flip[:, None]),
        *(across, down, turned, turned * flip * flip[:, None]),
    )
    return ImageHash(_bits(waves), _quality(samples), tuple(_bits(other) for other in others))


def distance(one: bytes, other: bytes) -> int:
    """How many of the 256 bits differ."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def _luminance(picture: Image.Image) -> NDArray[np.float64]:
    # Where a picture is see-through it is seen on white.
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    picture = picture.convert("RGB")
    if max(picture.size) > _LARGEST:
        # As the reference does, which stretches to a square.
        picture = picture.resize((_LARGEST, _LARGEST), Image.Resampling.BOX)
    return (np.asarray(picture, np.float32) @ _LUMA).astype(np.float64)


def _sampled(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = luma.shape
    for _ in range(2):
        luma = _box(luma, _window(columns))
        luma = _box(luma.T, _window(rows)).T
    at_rows = ((np.arange(_SAMPLES) + 0.5) * rows / _SAMPLES).astype(np.intp)
    at_columns = ((np.arange(_SAMPLES) + 0.5) * columns / _SAMPLES).astype(np.intp)
    return luma[np.ix_(at_rows, at_columns)]


def _window(size: int) -> int:
    return (size + 2 * _SAMPLES - 1) // (2 * _SAMPLES)


def _box(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean over a window along each row; windows are cut off at the edges."""
    size = values.shape[1]
    right = (window + 2) // 2 - 1
    left = window - 1 - right
    at = np.arange(size)
    first, last = np.maximum(at - left, 0), np.minimum(at + right + 1, size)
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return np.asarray((sums[:, last] - sums[:, first]) / (last - first))


def _quality(samples: NDArray[np.float64]) -> int:
    # Steps are cut to whole hundredths of the range, so that many faint ones count for nothing.
    steps = sum(
        int(np.abs(np.trunc(np.diff(samples, axis=axis) * 100.0 / 255.0)).astype(np.int64).sum()) for axis in (0, 1)
    )
    return min(100, steps // 90)


def _bits(waves: NDArray[np.float64]) -> bytes:
    flat = waves.ravel()
    # The lower of the two middle values, as Torben's method gives it.
    median = np.partition(flat, len(flat) // 2 - 1)[len(flat) // 2 - 1]
    return np.packbits((flat > median)[::-1]).tobytes()
