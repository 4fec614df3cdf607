"""What may people write, and in which form is it kept?"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed import post_text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  plain \n text  ", "plain \n text"),
        ("line\r\nbreak", "line\nbreak"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9"),
        ("zero\u200bwidth\u2060and\ufefffriends", "zerowidthandfriends"),
        ("soft\u00adhyphen", "softhyphen"),
        ("\u3164\u115f", ""),
        ("family 👨‍👩‍👧", "family 👨‍👩‍👧"),
        ("क्‍ष", "क्‍ष"),
        ("joined\u200d\u200d\u200dthrice", "joined\u200dthrice"),
        ("\u200dfirst and last\u200d", "first and last"),
        ("England \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
         "England \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"),
        ("hidden\U000e0068\U000e0069 words", "hidden words"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("مرحبا\u200f 123", "مرحبا\u200f 123"),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_cannot_be_seen_is_not_kept_and_what_can_stays(text: str, kept: str) -> None:
    assert post_text.errors("caption", text, 100) == []
    assert post_text.clean(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        *(f"turned {mark} round" for mark in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
        *("nul \0", "bell \x07", "escape \x1b[31m", "del \x7f", "c1 \x9b", "lone \ud800", "private \ue000"),
        *("never a character \ufffe", "nor this \U0010ffff", "nor \ufdd0", "tab\there", "z" + "\u0335" * 9),
    ],
    ids=ascii,
)
def test_what_makes_a_text_look_like_another_is_refused_by_its_field(text: str) -> None:
    (error,) = post_text.errors("caption", text, 100)

    assert error.field == "caption"
    assert error.remedy


def test_an_emoji_that_this_python_does_not_know_yet_is_taken() -> None:
    assert unicodedata.category("\U0001fb00") != "Cc"
    assert post_text.errors("caption", "new \U0001fae9", 100) == []


def test_a_text_that_is_too_long_is_measured_and_not_read() -> None:
    (error,) = post_text.errors("caption", "\u202e" * (1 << 20), 2_200)

    assert error.value == f"{1 << 20} characters"


@given(st.text(max_size=60))
def test_a_kept_text_is_normal_holds_nothing_that_is_refused_and_is_kept_as_it_is_again(text: str) -> None:
    if post_text.errors("caption", text, 100):
        return
    kept = post_text.clean(text)

    assert unicodedata.is_normalized("NFC", kept)
    assert post_text.clean(kept) == kept
    assert post_text.errors("caption", kept, 200) == []
