"""Is what the hot encoder writes what protobuf reads?"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protos import events_pb2
from streams import schemas
from streams.auction_block import COLUMN_GROUPS, AuctionColumns, OutsideBid, encode_auctions
from streams.ports import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
U64 = st.integers(0, 2**64 - 1)
ROW = st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))


@st.composite
def batches(draw: st.DrawFn) -> AuctionColumns:
    pages = draw(st.integers(0, 6))
    placements = np.array(draw(st.lists(st.integers(0, 3), min_size=pages, max_size=pages)), np.uint32)
    sizes = (
        pages,
        int(placements.sum()),
        draw(st.integers(0, 200)),
        draw(st.integers(0, 5)),
        draw(st.sampled_from([0, int(placements.sum())])),
    )
    columns: dict[str, Any] = {
        name: draw(arrays.arrays(type_, size))
        for group, size in zip(COLUMN_GROUPS, sizes, strict=True)
        for name, _, type_ in group
    }
    columns["placement_count"] = placements
    # A page view may be longer than its two-byte length, and than the table of heads.
    page_view = st.builds(bytes.__mul__, st.binary(max_size=40), st.sampled_from([0, 1, 4, 60, 900]))
    return AuctionColumns(
        held_at_ms=draw(U64),
        snapshot_sequence=draw(U64),
        model_version=draw(TEXT),
        currency=draw(TEXT),
        page_view=draw(st.lists(page_view, min_size=pages, max_size=pages)),
        bidders=draw(st.lists(TEXT, max_size=4)),
        outside_bids=draw(st.lists(st.builds(OutsideBid, ROW, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT), max_size=4)),
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
        floor_rules=batch.floor_rules,
        outside_bids=[
            events_pb2.OutsideBid(**{name: getattr(bid, name) for name in bid.__struct_fields__})
            for bid in batch.outside_bids
        ],
        **{name: getattr(batch, name).tolist() for group in COLUMN_GROUPS for name, _, _ in group},
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
