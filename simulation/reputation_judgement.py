"""How far did attackers come, and what did honest people pay? Figures of a run, and their intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from simulation.reputation_run import Run
from simulation.reputation_world import Kind, World


class Figures(msgspec.Struct, frozen=True):
    """Shares, 0 to 1, over the days from the attack on; what is lost is lost to the same people without attackers and
    without a defence.

    `attackers_reach`: views of scams of all views, `sybils`, `ring` and `burners` its parts. `honest_lost`,
    `targets_lost` (of those the brigade is after), `newcomers_lost`: views lost, below 0 where some were won.
    `wrongly_stopped`: posts of honest creators that were limited, held or removed at any time, `targets_stopped` those
    of the brigade's targets. `tiers`: attackers who had a commission tier at the end, a count.
    """

    attackers_reach: float
    sybils: float
    ring: float
    burners: float
    honest_lost: float
    targets_lost: float
    newcomers_lost: float
    wrongly_stopped: float
    targets_stopped: float
    tiers: float


class Interval(msgspec.Struct, frozen=True):
    """A mean over seeds and the half width of its 95 % interval (Student's t)."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:.1%} ± {self.half_width:.1%}"


def figures(world: World, run: Run, peaceful: Run) -> Figures:
    """The figures of a run beside the same people in peace."""
    kind = run.creators.kind
    late = slice(world.attack_from, None)
    views, bad = run.views[late], run.bad_views[late]
    total = float(views.sum())
    honest = views[:, kind == Kind.HONEST].sum(axis=0)
    before = peaceful.views[late][:, peaceful.creators.kind == Kind.HONEST].sum(axis=0)
    target = run.creators.target[kind == Kind.HONEST]
    newcomer = np.zeros(len(honest), np.bool_)
    newcomer[-world.newcomers :] = True

    def lost(whose: NDArray[np.bool_]) -> float:
        return float(1.0 - honest[whose].sum() / before[whose].sum())

    def reach(of: Kind) -> float:
        return float(bad[:, kind == of].sum()) / total

    return Figures(
        attackers_reach=float(bad.sum()) / total,
        sybils=reach(Kind.SYBIL),
        ring=reach(Kind.RING),
        burners=reach(Kind.BURNER),
        honest_lost=lost(np.ones(len(honest), np.bool_)),
        targets_lost=lost(target),
        newcomers_lost=lost(newcomer),
        wrongly_stopped=run.honest_limited / max(run.honest_posts, 1),
        targets_stopped=run.target_limited / max(run.target_posts, 1),
        tiers=float(run.tiers_of_attackers),
    )


def interval(values: Sequence[float]) -> Interval:
    """Over seeds, which are independent worlds."""
    array = np.array(values)
    if len(array) < 2:
        return Interval(float(array.mean()), float("nan"))
    error = float(array.std(ddof=1)) / len(array) ** 0.5
    return Interval(float(array.mean()), float(stats.t.ppf(0.975, len(array) - 1)) * error)
