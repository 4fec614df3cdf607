from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.feed_ads import Estimate, FeedAdFigures, feed_ads
from backends.event_log_lmdb import LmdbEventLog
from exchange.billing import Kind, Verdict
from streams import schemas
from streams.feed_events import FeedPageServed
from streams.schemas import NoticesTaken, NoticeTaken
from streams.topics import FEED_PAGES, NOTICES

NOW_MS = 1_700_000_000_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    opened = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 26)
    yield opened
    opened.close()


def auction_id(page: int) -> str:
    return f"{page:032x}"


def serve(log: LmdbEventLog, pages: Sequence[tuple[int, str]], posts: int = 12) -> None:
    """Pages (number, session) of so many posts with two places for ads."""
    for number, session in pages:
        event = FeedPageServed(
            served_at_ms=NOW_MS + number, tenant_id="shop", session_id=session, visitor_id="", scores=(1.0,) * posts,
            sources=("newest",) * posts, propensities=(1.0,) * posts, page_id=f"page-{number}",
            post_ids=tuple(f"post-{n}" for n in range(posts)), page_size=12, ad_slots=2, auction_id=auction_id(number),
        )  # fmt: skip
        log.append(FEED_PAGES.name, [schemas.encode(event)], NOW_MS)


def notice(
    page: int, kind: Kind, *, billed: int = 0, slot: int = 1, verdict: Verdict = Verdict.ACCEPTED
) -> NoticeTaken:
    return NoticeTaken(
        int(kind), f"{auction_id(page)}-{slot}", int(verdict), billed_micros=billed, currency="EUR",
        placement_id=f"feed-{slot}",
    )  # fmt: skip


def tell(log: LmdbEventLog, *notices: NoticeTaken) -> None:
    log.append(NOTICES.name, [schemas.encode(NoticesTaken(NOW_MS, notices))], NOW_MS)


def test_pages_posts_and_places_are_counted_by_slot(log: LmdbEventLog) -> None:
    serve(log, [(1, "a"), (2, "a"), (3, "b")])
    tell(
        log, notice(1, Kind.IMPRESSION, billed=40), notice(1, Kind.CLICK), notice(2, Kind.IMPRESSION, slot=2, billed=2),
        # Of a page elsewhere, and one that was not taken.
        notice(9, Kind.IMPRESSION, billed=1_000), notice(3, Kind.IMPRESSION, verdict=Verdict.EXPIRED),
    )  # fmt: skip

    found = feed_ads(log)

    assert (found.pages, found.sessions, found.posts, found.ads) == (3, 2, 36, 0)
    assert [(slot.slot, slot.after_posts, slot.offered) for slot in found.slots] == [(1, 2, 3), (2, 8, 3)]
    assert [(slot.seen, slot.clicks, slot.billed_micros) for slot in found.slots] == [(1, 1, 40), (1, 0, 2)]
    assert found.billed_micros == 42
    assert found.billed_per_mille_pages_micros.value == pytest.approx(14_000.0)
    assert found.click_rate.value == 0.5
    assert found.without_ads.value == 0.0


def test_pages_of_one_session_are_resampled_together(log: LmdbEventLog) -> None:
    """Forty sessions, half of which bring 100 a page: the more pages a session has, the less is known."""
    pages = [(session * 10 + page, f"s{session}") for session in range(40) for page in range(10)]
    serve(log, pages)
    tell(log, *(notice(number, Kind.IMPRESSION, billed=100) for number, name in pages if int(name[1:]) % 2))

    together = feed_ads(log).billed_per_mille_pages_micros

    assert together.value == pytest.approx(50_000.0)
    # Of forty coins: 50 % ± 15.5 %. Four hundred pages on their own would give ± 5 %.
    assert together.low == pytest.approx(34_500.0, abs=4_000.0)
    assert together.high == pytest.approx(65_500.0, abs=4_000.0)


def test_an_empty_log_has_no_figures(log: LmdbEventLog) -> None:
    found: FeedAdFigures = feed_ads(log)

    assert (found.pages, found.ads, found.slots) == (0, 0, [])
    assert found.ad_share == Estimate(0.0, 0.0, 0.0)
