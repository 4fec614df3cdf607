"""Do reputation and weighed reports keep attackers down in a made-up feed? The quick form of `haat simulate`."""

from __future__ import annotations

import pytest

from common.errors import InvalidInput
from simulation import reputation_report
from simulation.reputation_arms import HAAT, PLAIN, Arm
from simulation.reputation_judgement import figures, interval
from simulation.reputation_run import run
from simulation.reputation_world import World

SMALL = World(
    1, days=26, honest=50, newcomers=8, shoppers=400, sybils=14, ring=5, burners=4, fakes=80, brigade=40, targets=6,
    attack_from=8, burners_turn_at=16,
)  # fmt: skip
NO_WEIGHING = Arm("haat without weighing", weighing=False)


@pytest.mark.slow
def test_the_defence_beats_none_in_every_world() -> None:
    for seed in (201, 202, 203):
        world = World(**{name: getattr(SMALL, name) for name in World.__slots__} | {"seed": seed})
        peaceful = run(world.without_attackers(), PLAIN)
        plain, haat = (figures(world, run(world, arm), peaceful) for arm in (PLAIN, HAAT))

        assert haat.attackers_reach < plain.attackers_reach, f"seed={seed}"
        assert haat.sybils < plain.sybils, f"seed={seed}"
        assert haat.honest_lost < plain.honest_lost, f"seed={seed}"
        assert haat.targets_lost < plain.targets_lost, f"seed={seed}"
        assert haat.wrongly_stopped < plain.wrongly_stopped, f"seed={seed}"


@pytest.mark.slow
def test_without_weighing_a_brigade_stops_its_targets() -> None:
    peaceful = run(SMALL.without_attackers(), PLAIN)
    weighed, counted = (figures(SMALL, run(SMALL, arm), peaceful) for arm in (HAAT, NO_WEIGHING))

    assert weighed.targets_stopped < counted.targets_stopped / 3


@pytest.mark.slow
def test_the_same_seed_is_the_same_world() -> None:
    first, second = run(SMALL, HAAT), run(SMALL, HAAT)

    assert (first.views == second.views).all()
    assert (first.bad_views == second.bad_views).all()


def test_nobody_attacks_and_no_scam_is_seen() -> None:
    peaceful = run(SMALL.without_attackers(), HAAT)

    assert peaceful.bad_views.sum() == 0.0
    assert peaceful.views.sum() > 0.0


@pytest.mark.slow
def test_a_report_says_how_it_was_made_and_gives_intervals() -> None:
    made, chart = reputation_report.simulate(seed=301, seeds=2, world=SMALL, arms=(PLAIN, HAAT))

    words = reputation_report.text(made)

    assert "haat simulate reputation --seed 301 --seeds 2" in words
    assert [one.arm for one in made.arms] == ["plain counts", "haat", "haat, nobody attacks"]
    assert words.count("±") > 20
    assert chart.startswith("<svg")


def test_an_interval_is_that_of_student() -> None:
    found = interval([1.0, 2.0, 3.0])

    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.303 / 3**0.5, rel=1e-3)


def test_counts_that_make_no_sense_are_named() -> None:
    from app.simulate_commands import simulate_reputation

    with pytest.raises(InvalidInput, match="--seeds"):
        simulate_reputation(seed=1, seeds=1, report=None, as_json=True)
