"""Does a logged impression become the page view that it was, and nothing more than the docstring admits?"""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import InvalidInput, NotFound
from loadgen.readers.open_bandit import OpenBanditLog, ShopPage
from protos.exchange_pb2 import FORMAT_BANNER, FORMAT_PRODUCT_LISTING

FEATURES = "81ce123cbb5bd8ce,03a5648a76832f83,c2e4f76cdbabecd3,f97571b9c14a786a"
HEADER = (
    ",timestamp,item_id,position,click,propensity_score,"
    + ",".join(f"user_feature_{k}" for k in range(4))
    + ","
    + ",".join(f"user-item_affinity_{k}" for k in range(3))
)


def a_line(row: int, at: str, rest: str = "1,2,0", features: str = FEATURES, affinities: str = "0.0,2.0,5.0") -> str:
    return f"{row},2019-11-24 {at}+00:00,{rest},0.33,{features},{affinities}"


def a_log(folder: Path, **sections: list[str]) -> Path:
    for section in ("all", "men", "women"):
        (folder / section).mkdir()
        lines = [HEADER, *sections.get(section, [])]
        (folder / section / f"{section}.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_logged_impression_is_a_view_of_the_sections_page(tmp_path: Path) -> None:
    folder = a_log(tmp_path, men=[a_line(0, "00:03:13.442536", "2,3,1")])

    (view,) = OpenBanditLog(folder, consent_share=1.0)

    page_view = view.page_view
    assert (view.item, view.position, view.clicked) == ("men-2", 3, True)
    assert [place.placement_id for place in page_view.placements] == ["men-left", "men-centre", "men-right"]
    assert [place.position for place in page_view.placements] == [1, 2, 3]
    assert all(place.formats == [FORMAT_BANNER, FORMAT_PRODUCT_LISTING] for place in page_view.placements)
    assert [(size.width, size.height) for size in page_view.placements[0].sizes] == [(300, 250)]
    assert page_view.visitor.segments == ["uf0=81ce123c", "uf1=03a5648a", "uf2=c2e4f76c", "uf3=f97571b9"]
    assert [(one.product_id, one.weight) for one in page_view.visitor.affinities] == [("men-2", 5.0), ("men-1", 2.0)]
    assert page_view.viewed_at_ms == 1574553793442
    assert page_view.page.categories == ["fashion", "men"]
    assert page_view.currency == "EUR"
    assert len(page_view.consent.granted) == 4


def test_sections_are_merged_in_the_order_of_time(tmp_path: Path) -> None:
    folder = a_log(
        tmp_path,
        all=[a_line(0, "00:00:01"), a_line(1, "00:00:04")],
        men=[a_line(0, "00:00:02"), a_line(1, "00:00:05")],
        women=[a_line(0, "00:00:03")],
    )

    views = list(OpenBanditLog(folder))

    assert [view.page_view.page.url.rsplit("/", 1)[1] for view in views] == ["all", "men", "women", "all", "men"]


def test_who_looks_the_same_is_the_same_visitor_and_the_same_hour_the_same_session(tmp_path: Path) -> None:
    folder = a_log(
        tmp_path,
        men=[
            a_line(0, "00:10:00"),
            a_line(1, "00:50:00"),
            a_line(2, "01:10:00"),
            a_line(3, "01:20:00", affinities="0.0,0.0,5.0"),
        ],
    )

    one, same, later, other = (view.page_view for view in OpenBanditLog(folder))

    assert one.visitor.visitor_id == same.visitor.visitor_id == later.visitor.visitor_id
    assert other.visitor.visitor_id != one.visitor.visitor_id
    assert one.session_id == same.session_id
    assert later.session_id != one.session_id
    assert len({one.request_id, same.request_id, later.request_id, other.request_id}) == 4


def test_the_same_seed_makes_the_same_views_and_consent_is_of_the_visitor(tmp_path: Path) -> None:
    features = [f"{k:08x}ffff,a,b,c" for k in range(400)]
    lines = [a_line(k, f"00:00:{k % 60:02d}", features=features[k]) for k in range(400)]
    folder = a_log(tmp_path, women=[*lines, *lines])

    first = [view.page_view.SerializeToString() for view in OpenBanditLog(folder, seed=5)]
    again = [view.page_view.SerializeToString() for view in OpenBanditLog(folder, seed=5)]
    other = [view.page_view.SerializeToString() for view in OpenBanditLog(folder, seed=6)]
    views = [view.page_view for view in OpenBanditLog(folder, seed=5)]
    agrees = {(view.visitor.visitor_id, bool(view.consent.granted)) for view in views}

    assert first == again
    assert first != other
    assert len(agrees) == 400
    assert 0.7 < sum(granted for _, granted in agrees) / 400 < 0.9


def test_the_shops_floors_and_blocks_are_on_its_placements(tmp_path: Path) -> None:
    shop = ShopPage(floors_micros=(1, 2, 3), blocked_advertisers=("rival.example",), blocked_categories=("fur",))
    folder = a_log(tmp_path, all=[a_line(0, "00:00:01")])

    (view,) = OpenBanditLog(folder, shop=shop)

    assert [place.floor_micros for place in view.page_view.placements] == [1, 2, 3]
    assert view.page_view.placements[2].blocked_advertisers == ["rival.example"]
    assert view.page_view.placements[0].blocked_categories == ["fur"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (a_line(0, "25:00:00"), "timestamp: '2019-11-24 25:00:00+00:00', expected a time with its zone"),
        (a_line(0, "00:00:01", "3,2,0"), "item_id: '3', expected 0 to 2"),
        (a_line(0, "00:00:01", "1,4,0"), "position: '4', expected 1 to 3"),
        (a_line(0, "00:00:01", "1,2,7"), "click: '7', expected 0 to 1"),
        (a_line(0, "00:00:01", affinities="0.0,nan,0.0"), "user-item_affinity_1: 'nan', expected 0 or more"),
        (a_line(0, "00:00:01", affinities="0.0,1.0"), "cells: 12, the header has 13"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(tmp_path: Path, line: str, reason: str) -> None:
    log = OpenBanditLog(a_log(tmp_path, men=[a_line(0, "00:00:01"), line, a_line(2, "00:00:02")]))

    assert len(list(log)) == 2
    assert log.tally.views == 2
    assert log.tally.lines == [f"men.csv line 3: {reason}"]


def test_a_missing_log_and_another_header_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"all\.csv: fetch the Open Bandit Dataset first"):
        next(iter(OpenBanditLog(tmp_path)))

    folder = a_log(tmp_path)
    (folder / "all" / "all.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match="column timestamp: missing"):
        next(iter(OpenBanditLog(folder)))
