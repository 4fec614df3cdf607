"""What traffic does the simulated market see? A rhythm of day and week, with spikes and droughts nobody foresees."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray


class Shock(msgspec.Struct, frozen=True):
    """From a second of the run on, for so long, traffic is multiplied: above 1 a spike, 0 a drought."""

    starts_s: int
    lasts_s: int
    factor: float


class Rhythm(msgspec.Struct, frozen=True):
    """Page views a second through the week: mean, depth of the nights (0 to 1), hour of the peak, weekend's share."""

    mean: float = 4.0
    depth: float = 0.75
    peak_hour: float = 20.0
    weekend: float = 0.8


def usual(rhythm: Rhythm, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected page views a second at these seconds since Monday 00:00, shocks apart."""
    hour = seconds / 3600.0 % 24.0
    wave = 1.0 + rhythm.depth * np.cos((hour - rhythm.peak_hour) / 24.0 * 2.0 * np.pi)
    weekend = np.where(seconds // 86_400 % 7 >= 5, rhythm.weekend, 1.0)
    rates: NDArray[np.float64] = rhythm.mean * wave * weekend
    return rates


def shocked(seconds: NDArray[np.float64], shocks: tuple[Shock, ...]) -> NDArray[np.float64]:
    """What the shocks make of it, as a factor."""
    factor = np.ones(len(seconds))
    for shock in shocks:
        factor[(seconds >= shock.starts_s) & (seconds < shock.starts_s + shock.lasts_s)] *= shock.factor
    return factor
