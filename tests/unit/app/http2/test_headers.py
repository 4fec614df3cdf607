"""Header blocks are read once and remembered rightly; what breaks the rules is no call."""

from __future__ import annotations

import gzip
from typing import Any

import grpc
import pytest
from hpack import Decoder, Encoder

from app.http2.frames import ConnectionBroken
from app.http2.header_blocks import HeaderBlocks, literal, percent_encoded, trailers
from app.http2.header_fields import Malformed, read_head
from app.http2.limits import Budget
from app.http2.messages import MessageReader, MessageRefused
from app.http2.methods import Methods
from tests.http2_peer import SERVICE, Handlers, message

GOOD = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", f"/{SERVICE}/Once".encode()),
    (b"content-type", b"application/grpc+proto"),
]


@pytest.fixture
def methods() -> Methods:
    return Methods([Handlers().generic()])


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [field for field in GOOD if field[0] != name]


def test_a_block_that_changes_nothing_is_decoded_once(methods: Methods) -> None:
    blocks, encoder = HeaderBlocks(methods, 16_384), Encoder()
    first = blocks.head(encoder.encode(GOOD))
    again = encoder.encode(GOOD)

    second, third = blocks.head(again), blocks.head(again)

    assert first == second
    assert second is third


def test_the_same_bytes_mean_something_else_after_the_table_has_changed(methods: Methods) -> None:
    blocks = HeaderBlocks(methods, 16_384)
    plain = b"".join(literal(name, value) for name, value in GOOD)
    # 0x40 puts a field into the table, 0xbe is the one that was put in last.
    blocks.head(plain + b"\x40\x05x-who\x01a")
    named = plain + b"\xbe"
    before = [blocks.head(named).metadata for _ in range(2)]

    blocks.head(plain + b"\x40\x05x-who\x01b")
    after = blocks.head(named).metadata

    assert before == [(("x-who", "a"),)] * 2
    assert after == (("x-who", "b"),)


def test_a_resized_table_is_noticed(methods: Methods) -> None:
    blocks, encoder = HeaderBlocks(methods, 16_384), Encoder()
    fields = [*GOOD, (b"x-who", b"a")]
    blocks.head(encoder.encode(fields))
    named = encoder.encode(fields)
    blocks.head(named)

    # A table of size 0 forgets everything.
    with pytest.raises((ConnectionBroken, Malformed)):
        blocks.head(b"\x20" + named)
    with pytest.raises(ConnectionBroken):
        blocks.head(named)


@pytest.mark.parametrize(
    "fields",
    [
        without(b":method"),
        without(b":path"),
        without(b":scheme"),
        [*GOOD, (b":path", b"/late")],
        [(b":unknown", b"x"), *GOOD],
        [(b":method", b"POST"), *GOOD],
        [*GOOD, (b"Upper", b"case")],
        [*GOOD, (b"", b"empty")],
        [*GOOD, (b"x", b"a\r\nb")],
        [*GOOD, (b"connection", b"close")],
        [*GOOD, (b"transfer-encoding", b"chunked")],
        [*GOOD, (b"te", b"gzip")],
        [*GOOD, (b"content-length", b"-1")],
        [*GOOD, (b"content-length", b"1"), (b"content-length", b"2")],
    ],
)
def test_fields_that_break_the_rules_are_no_call(methods: Methods, fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Malformed):
        read_head(fields, methods)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ((b"grpc-timeout", b"1"), grpc.StatusCode.INVALID_ARGUMENT),
        ((b"grpc-timeout", b"123456789S"), grpc.StatusCode.INVALID_ARGUMENT),
        ((b"grpc-timeout", b"-1S"), grpc.StatusCode.INVALID_ARGUMENT),
        ((b"x-bin", b"*"), grpc.StatusCode.INVALID_ARGUMENT),
        ((b"grpc-encoding", b"snappy"), grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_a_call_that_cannot_be_read_is_told_why(
    methods: Methods, field: tuple[bytes, bytes], code: grpc.StatusCode
) -> None:
    head = read_head([*GOOD, field], methods)

    assert head.method is None
    assert head.refusal is not None
    assert head.refusal.code is code


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"2H", 7200),
        (b"3M", 180),
        (b"4S", 4),
        (b"50m", 0.05),
        (b"60u", 6e-5),
        (b"7n", 7e-9),
        (b"99999999H", 366 * 86400),
    ],
)
def test_timeouts_have_units_and_an_end(methods: Methods, value: bytes, seconds: float) -> None:
    assert read_head([*GOOD, (b"grpc-timeout", value)], methods).timeout_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("media", "is_grpc"),
    [
        (b"application/grpc", True),
        (b"application/grpc+json", True),
        (b"application/grpc; charset=utf-8", True),
        (b"application/grpc-web", False),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_only_grpc_is_taken(methods: Methods, media: bytes, is_grpc: bool) -> None:
    head = read_head([*without(b"content-type"), (b"content-type", media)], methods)

    assert (head.method is not None) == is_grpc


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 300, 20_000])
def test_a_literal_of_any_length_can_be_read(size: int) -> None:
    (field,) = Decoder(max_header_list_size=1 << 20).decode(literal(b"x-name", b"v" * size), raw=True)

    assert tuple(field) == (b"x-name", b"v" * size)


def fields_of(block: bytes) -> dict[bytes, bytes]:
    fields: Any = Decoder().decode(block, raw=True)
    return dict(fields)


def test_trailers_that_a_peer_would_refuse_are_shortened() -> None:
    metadata = (("grpc-status-details-bin", bytes(20_000)),)

    fields = fields_of(trailers(grpc.StatusCode.NOT_FOUND, "ü" * 5_000, metadata, 8_192))

    assert b"grpc-status-details-bin" not in fields
    assert 2_000 < len(fields[b"grpc-message"]) < 8_192
    assert len(fields[b"grpc-message"]) % 3 == 0


def test_metadata_cannot_pretend_to_be_the_protocol() -> None:
    metadata = (("grpc-status", "0"), (":status", "500"), ("x-fine", "yes"))

    fields = fields_of(trailers(grpc.StatusCode.NOT_FOUND, "", metadata, 8_192))

    assert fields == {b"grpc-status": b"5", b"x-fine": b"yes"}


@pytest.mark.parametrize("pair", [("x", "a\nb"), ("x", "ü"), ("x y", "a"), ("ü", "a")])
def test_metadata_that_cannot_be_sent_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"metadata|ascii"):
        trailers(grpc.StatusCode.OK, "", (pair,), 8_192)


def test_messages_are_percent_encoded() -> None:
    assert percent_encoded("a b%\n\ud800") == b"a b%25%0A?"


def test_a_message_that_unpacks_to_too_much_is_refused() -> None:
    bomb = gzip.compress(bytes(1_000_000))

    with pytest.raises(MessageRefused) as refused:
        MessageReader(10_000, "gzip").feed(message(bomb, flag=1))

    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"x", mtime=0)[:-1], gzip.compress(b"x", mtime=0) + b"more"]
)
def test_a_message_that_is_no_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(MessageRefused) as refused:
        MessageReader(10_000, "gzip").feed(message(data, flag=1))

    assert refused.value.code is grpc.StatusCode.INTERNAL


def test_a_budget_is_spent_earned_and_filled_by_time() -> None:
    budget = Budget(2, 10, 0.0)

    assert [budget.spend(0.0) for _ in range(3)] == [True, True, False]
    budget.earn()
    assert [budget.spend(0.0) for _ in range(2)] == [True, False]
    assert [budget.spend(0.1) for _ in range(2)] == [True, False]
    assert [budget.spend(100.0) for _ in range(3)] == [True, True, False]
