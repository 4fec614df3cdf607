"""Is a text read the plain way, and can one tell what was written?"""

from __future__ import annotations

import pytest

from feed.moderation.text import MOST_CHARACTERS, normalise


def read(text: str) -> str:
    return normalise(text).folded.text


@pytest.mark.parametrize(
    "disguised",
    [
        "BASTARD",
        "b4st4rd",
        "b@stard",
        "b a s t a r d",
        "b.a.s.t.a.r.d",
        "b-a-s-t-a-r-d",
        "b*stard",
        "baaaastard",
        "ba\u200bst\u200bard",
        "bа\u0455t\u0430rd",  # Cyrillic а, ѕ, а
        "ｂａｓｔａｒｄ",
        "𝖇𝖆𝖘𝖙𝖆𝖗𝖉",
        "ⓑⓐⓢⓣⓐⓡⓓ",
        "🅱🅰🆂🆃🅰🆁🅳",
        "ʙᴀꜱᴛᴀʀᴅ",
        "b\u0336a\u0336s\u0336t\u0336a\u0336r\u0336d\u0336",
        "ba\u202est\u202card",
        "bastαrd",
        "BÁSTÄRD",
    ],
)
def test_a_disguised_word_is_read_as_what_it_is(disguised: str) -> None:
    assert read(disguised) == "bastard"


@pytest.mark.parametrize(
    "innocent",
    [
        "size 10, 2 for 20 euro",
        "code csh11 and mp3",
        "call 09061701461 now",
        "u r a friend",
        "привет, это мой новый шарф",
        "καλημερα σε ολους",
        "नमस्ते दोस्तों",
        "שלום לכולם",
        "http://a1b2.example.com/x5y",
        "see you @ 5",
        "cool book",
    ],
)
def test_what_is_no_disguise_stays(innocent: str) -> None:
    assert read(innocent) == innocent.casefold()


def test_evidence_quotes_what_was_written() -> None:
    text = "you are a B\u200b1\u200bTCH, really"
    one = normalise(text)
    start = one.folded.text.index("bitch")

    assert one.quote(one.folded, start, start + 5) == "B 1 TCH"
    first, last = one.folded.span(start, start + 5)
    assert text[first:last] == "B\u200b1\u200bTCH"


def test_evidence_of_spaced_letters_holds_all_of_them() -> None:
    one = normalise("so s t u p i d of you")
    start = one.folded.text.index("stupid")

    assert one.quote(one.folded, start, start + 6) == "s t u p i d"


def test_a_quotation_is_never_longer_than_80_characters() -> None:
    one = normalise("word " * 100)

    assert len(one.quote(one.folded, 0, len(one.folded.text))) == 80


def test_hidden_and_turning_characters_are_counted_and_joiners_are_not() -> None:
    assert normalise("a\u2060b\u2061c").hidden == 2
    assert normalise("\u202eabc").turned == 1
    # A family, joined, and Persian with its joiner.
    assert normalise("👨\u200d👩\u200d👧 می\u200cخواهم").hidden == 0


def test_only_the_beginning_of_an_endless_text_is_read() -> None:
    one = normalise("ab " * 400_000)

    assert one.length == 1_200_000
    assert len(one.folded.text) <= MOST_CHARACTERS


@pytest.mark.parametrize("text", ["", "\0\0\0", "\u0301" * 1_000, "\ud800", "\U0010ffff", " " * 50, "*" * 99, "@!$"])
def test_nothing_but_oddities_is_taken(text: str) -> None:
    one = normalise(text)

    assert len(one.folded.origin) == len(one.folded.text)
