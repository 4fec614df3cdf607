"""Do the messages that leave parts unread stand for the same bytes as the ones they are named after?"""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from protos import events_pb2, exchange_pb2, unread_pb2
from streams.auction_block import COLUMN_GROUPS, OPTIONAL_COLUMNS

_FIXED_WIDTH = {
    *(FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED32),
    *(FieldDescriptor.TYPE_SFIXED64, FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE),
}


@pytest.mark.parametrize(
    ("unread", "whole"),
    [
        (events_pb2.AuctionBytes.DESCRIPTOR, events_pb2.AuctionsHeld.DESCRIPTOR),
        (unread_pb2.PageViewer.DESCRIPTOR, exchange_pb2.PageView.DESCRIPTOR),
        (unread_pb2.PageViewerBatch.DESCRIPTOR, exchange_pb2.PageViewBatch.DESCRIPTOR),
    ],
    ids=lambda descriptor: descriptor.name,
)
def test_each_field_has_its_number_and_is_the_same_on_the_wire(unread: Descriptor, whole: Descriptor) -> None:
    for field in unread.fields:
        other = whole.fields_by_name[field.name]
        packed = other.is_repeated and other.type in _FIXED_WIDTH
        as_bytes = field.type == FieldDescriptor.TYPE_BYTES and (packed or other.type == FieldDescriptor.TYPE_MESSAGE)
        assert (field.number, field.is_repeated) == (other.number, other.is_repeated), field.name
        assert field.type == other.type or as_bytes, field.name


def test_every_column_of_a_record_can_be_read_as_bytes() -> None:
    columns = {name for group in COLUMN_GROUPS for name, _, _ in group} | {name for name, _, _, _ in OPTIONAL_COLUMNS}

    assert columns <= set(events_pb2.AuctionBytes.DESCRIPTOR.fields_by_name)
