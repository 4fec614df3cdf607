"""Who lives in the made-up feed? Honest creators and shoppers, and attackers of four kinds who know the rules.

Sybils: many new accounts that post scams, with fake accounts that like them and buy a little from one another. A ring:
creators who like, follow and buy from one another and post half scams. Slow burners: honest and well liked until they
turn. A brigade: accounts that report the best honest creators, half of them after weeks of right reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Kind(IntEnum):
    """What a creator is."""

    HONEST = 0
    SYBIL = 1
    RING = 2
    BURNER = 3


@dataclass(frozen=True, slots=True)
class World:
    """How many of each, and for how long. All counts are of accounts; days count from 0."""

    seed: int
    days: int = 40
    honest: int = 120
    # Of the honest ones so many join later: what a defence costs newcomers is part of its price.
    newcomers: int = 24
    shoppers: int = 1_500
    views_a_shopper: int = 12
    sybils: int = 40
    ring: int = 12
    burners: int = 8
    fakes: int = 300
    brigade: int = 60
    # Honest creators that the brigade is after.
    targets: int = 12
    attack_from: int = 12
    burners_turn_at: int = 24

    def without_attackers(self) -> World:
        """The same honest people alone."""
        return replace(self, sybils=0, ring=0, burners=0, fakes=0, brigade=0)


@dataclass(frozen=True, slots=True)
class Creators:
    """Arrays over creators, honest ones first; `quality` is the chance that a view is liked."""

    kind: NDArray[np.int8]
    joins: NDArray[np.int64]
    quality: NDArray[np.float64]
    posts_a_day: NDArray[np.float64]
    target: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.kind)


def creators_of(world: World) -> Creators:
    """The honest ones are the same with and without attackers: they are drawn first."""
    rng = np.random.default_rng([world.seed, 1])
    quality = rng.beta(2.0, 18.0, world.honest) + 0.02
    joins = np.zeros(world.honest, np.int64)
    joins[-world.newcomers :] = rng.integers(8, max(world.days - 10, 9), world.newcomers)
    posts = rng.gamma(4.0, 0.25, world.honest)
    target = np.zeros(world.honest, np.bool_)
    established = np.argsort(-quality[: world.honest - world.newcomers])
    target[established[: world.targets]] = True
    kinds = [np.full(world.honest, Kind.HONEST, np.int8)]
    parts = [(joins, quality, posts)]
    for kind, count, rate in (
        (Kind.SYBIL, world.sybils, 8.0),
        (Kind.RING, world.ring, 4.0),
        (Kind.BURNER, world.burners, 1.0),
    ):
        kinds.append(np.full(count, kind, np.int8))
        begins = {
            # Sybils keep coming: the account of yesterday is thrown away.
            Kind.SYBIL: rng.integers(world.attack_from, max(world.days - 4, world.attack_from + 1), count),
            Kind.RING: np.full(count, world.attack_from // 2),
            Kind.BURNER: np.zeros(count, np.int64),
        }[kind]
        parts.append((begins, np.full(count, 0.10), np.full(count, rate)))
    joined = [np.concatenate([part[at] for part in parts]) for at in range(3)]
    more = len(joined[0]) - world.honest
    return Creators(
        np.concatenate(kinds),
        joined[0].astype(np.int64),
        joined[1],
        joined[2],
        np.concatenate([target, np.zeros(more, np.bool_)]),
    )


def chance_of_bad(creators: Creators, world: World, day: int) -> NDArray[np.float64]:
    """How likely each creator's post of this day is a scam; shape (creators,)."""
    chance = np.zeros(len(creators))
    chance[creators.kind == Kind.SYBIL] = 1.0
    chance[creators.kind == Kind.RING] = 0.5
    if day >= world.burners_turn_at:
        chance[creators.kind == Kind.BURNER] = 0.9
    return chance
