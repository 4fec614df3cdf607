"""Is what the hot encoder writes what protobuf reads?"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protos import events_pb2
from streams import schemas
from streams.auction_block import (
    COLUMN_GROUPS,
    OPTIONAL_COLUMNS,
    AuctionColumns,
    OfferedDeal,
    OutsideBid,
    encode_auctions,
)
from streams.ports import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
U64 = st.integers(0, 2**64 - 1)
ADS = ("ad_pricing", "ad_advertiser", "ad_product", "ad_category")
ROW = st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))


@st.composite
def batches(draw: st.DrawFn) -> AuctionColumns:
    pages = draw(st.integers(0, 6))
    placements = np.array(draw(st.lists(st.integers(0, 3), min_size=pages, max_size=pages)), np.uint32)
    few = st.integers(0, 5)
    sizes = (pages, int(placements.sum()), draw(st.integers(0, 200)), draw(few), draw(few))
    columns: dict[str, Any] = {
        name: draw(arrays.arrays(type_, size))
        for group, size in zip(COLUMN_GROUPS[:5], sizes, strict=True)
        for name, _, type_ in group
    }
    names: list[str] = draw(st.lists(TEXT, max_size=3))
    for name, size in (("publisher_name", sizes[0]), ("placement_name", sizes[1])):
        index = st.integers(0, len(names) - 1) if names else st.nothing()
        told = bool(names) and draw(st.sampled_from([False, True]))
        said: list[int] = draw(st.lists(index, min_size=size, max_size=size)) if told else []
        columns[name] = np.array(said, np.uint32)
    columns["placement_count"] = placements
    late = (draw(st.integers(0, sizes[2])), draw(few), draw(few), draw(few), draw(few))
    for group, size in zip(COLUMN_GROUPS[7:], late, strict=True):
        columns |= {name: draw(arrays.arrays(type_, size)) for name, _, type_ in group}
    beside = {name: columns[name].size for group in COLUMN_GROUPS for name, _, _ in group}
    for name, _, type_, other in OPTIONAL_COLUMNS:
        columns[name] = draw(arrays.arrays(type_, draw(st.sampled_from([0, beside[other]]))))
    columns |= {name: draw(st.binary(max_size=300)) for name in ADS}
    rates = draw(st.lists(st.floats(0, 1e9), max_size=4))
    # A page view may be longer than its two-byte length, and than the table of heads.
    page_view = st.builds(bytes.__mul__, st.binary(max_size=40), st.sampled_from([0, 1, 4, 60, 900]))
    return AuctionColumns(
        held_at_ms=draw(U64),
        snapshot_sequence=draw(U64),
        model_version=draw(TEXT),
        currency=draw(TEXT),
        page_view=draw(st.lists(page_view, min_size=pages, max_size=pages)),
        bidders=draw(st.lists(TEXT, max_size=4)),
        rate_table=draw(TEXT),
        currencies=[draw(TEXT) for _ in rates],
        currency_rates=np.array(rates, np.float64),
        engagement_value_micros=draw(st.integers(0, 2**63 - 1)),
        squashing=draw(st.floats(0, 1)),
        conversion_rate=draw(st.floats(0, 1)),
        cleared_bids=draw(st.integers(0, sizes[2])),
        deals=draw(
            st.lists(st.builds(OfferedDeal, ROW, TEXT, st.integers(0, 2**63 - 1), ROW, st.booleans()), max_size=3)
        ),
        outside_bids=draw(st.lists(st.builds(OutsideBid, ROW, *[TEXT] * 10), max_size=4)),
        names=names,
        floor_rules=draw(st.lists(TEXT, max_size=3)),
        **columns,
    )


@given(batches())
def test_protobuf_reads_what_the_hot_encoder_wrote(batch: AuctionColumns) -> None:
    message = events_pb2.AuctionsHeld.FromString(encode_auctions(batch))

    expected = events_pb2.AuctionsHeld(
        schema_version=schemas.SCHEMA_VERSION["auctions"],
        held_at_ms=batch.held_at_ms,
        snapshot_sequence=batch.snapshot_sequence,
        model_version=batch.model_version,
        currency=batch.currency,
        page_view=batch.page_view,
        bidders=batch.bidders,
        names=batch.names,
        floor_rules=batch.floor_rules,
        outside_bids=[
            events_pb2.OutsideBid(**{name: getattr(bid, name) for name in bid.__struct_fields__})
            for bid in batch.outside_bids
        ],
        rate_table=batch.rate_table,
        currencies=batch.currencies,
        currency_rates=batch.currency_rates.tolist(),
        engagement_value_micros=batch.engagement_value_micros,
        squashing=batch.squashing,
        conversion_rate=batch.conversion_rate,
        cleared_bids=batch.cleared_bids,
        **{name: getattr(batch, name) for name in ADS},
        deals=[
            events_pb2.OfferedDeal(**{name: getattr(deal, name) for name in deal.__struct_fields__})
            for deal in batch.deals
        ],
        **{name: getattr(batch, name).tolist() for group in COLUMN_GROUPS for name, _, _ in group},
        **{name: getattr(batch, name).tolist() for name, *_ in OPTIONAL_COLUMNS},
    )
    # By their bytes: a probability that is not a number equals nothing, itself included.
    assert message.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


@given(batches())
def test_a_batch_is_read_back_as_the_same_columns(batch: AuctionColumns) -> None:
    read = schemas.decode("auctions", Record(0, 0, encode_auctions(batch)))

    assert isinstance(read, AuctionColumns)
    for name in AuctionColumns.__struct_fields__:
        written, found = getattr(batch, name), getattr(read, name)
        if isinstance(written, np.ndarray):
            assert found.dtype == written.dtype, name
            np.testing.assert_array_equal(found, written, err_msg=name)
        else:
            assert found == written, name


@given(st.binary(max_size=300))
def test_no_bytes_stop_a_reader(payload: bytes) -> None:
    for topic in schemas.SCHEMA_VERSION:
        assert schemas.decode(topic, Record(0, 0, payload)) is not None


@given(batches(), st.data())
def test_a_damaged_batch_stops_no_reader(batch: AuctionColumns, data: st.DataObject) -> None:
    payload = bytearray(encode_auctions(batch))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))

    assert schemas.decode("auctions", Record(0, 0, bytes(payload[:cut]))) is not None
