from __future__ import annotations

import msgspec
import numpy as np
import pytest

from protos import events_pb2
from streams import schemas
from streams.auction_block import AuctionColumns, encode_auctions
from streams.feed_events import FeedActionTaken, FeedPageServed, PersonErased, PostChanged, ShareClicked
from streams.moderation_events import CaseDecided, TierChanged
from streams.ports import Record
from streams.product import Product
from streams.schemas import (
    BudgetAlerted,
    CampaignChanged,
    Event,
    NoticeForwarded,
    NoticesForwarded,
    NoticesTaken,
    NoticeTaken,
    ProductsPut,
    Unreadable,
)
from streams.topics import TOPICS

SHOE = Product("shoe", "t1", "Shoe", "Acme", "shoes", 9_990_000, "EUR", "", "https://a.example/", True, {"size": "42"})
EVENTS: dict[str, Event] = {
    "notices": NoticesTaken(
        1_700_000_000_000,
        (
            NoticeTaken(
                1, "imp", 1, "", 7, 8, 250, "EUR", "acme", "acme.example", carried_thousandths=999, visitor_id="ann"
            ),
            NoticeTaken(3, "imp2", 2, order_id="o-1", billed_micros=-5, product_id="shoe"),
        ),
    ),
    "forwarded_notices": NoticesForwarded(
        1_700_000_000_000, 7, (NoticeForwarded(2, "imp", "", 0, True), NoticeForwarded(3, "imp2", "o-1"))
    ),
    "campaign_changes": CampaignChanged(1 << 40, 1_700_000_000_000, "t1", "line_item", "abc", 3),
    "alerts": BudgetAlerted(1_700_000_000_000, "t1", "adv", "campaign", "c1", "daily", 80, 80, 100, "EUR", 3),
    "posts": PostChanged(1_700_000_000_000, "t1", "p1", "creator", 2, 9),
    "feed_pages": FeedPageServed(
        1_700_000_000_000, "t1", "page", "session", "", ("a", "b"), (0.5, -2.0), ("x", "y"), (1.0, 0.25), "auction"
    ),
    "feed_actions": FeedActionTaken(1_700_000_000_000, "t1", "session", "ann", 2, "post", "action", "spam"),
    "erasures": PersonErased(1_700_000_000_000, "t1", b"d" * 16),
    "share_clicks": ShareClicked(1_700_000_000_000, "t1", "click", "share", "post", "tracking", "gifted"),
    "moderation": CaseDecided(1_700_000_000_000, "t1", "c1", 1, "post", 3, "terms_spam", 2, True, 4),
    "creator_tiers": TierChanged(1_700_000_000_000, "t1", "creator", 2, 1, 0.75, 0.5),
    "products": ProductsPut("t1", (SHOE, msgspec.structs.replace(SHOE, product_id="hat", attributes={}))),
}


def read(topic: str, payload: bytes, offset: int = 5) -> Event | Unreadable:
    return schemas.decode(topic, Record(offset, 0, payload))


@pytest.mark.parametrize("topic", EVENTS)
def test_an_event_comes_back_as_it_was(topic: str) -> None:
    assert read(topic, schemas.encode(EVENTS[topic])) == EVENTS[topic]


def test_every_topic_can_be_read() -> None:
    assert {*EVENTS, "auctions"} == set(TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"", b"hello", b"\x12\x02\xff\xff"])
def test_a_record_that_cannot_be_read_is_named_and_stops_nobody(topic: str, payload: bytes) -> None:
    outcome = read(topic, payload, offset=17)

    assert isinstance(outcome, Unreadable)
    assert outcome.offset == 17
    assert outcome.reason


def test_a_record_of_a_newer_version_is_read_as_far_as_known() -> None:
    newer = events_pb2.CampaignChanged(
        schema_version=99, sequence=1, changed_at_ms=2, tenant_id="t1", kind="campaign", id="abc", revision=4
    ).SerializeToString()
    field_100_we_do_not_know = b"\xa2\x06\x03new"

    outcome = read("campaign_changes", newer + field_100_we_do_not_know)

    assert outcome == CampaignChanged(1, 2, "t1", "campaign", "abc", 4)


def test_feed_columns_of_different_length_are_unreadable() -> None:
    payload = events_pb2.FeedPageServed(schema_version=1, post_ids=["a", "b"], scores=[1.0]).SerializeToString()

    assert read("feed_pages", payload) == Unreadable(5, "posts, scores, sources and propensities differ in length")


@pytest.mark.parametrize(
    "message",
    [
        events_pb2.AuctionsHeld(schema_version=1, bid_micros=[1, 2], bid_outcome=[1]),
        events_pb2.AuctionsHeld(schema_version=1, page_view=[b"a"]),
        events_pb2.AuctionsHeld(schema_version=1, more_page_view=[1]),
        events_pb2.AuctionsHeld(schema_version=1, winner_row_plus_one=[1], no_ad_reason=[0]),
    ],
)
def test_auction_columns_that_do_not_fit_together_are_unreadable(message: events_pb2.AuctionsHeld) -> None:
    assert isinstance(read("auctions", message.SerializeToString()), Unreadable)


def no_auctions() -> AuctionColumns:
    names = [field.name for field in msgspec.structs.fields(AuctionColumns)]
    message = events_pb2.AuctionsHeld(schema_version=1)
    columns = read("auctions", message.SerializeToString())
    assert isinstance(columns, AuctionColumns)
    assert names == list(columns.__struct_fields__)
    return columns


def test_the_columns_are_those_of_the_message() -> None:
    fields = {field.name for field in events_pb2.AuctionsHeld.DESCRIPTOR.fields}

    assert set(AuctionColumns.__struct_fields__) == fields - {"schema_version"}


def test_a_column_of_another_type_is_our_own_bug() -> None:
    columns = no_auctions()
    columns.bid_micros = np.zeros(0, np.int32)

    with pytest.raises(AssertionError, match="bid_micros is int32, not int64"):
        encode_auctions(columns)


def test_a_column_of_another_length_is_our_own_bug() -> None:
    columns = no_auctions()
    columns.bid_micros = np.zeros(3, np.int64)

    with pytest.raises(AssertionError, match="bid_micros has 3 entries, its neighbours have 0"):
        encode_auctions(columns)


def test_an_undeclared_topic_is_our_own_bug() -> None:
    with pytest.raises(KeyError):
        read("no_such_topic", b"")
