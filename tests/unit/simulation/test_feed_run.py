"""Does the simulated feed behave like a feed, and does its report say what happened?"""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.event_log_lmdb import LmdbEventLog
from feed.log_reader import events
from simulation import exploration_report
from streams.feed_events import FeedActionTaken, FeedPageServed


@pytest.mark.slow
def test_a_small_run_is_told_as_a_server_tells_it_and_the_same_seed_is_the_same_run(tmp_path: Path) -> None:
    log = LmdbEventLog(tmp_path, map_size_bytes=1 << 26)

    report, chart = exploration_report.simulate(
        seed=3, pages=150, days=2.0, publish=lambda topic, payloads: log.append(topic, payloads, 1)
    )
    again, _ = exploration_report.simulate(seed=3, pages=150, days=2.0, publish=lambda topic, payloads: None)

    assert report == again
    kept, none = report.runs
    assert (kept.explored_share, none.explored_share) == (1 / 8, 0.0)
    assert none.explored_clicks_per_mille is None
    assert kept.posts > 100
    assert kept.first[0].impressions == 1
    assert kept.first[0].within_a_day >= none.first[0].within_a_day
    assert set(kept.ways) == {"best scores", "penalties (MMR)", "calibrated"}
    assert kept.ways["calibrated"][1] < kept.ways["best scores"][1], "the page comes nearer to the wanted mix"
    pages, actions = (list(events(log, topic)) for topic in ("feed_pages", "feed_actions"))
    log.close()
    assert len(pages) == kept.pages
    assert all(isinstance(page, FeedPageServed) for page in pages)
    assert actions
    assert all(isinstance(action, FeedActionTaken) for action in actions)
    words = exploration_report.text(report)
    assert "| 10 |" in words
    assert f"--pages {kept.pages}" in words
    assert chart.startswith("<svg")
