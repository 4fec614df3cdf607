"""The demo as a new user runs it: it ends by itself, and what it counts outside is what the log counts inside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.demo_summary import SHOWN_BY_DEMO

pytestmark = pytest.mark.slow


def demo(tmp_path: Path, *words: str) -> list[str]:
    ports = ("--grpc-port", "0", "--http-port", "0")
    return [sys.executable, "-m", "app", "demo", "--data-dir", str(tmp_path / "haat"), *ports, "--posts", "500", *words]


def test_the_demo_meets_every_refusal_and_its_counts_agree(tmp_path: Path) -> None:
    # A pace that a slow machine keeps beside other tests: what it gives up is not what this looks at.
    done = subprocess.run(
        demo(tmp_path, "--for", "60s", "--json"), capture_output=True, text=True, timeout=360, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    summary: dict[str, Any] = json.loads(done.stdout)
    replay, feed = summary["replay"], summary["feed"]
    assert replay["page_views"] == 30_000
    assert replay["answered"] == 30_000
    assert replay["filled"] > 60_000
    assert summary["auctions_held"] == summary["auctions_in_event_log"] > 10_000
    assert summary["bids_in"] == sum(summary["bids_by_outcome"].values())
    on_pages, in_feed = sum(row["micros"] for row in replay["spend"]), sum(feed["billed_micros"].values())
    assert summary["billed_in_event_log_micros"] == on_pages + in_feed > on_pages > 0
    assert {int(code) for code in summary["bids_by_outcome"]} >= {int(code) for code in SHOWN_BY_DEMO}
    assert len(replay["spend"]) >= 12
    assert feed["pages"] == summary["feed_pages_in_event_log"] > 0
    assert (feed["repeated"], feed["hidden_shown"]) == (0, 0)
    assert feed["shoppers"] > 20
    assert feed["actions"]["click"] > feed["actions"]["like"] > 0
    assert feed["ads"] == feed["ad_impressions"] > 0
    made = dict(feed["new_posts_by_state"])
    # A call that failed may have made its post all the same.
    perhaps = made.pop("failed", 0)
    assert made["clean"] == feed["new_posts"] >= feed["new_posts_seen"] > 0
    moderation = feed["moderation"]
    posts = sum(moderation["posts"].values())
    assert 0 <= posts - moderation["posted_before"] - sum(made.values()) <= perhaps
    assert moderation["posts"]["published"] > 0.9 * posts
    assert moderation["posts"]["held for a moderator"] > 0
    assert set(moderation["findings"]) & {"spam", "scam_link", "hate"}


def test_ctrl_c_ends_the_demo_with_a_summary_and_no_process_left(tmp_path: Path) -> None:
    running = subprocess.Popen(
        demo(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if "A week of real page views" in line:
            running.send_signal(signal.SIGINT)
            break
    rest, _ = running.communicate(timeout=120)

    assert running.returncode == 0, said + rest
    assert "auctions held = auctions in the event log" in rest
    assert "Traceback" not in rest
    left = subprocess.run(["pgrep", "-g", str(running.pid)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
