from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from backends import kuairand_duckdb, movielens_duckdb, orders_duckdb
from common.errors import InvalidInput, NotFound
from feed.recommender.feedback import Kind, settled
from feed.recommender.log import Log

HEADER = "invoice,stock_code,description,quantity,invoice_date,price,customer_id,country"
LINES = """\
1,85048,RED MUG,2,2010-01-01 10:00:00,1.25,13085,UK
1,85048,RED MUG,1,2010-01-01 10:00:00,1.25,13085,UK
1,POST,POSTAGE,1,2010-01-01 10:00:00,9.0,13085,UK
2,79323P,  BLUE   LAMP ,1,2010-01-02 10:00:00,2.5,13085,UK
C3,79323P,BLUE LAMP,-1,2010-01-03 10:00:00,2.5,13085,UK
4,79323P,BLUE LAMP,1,2010-01-04 10:00:00,9.5,,UK
5,22041,,1,2010-01-04 10:00:00,0,13085,UK"""


def orders(tmp_path: Path, lines: str = LINES, header: str = HEADER, *, parquet: bool = False) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(f"{header}\n{lines}\n")
    if parquet:
        duckdb.read_csv(str(path)).write_parquet(str(tmp_path / "orders.parquet"))
        return tmp_path / "orders.parquet"
    return path


def events(log: Log, visitor: str) -> list[tuple[str, int]]:
    own = log.histories.of([log.visitors.index(visitor)])  # type: ignore[arg-type]
    return [
        (log.items.all[item].item_id, kind) for item, kind in zip(own.items.tolist(), own.kinds.tolist(), strict=True)
    ]


@pytest.mark.parametrize("parquet", [False, True])
def test_orders_become_a_log(tmp_path: Path, parquet: bool) -> None:
    log = orders_duckdb.read([orders(tmp_path, parquet=parquet)])

    assert log.visitors == ("13085", "order 4")
    assert log.asked.tolist() == [True, False]
    assert events(log, "13085") == [("85048", Kind.BUY), ("79323P", Kind.BUY), ("79323P", -Kind.BUY)]
    assert {item.item_id: (item.text, item.price_micros) for item in log.items.all} == {
        "79323P": ("BLUE LAMP", 2_500_000), "85048": ("RED MUG", 1_250_000),
    }  # fmt: skip


def test_a_cancelled_purchase_was_never_made(tmp_path: Path) -> None:
    log = orders_duckdb.read([orders(tmp_path)])

    assert len(settled(log.histories).items) == 2


def test_the_years_of_a_shop_are_one_log(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    first = orders(tmp_path)
    second = orders(tmp_path / "later", "9,85048,RED MUG,1,2011-01-01 10:00:00,1.25,13085.0,UK")

    log = orders_duckdb.read([first, second])

    assert events(log, "13085")[-1] == ("85048", Kind.BUY)
    assert len(log.visitors) == 2


def test_goods_are_told_apart_by_their_last_word_where_many_share_it() -> None:
    texts = [*(f"MUG NUMBER{n} MUG" for n in range(20)), "ODD THING", ""]

    assert orders_duckdb.kinds_of_goods(texts) == ["MUG"] * 20 + ["", ""]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.parquet"):
        orders_duckdb.read([tmp_path / "gone.parquet"])


def test_a_missing_column_is_named_with_the_file(tmp_path: Path) -> None:
    path = orders(tmp_path, "1,2", "invoice,stock_code")

    with pytest.raises(InvalidInput) as caught:
        orders_duckdb.read([path])

    assert caught.value.errors[0].field == "orders.csv"
    assert "description" in caught.value.errors[0].value


def test_what_is_no_parquet_file_is_refused_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "orders.parquet").write_text("no parquet")

    with pytest.raises(InvalidInput, match="give a Parquet file") as caught:
        orders_duckdb.read([tmp_path / "orders.parquet"])

    assert str(tmp_path) not in str(caught.value)


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    path = orders(tmp_path, "1,85048,RED MUG,2,yesterday,1.25,13085,UK")

    with pytest.raises(InvalidInput, match=r"orders\.csv"):
        orders_duckdb.read([path])


def test_kuairand_clicks_long_views_and_dislikes(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    header = "user_id,video_id,time_ms,is_click,long_view,duration_ms,label"
    lines = ["7,30,1000,1,1,18983,1", "7,20,2000,0,0,27566,0", "5,30,3000,0,0,18983,1"]
    path.write_bytes(gzip.compress("\n".join([header, *lines]).encode()))

    log = kuairand_duckdb.read(path)

    assert log.visitors == ("5", "7")
    assert events(log, "7") == [("30", Kind.CLICK), ("30", Kind.LIKE), ("20", Kind.HIDE)]
    assert events(log, "5") == [], "a like by label alone is not used"


def test_movielens_stars_are_likes_views_and_hides(tmp_path: Path) -> None:
    ratings = "userId,movieId,rating,timestamp\n1,2,5.0,10\n1,3,3.0,20\n2,3,0.5,30\n2,9,4.0,40\n"
    films = "movieId,title,genres\n3,Heat (1995),Action|Crime\n2,Jumanji,Adventure\n8,Never rated,Drama\n"
    (tmp_path / movielens_duckdb.RATINGS).write_bytes(gzip.compress(ratings.encode()))
    (tmp_path / movielens_duckdb.FILMS).write_bytes(gzip.compress(films.encode()))

    log = movielens_duckdb.read(tmp_path)

    assert [item.item_id for item in log.items.all] == ["2", "3"]
    assert log.items.all[1].category == "Action"
    assert events(log, "1") == [("2", Kind.LIKE), ("3", Kind.VIEW)]
    assert events(log, "2") == [("3", Kind.HIDE)], "a film without an entry is left out"
