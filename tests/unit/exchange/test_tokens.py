from __future__ import annotations

import random
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.signing_keys import SigningKeys, postback_secret, rotate
from common.errors import BackendUnavailable
from common.ids import new_id
from exchange.tokens import (
    MOST_TOKEN_CHARS,
    SigningKey,
    Token,
    TokenKind,
    TokenRefusal,
    Tokens,
    can_be_signed,
    tenant_bytes,
)

NOW_S = 1_700_000_000
OLD, NEW = SigningKey(1, b"o" * 32), SigningKey(2, b"n" * 32)
IMPRESSION = new_id(NOW_S * 1000) + ".3"
TENANT = tenant_bytes(new_id(NOW_S * 1000))


def tokens_of(*keys: SigningKey) -> Tokens:
    return Tokens(lambda: keys)


def signed(kind: TokenKind = TokenKind.CLICK, expires_at_s: int = NOW_S + 60, *keys: SigningKey) -> str:
    tenant = TENANT if kind == TokenKind.CONVERSION else b""
    return tokens_of(*(keys or (NEW, OLD))).sign(kind, IMPRESSION, expires_at_s, tenant=tenant)


@given(
    kind=st.sampled_from(TokenKind),
    number=st.integers(0, 2**128 - 1),
    index=st.integers(0, 9999),
    tenant=st.binary(min_size=16, max_size=16),
    along=st.binary(max_size=100),
    left_s=st.integers(1, 10**9),
)
def test_a_token_says_what_was_signed(
    kind: TokenKind, number: int, index: int, tenant: bytes, along: bytes, left_s: int
) -> None:
    impression_id = f"{number:032x}.{index}"
    tenant = tenant if kind == TokenKind.CONVERSION else b""
    text = tokens_of(NEW).sign(kind, impression_id, NOW_S + left_s, tenant=tenant, along=along)

    assert tokens_of(NEW).read(text, NOW_S, along=along) == Token(kind, impression_id, NOW_S + left_s, tenant)
    assert tokens_of(NEW).read(text, NOW_S, along=along + b"x") is TokenRefusal.TAMPERED
    assert len(text) <= MOST_TOKEN_CHARS
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")


@given(
    number=st.integers(0, 2**128 - 1),
    index=st.integers(0, 9999),
    expires_at_s=st.integers(1, 2**33),
    landing_url=st.binary(max_size=100),
)
def test_an_ad_s_two_tokens_are_those_that_are_signed_one_by_one(
    number: int, index: int, expires_at_s: int, landing_url: bytes
) -> None:
    tokens, impression_id = tokens_of(NEW, OLD), f"{number:032x}.{index}"

    both = tokens.sign_ad(number.to_bytes(16, "big"), index, expires_at_s, landing_url)

    assert both == (
        tokens.sign(TokenKind.EVENT, impression_id, expires_at_s),
        tokens.sign(TokenKind.CLICK, impression_id, expires_at_s, along=landing_url),
    )


def test_ten_thousand_changed_tokens_are_refused() -> None:
    chance = random.Random(26)
    tokens = tokens_of(NEW, OLD)
    goods = [signed(kind) for kind in TokenKind]
    alphabet = string.ascii_letters + string.digits + "-_"
    refusals = set()
    for turn in range(10_000):
        good = goods[turn % len(goods)]
        letters = list(good)
        way = chance.randrange(5)
        if way == 0:
            at = chance.randrange(len(letters))
            letters[at] = chance.choice(alphabet.replace(letters[at], ""))
        elif way == 1:
            del letters[chance.randrange(len(letters))]
        elif way == 2:
            letters.insert(chance.randrange(len(letters)), chance.choice(alphabet + "=+/ %\x00é"))
        elif way == 3:
            letters = [chance.choice(alphabet) for _ in letters]
        else:
            one, other = sorted(chance.sample(range(len(letters) + 1), 2))
            letters[one:other] = reversed(letters[one:other])
        text = "".join(letters)
        if text == good:
            continue
        verdict = tokens.read(text, NOW_S)
        assert isinstance(verdict, TokenRefusal), text
        refusals.add(verdict)
    assert refusals >= {TokenRefusal.MALFORMED, TokenRefusal.FOREIGN, TokenRefusal.TAMPERED}


@pytest.mark.parametrize("padding", ["=", "==", " ", "\n", "A"])
def test_only_the_one_spelling_is_taken(padding: str) -> None:
    assert tokens_of(NEW).read(signed() + padding, NOW_S) is TokenRefusal.MALFORMED


def test_a_long_text_along_cannot_pass_for_a_tenant() -> None:
    text = tokens_of(NEW).sign(TokenKind.CLICK, IMPRESSION, NOW_S + 60, along=b"x" * 16)
    data = urlsafe_b64decode(text)
    forged = urlsafe_b64encode(data[:24] + b"x" * 16 + data[24:]).decode().rstrip("=")

    assert tokens_of(NEW).read(forged, NOW_S) is TokenRefusal.TAMPERED


def test_a_token_has_its_time() -> None:
    text = signed(TokenKind.CLICK, NOW_S + 60)

    assert isinstance(tokens_of(NEW).read(text, NOW_S + 59), Token)
    assert tokens_of(NEW).read(text, NOW_S + 60) is TokenRefusal.EXPIRED


def test_a_token_is_good_for_its_kind_alone() -> None:
    text = signed(TokenKind.EVENT)

    assert tokens_of(NEW).read(text, NOW_S, TokenKind.CLICK) is TokenRefusal.WRONG_KIND
    assert isinstance(tokens_of(NEW).read(text, NOW_S, TokenKind.EVENT, TokenKind.CONVERSION), Token)


def test_another_exchanges_token_is_foreign() -> None:
    text = signed(TokenKind.CLICK, NOW_S + 60, SigningKey(2, b"x" * 32))

    assert tokens_of(NEW, OLD).read(text, NOW_S) is TokenRefusal.TAMPERED
    assert tokens_of(OLD).read(text, NOW_S) is TokenRefusal.FOREIGN


def test_after_a_rotation_both_keys_are_good_and_after_the_next_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "tokens.key"
    first = SigningKeys(path)()
    text = Tokens(lambda: first).sign(TokenKind.CLICK, IMPRESSION, NOW_S + 60)
    rotate(path)
    once = SigningKeys(path)()
    rotate(path)
    twice = SigningKeys(path)()

    assert [len(keys) for keys in (first, once, twice)] == [1, 2, 2]
    assert isinstance(Tokens(lambda: once).read(text, NOW_S), Token)
    assert Tokens(lambda: twice).read(text, NOW_S) is TokenRefusal.FOREIGN
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_that_cannot_be_read_are_said_by_their_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.key"
    for text in ("", "1 abcd\n", "x y\n", "0 " + "ab" * 32):
        path.write_text(text)
        with pytest.raises(BackendUnavailable, match=r"tokens\.key"):
            SigningKeys(path)


def test_tenants_have_secrets_of_their_own() -> None:
    assert len({postback_secret(key, tenant) for key in (OLD, NEW) for tenant in (b"a", b"b")}) == 4


def test_a_tenants_id_is_its_own_bytes() -> None:
    tenant_id = new_id(1)

    assert tenant_bytes(tenant_id) == bytes.fromhex(tenant_id)
    assert len(tenant_bytes("shop")) == 16
    assert tenant_bytes("shop") != tenant_bytes("shops")


def test_only_ids_of_ours_can_be_signed() -> None:
    assert can_be_signed(IMPRESSION)
    assert not any(can_be_signed(text) for text in ("", "x.1", IMPRESSION + "x", IMPRESSION[:33]))
