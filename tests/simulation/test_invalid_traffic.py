"""What is caught of planted traffic, what is lost of people's? The quick form of `haat simulate invalid-traffic`."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.simulate_commands import simulate_invalid_traffic
from common.errors import InvalidInput
from exchange.billing import Kind
from simulation.invalid_traffic import PEOPLE, PLANTED, Traffic
from simulation.invalid_traffic_report import judge, simulate, text

pytestmark = pytest.mark.slow

# Caught one by one, whatever else is going on.
CERTAIN = ("crawlers", "scripts and tools", "clicks without a pause", "clicks on what was not shown", "copied ids")


@pytest.mark.parametrize(("seed", "share"), [(11, 0.05), (23, 0.3)])
def test_clicks_of_machines_are_caught_and_those_of_people_are_not_lost(seed: int, share: float) -> None:
    mix = judge(Traffic(seed=seed, hours=2.0, people=4_000, invalid_share=share), share)

    planted = {group.who: group for group in mix.planted}
    assert {who: planted[who].clicks_rate for who in CERTAIN} == dict.fromkeys(CERTAIN, 1.0)
    assert planted["prefetched pages"].rate == 1.0
    assert mix.caught_clicks.rate >= 0.9
    assert mix.lost.rate <= 0.01
    assert mix.lost_clicks.rate <= 0.05  # of some hundred and thirty clicks
    # What is marked costs nothing, and what people do costs once.
    for group in (*mix.planted, *mix.people):
        assert group.counted + group.marked + group.repeated == group.notices
        assert group.clicks_billed <= group.clicks


def test_a_farm_is_caught_once_it_has_shown_what_it_is() -> None:
    mix = judge(Traffic(seed=5, hours=2.0, people=6_000, invalid_share=0.3), 0.3)

    farm = next(group for group in mix.planted if group.who == "click farm")
    assert farm.clicks_rate >= 0.85
    assert "clicks too often" in farm.why


def test_traffic_is_what_it_says_and_the_same_for_the_same_seed() -> None:
    one, other = (Traffic(seed=3, hours=1.0, people=1_000, invalid_share=0.15) for _ in range(2))

    assert one.said == other.said
    assert [said.at_ms for said in one.said] == sorted(said.at_ms for said in one.said)
    of = {who: [said for said in one.said if said.who == who] for who in (*PLANTED, *PEOPLE)}
    assert all(of.values())
    share = sum(len(of[who]) for who in PLANTED) / len(one.said)
    assert share == pytest.approx(0.15, abs=0.01)
    assert not any(said.kind == Kind.CLICK for said in of["ads that nobody can see"])


def test_the_report_says_what_was_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate_invalid_traffic(seed=1, page_views=1_000, report=tmp_path, as_json=False)

    words = (tmp_path / "invalid-traffic.md").read_text()
    assert words == capsys.readouterr().out == text(simulate(seed=1, page_views=1_000)[0])
    assert (tmp_path / "invalid-traffic.svg").read_text().startswith("<svg")
    assert "slow network of bots" in words.partition("Below:")[2]
    with pytest.raises(InvalidInput, match="--page-views"):
        simulate_invalid_traffic(seed=1, page_views=10, report=None, as_json=False)
