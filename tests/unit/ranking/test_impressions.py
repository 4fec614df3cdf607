"""Does a log read as it was written, and does a broken one name its cell?"""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import InvalidInput, NotFound
from ranking.impressions import read, read_items

from .conftest import ITEMS, WriteLogs

HEADER = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user_feature_2,user_feature_3,"
    "user-item_affinity_0,user-item_affinity_1"
)
ROW = "0,2019-11-24 00:00:34.762830+00:00,1,3,0,0.5,81ce123cbb5b,03a5,c2e4,f975,0.0,2.0"


def a_log(folder: Path, *rows: str, header: str = HEADER) -> Path:
    (folder / "men").mkdir()
    (folder / "men" / "men.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_a_row_reads_as_it_was_written(tmp_path: Path) -> None:
    log = read(a_log(tmp_path, ROW), "men")

    assert log.at_ms.tolist() == [1_574_553_634_762]
    assert (log.item.tolist(), log.position.tolist(), log.click.tolist()) == ([1], [3], [0])
    assert log.propensity.tolist() == [0.5]
    assert log.segments(0) == ("uf0=81ce123c", "uf1=03a5", "uf2=c2e4", "uf3=f975")
    assert log.affinities(0) == (("men-1", 2.0),)
    assert [str(column.dtype) for column in (log.at_ms, log.item, log.affinity)] == ["int64", "int32", "float32"]


@pytest.mark.parametrize(
    ("good", "bad", "column"),
    [
        ("2019-11-24 00:00:34.762830+00:00", "yesterday", "timestamp"),
        ("2019-11-24 00:00:34.762830+00:00", "2019-11-24 00:00:34", "timestamp"),
        (",1,3,0,", ",2,3,0,", "item_id"),
        (",1,3,0,", ",-1,3,0,", "item_id"),
        (",1,3,0,", ",1,4,0,", "position"),
        (",1,3,0,", ",1,3,2,", "click"),
        (",1,3,0,", ",1,3,,", "click"),
        (",0.5,", ",0,", "propensity_score"),
        (",0.5,", ",1.5,", "propensity_score"),
        (",0.5,", ",nan,", "propensity_score"),
        ("c2e4", "c2\x00e4", "user_feature_2"),
        ("f975", "f" * 65, "user_feature_3"),
        ("2.0", "-2.0", "user-item_affinity_1"),
        ("2.0", "inf", "user-item_affinity_1"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(tmp_path: Path, good: str, bad: str, column: str) -> None:
    assert good in ROW

    with pytest.raises(InvalidInput) as refused:
        read(a_log(tmp_path, ROW, ROW.replace(good, bad)), "men")

    assert [error.field for error in refused.value.errors] == [f"men.csv line 3, column {column}"]


def test_all_bad_cells_are_named_at_once_but_not_without_end(tmp_path: Path) -> None:
    bad = ROW.replace(",3,0,0.5,", ",9,7,2,")

    with pytest.raises(InvalidInput) as refused:
        read(a_log(tmp_path, bad), "men")
    assert len(refused.value.errors) == 3

    (tmp_path / "many").mkdir()
    with pytest.raises(InvalidInput) as refused:
        read(a_log(tmp_path / "many", *[bad] * 1000), "men")
    assert len(refused.value.errors) == 20


def test_a_line_that_is_cut_off_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"men\.csv line 3: 5 cells"):
        read(a_log(tmp_path, ROW, "1,2019-11-24 00:00:34.762830+00:00,1,3,0"), "men")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (HEADER.replace("click", "clock"), "column click"),
        (HEADER.replace("_affinity_", "_liking_"), "user-item_affinity_"),
        (HEADER.replace("affinity_1", "affinity_7"), "user-item_affinity_1"),
    ],
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        read(a_log(tmp_path, ROW, header=header), "men")


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no impressions"):
        read(a_log(tmp_path), "men")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    a_log(tmp_path, ROW)
    with (tmp_path / "men" / "men.csv").open("ab") as log:
        log.write(b"\xff\xfe\n")

    with pytest.raises(InvalidInput, match="utf-8"):
        read(tmp_path, "men")


def test_a_missing_log_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"men\.csv"):
        read(tmp_path, "men")


def test_items_carry_their_attributes(write_logs: WriteLogs) -> None:
    items = read_items(write_logs(rows=1), "men")

    assert len(items) == ITEMS
    assert items[3].attributes("men") == {
        "section": "men",
        "item_feature_0": "-0.071",
        "item_feature_1": "a0000001aa",
        "item_feature_2": "b0000000bb",
        "item_feature_3": "c0000000cc",
    }


def test_items_out_of_order_are_refused(tmp_path: Path) -> None:
    (tmp_path / "men").mkdir()
    rows = [",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3", "0,1,0.5,a,b,c", "1,0,0.5,a,b,c"]
    (tmp_path / "men" / "item_context.csv").write_text("\n".join(rows))

    with pytest.raises(InvalidInput, match=r"item_context\.csv line 2, column item_id"):
        read_items(tmp_path, "men")
