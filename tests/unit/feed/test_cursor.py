from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import FieldError
from feed.cursor import MAX_CHAIN_POSTS, MAX_CURSOR_CHARS, Chain, Cursors

SECRET = b"a secret of sixteen bytes or more"
CURSORS = Cursors(secret=SECRET, ttl_ms=60_000)
KEYS = st.lists(st.integers(0, 2**64 - 1), max_size=60)


@given(chain_id=st.integers(0, 2**63 - 1), page=st.integers(0, 10_000), keys=KEYS)
def test_a_cursor_gives_back_its_chain(chain_id: int, page: int, keys: list[int]) -> None:
    chain = Chain(chain_id, page, tuple(keys))

    assert CURSORS.read(CURSORS.write(chain, "t", "s", 5), "t", "s", 5) == chain


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_cursor_with_any_bit_changed_is_refused(at: int, bit: int) -> None:
    cursor = CURSORS.write(Chain(7, 1, (1, 2, 3)), "t", "s", 5)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[at % len(raw)] ^= 1 << bit

    assert isinstance(CURSORS.read(base64.urlsafe_b64encode(bytes(raw)).decode(), "t", "s", 5), FieldError)


@pytest.mark.parametrize(
    ("tenant", "session", "now_ms", "says"),
    [("t2", "s", 5, "of another session"), ("t", "s2", 5, "of another session"), ("ts", "", 5, "of another session"),
     ("t", "s", 60_006, "expired")],
)  # fmt: skip
def test_a_foreign_or_expired_cursor_is_refused(tenant: str, session: str, now_ms: int, says: str) -> None:
    cursor = CURSORS.write(Chain(7), "t", "s", 5)

    answer = CURSORS.read(cursor, tenant, session, now_ms)

    assert isinstance(answer, FieldError)
    assert answer.field == "cursor"
    assert says in answer.value


@given(st.text(max_size=300))
def test_garbage_is_refused(cursor: str) -> None:
    assert isinstance(CURSORS.read(cursor, "t", "s", 5), FieldError)


def test_a_cursor_of_another_secret_is_refused() -> None:
    other = Cursors(secret=b"another secret of sixteen bytes", ttl_ms=60_000)

    assert isinstance(CURSORS.read(other.write(Chain(7), "t", "s", 5), "t", "s", 5), FieldError)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Cursors(secret=b"short")


def test_a_chain_ends_before_its_cursor_grows_too_long() -> None:
    longest = Chain(7, 1, tuple(range(MAX_CHAIN_POSTS - 1)))

    assert len(CURSORS.write(longest, "t", "s", 5)) <= MAX_CURSOR_CHARS
    assert CURSORS.read(CURSORS.write(longest, "t", "s", 5), "t", "s", 5) == longest
    assert longest.after([1]) is None
    assert Chain(7, 1, (5,)).after([6]) == Chain(7, 2, (5, 6))
