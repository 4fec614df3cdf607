"""`haat auction replay` says "the same, byte for byte", or what differs, with 1; records of before are told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from app.cli import main
from app.exit_codes import ExitCode
from app.explain import tell
from backends.event_log_lmdb import LmdbEventLog
from backends.sold_facts_sql import SqlNames
from common.ids import text_of
from exchange.refusals import Refusal
from exchange.replay import BEFORE_REPLAYS, SAME
from protos import exchange_pb2
from streams.auction_block import AuctionColumns, encode_auctions
from streams.topics import AUCTIONS
from tests.builders import Market, a_line_item, a_page_view

pytestmark = pytest.mark.slow

Captured = pytest.CaptureFixture[str]


async def a_record(**changes: object) -> AuctionColumns:
    market = Market([a_line_item(1, pricing_model=2), a_line_item(2), a_line_item(3, bid_micros=100_000)],
                    engagement_value_micros=2_000)  # fmt: skip
    wire = exchange_pb2.PageView(placements=[exchange_pb2.Placement(placement_id="top")]).SerializeToString()
    await market.ask(a_page_view(wire=wire))
    return replace(market.published[0], **changes)


def overpaid(columns: AuctionColumns) -> AuctionColumns:
    return replace(columns, bid_price_micros=columns.bid_price_micros + (columns.bid_price_micros > 0))


def of_before(columns: AuctionColumns) -> AuctionColumns:
    return replace(
        columns, conversion_rate=0.0, cleared_bids=0, chance_rest=np.zeros(0, np.int32), ad_pricing=b"",
        ad_advertiser=b"", ad_product=b"", ad_category=b"", refused_before=np.zeros(0, np.uint32),
    )  # fmt: skip


def id_of(columns: AuctionColumns) -> str:
    return text_of(int(columns.auction_id_high[0]) << 64 | int(columns.auction_id_low[0]))


def write(folder: Path, records: Sequence[AuctionColumns]) -> list[str]:
    with closing(LmdbEventLog(folder / "log")) as log:
        for record in records:
            log.append(AUCTIONS.name, [encode_auctions(record)], record.held_at_ms)
    return ["--data-dir", str(folder)]


async def test_one_auction_is_the_same(tmp_path: Path, capsys: Captured) -> None:
    record = await a_record()
    folder = write(tmp_path, [record])

    assert main(["auction", "replay", id_of(record), *folder]) == 0
    assert capsys.readouterr().out == f"{SAME}\n"
    assert main(["auction", "replay", id_of(record), "--json", *folder]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "auction_id": id_of(record), "replayed": True, "same": True, "differences": [],
    }  # fmt: skip


async def test_what_was_changed_is_named_and_the_exit_code_is_1(tmp_path: Path, capsys: Captured) -> None:
    record = overpaid(await a_record())
    folder = write(tmp_path, [record])

    assert main(["auction", "replay", id_of(record), *folder]) == 1
    said = capsys.readouterr().out
    assert said.startswith("placement 1, row ")
    assert ", price: recorded " in said
    assert main(["auction", "replay", "--all", "--json", *folder]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["auctions"], found["different"], found["same"]) == (1, 1, False)
    assert found["differences"][0]["auction_id"] == id_of(record)


async def test_a_whole_log_is_counted_and_old_records_are_told_apart(tmp_path: Path, capsys: Captured) -> None:
    record = await a_record()
    folder = write(tmp_path, [of_before(record), record, record])

    assert main(["auction", "replay", "--all", *folder]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"2 auctions in 2 batches were replayed: {SAME}",
        f"1 auctions were not replayed: {BEFORE_REPLAYS}",
    ]
    # All of it was held long before the last hour.
    assert main(["auction", "replay", "--all", "--from", "1h", "--json", *folder]) == 0
    assert json.loads(capsys.readouterr().out)["auctions"] == 0


async def test_a_record_that_cannot_be_read_is_no_success(tmp_path: Path, capsys: Captured) -> None:
    folder = write(tmp_path, [await a_record()])
    with closing(LmdbEventLog(tmp_path / "log")) as log:
        log.append(AUCTIONS.name, [b"\xff"], (await a_record()).held_at_ms)

    assert main(["auction", "replay", "--all", *folder]) == ExitCode.DAMAGED
    assert "1 records cannot be read" in capsys.readouterr().out


async def test_a_damaged_record_is_not_counted_as_different(tmp_path: Path, capsys: Captured) -> None:
    record = await a_record()
    # The bids of one batch stand under placements that are not there.
    damaged = replace(record, bid_placement=record.bid_placement + 9)
    folder = write(tmp_path, [damaged, record, of_before(record)])

    assert main(["auction", "replay", "--all", "--json", *folder]) == ExitCode.DAMAGED
    found = json.loads(capsys.readouterr().out)
    assert (found["auctions"], found["different"], found["same"]) == (1, 0, False)
    assert list(found["damaged"].values()) == [1]
    assert found["not_replayed"] == {BEFORE_REPLAYS: 1}
    assert main(["auction", "replay", "--all", *folder]) == ExitCode.DAMAGED
    assert "1 auctions were not replayed: the record is damaged" in capsys.readouterr().out
    # What differs outweighs what is damaged.
    write(tmp_path, [overpaid(record)])
    assert main(["auction", "replay", "--all", *folder]) == 1


async def test_one_damaged_auction_has_the_same_exit_code(tmp_path: Path, capsys: Captured) -> None:
    record = await a_record()
    damaged = replace(record, bid_placement=record.bid_placement + 9)
    folder = write(tmp_path, [damaged])

    assert main(["auction", "replay", id_of(record), *folder]) == ExitCode.DAMAGED
    assert "the record is damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "ID: none"),
        (["0" * 32, "--all"], "give an id or --all, not both"),
        (["0" * 32, "--from", "1h"], "add --all"),
        (["--all", "--from", "soon"], "--from: soon"),
    ],
    ids=["nothing", "both", "a-time-for-one", "no-time"],
)
def test_wrong_arguments_are_said_in_a_sentence(
    arguments: list[str], says: str, tmp_path: Path, capsys: Captured
) -> None:
    write(tmp_path, [])

    assert main(["auction", "replay", *arguments, "--data-dir", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


class NoNames(SqlNames):
    def __init__(self) -> None:
        pass

    def line_items(self, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
        return {}


async def test_an_auction_is_told_with_its_scores_its_counts_and_its_replay() -> None:
    record = await a_record()

    story = tell(record, 0, NoNames())

    assert story["replay"] == SAME
    assert "may hand the visitor's id to outside bidders" in story["consent_verdict"]
    assert "may not use a place more exact than two decimals of a degree" in story["consent_verdict"]
    assert sum(story["outcomes"].values()) == story["bids_in"] == 3
    assert story["outcomes"][f"{int(Refusal.BELOW_FLOOR)} worth less than the placement's floor"] == 1
    by_click = story["placements"][0]["bids"][0]
    # 2.00 a click at one click in a hundred is 20 a thousand, and ten clicks a thousand are 0.02 to the shop.
    assert (by_click["pricing"], by_click["worth_per_mille"]) == ("per click", "20.00 EUR")
    assert (by_click["own_gain_per_mille"], by_click["score_per_mille"]) == ("0.02 EUR", "20.02 EUR")


async def test_a_record_of_before_is_told_all_the_same() -> None:
    story = tell(of_before(await a_record()), 0, NoNames())

    assert story["replay"] == BEFORE_REPLAYS
    assert story["placements"][0]["sold"] == "yes"
    assert "pricing" not in story["placements"][0]["bids"][0]
