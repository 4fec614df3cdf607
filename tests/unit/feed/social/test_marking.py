from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.social.marking import EXCERPT_CHARS, excerpt, marked
from feed.social.words import MARK_BEGIN, MARK_END


def shown(text: str) -> str:
    return text.replace(MARK_BEGIN, "[").replace(MARK_END, "]")


@pytest.mark.parametrize(
    ("text", "words", "wanted"),
    [
        ("Red boots, red hats", ("red", "boo"), "[Red] [boots], [red] hats"),
        ("a reddish hue", ("red", "hue"), "a reddish [hue]"),
        ("Café और हिन्दी", ("cafe", "हिन्"), "[Café] और [हिन्दी]"),
        ("nothing", ("x",), "nothing"),
        ("", ("x",), ""),
        ("words", (), "words"),
    ],
)
def test_what_was_met_is_marked(text: str, words: tuple[str, ...], wanted: str) -> None:
    assert shown(marked(text, words)) == wanted


def test_an_excerpt_begins_near_what_was_met() -> None:
    text = "filler " * 100 + "boots " + "more " * 100

    part = shown(excerpt(marked(text, ("boots",))))

    assert part.startswith("…filler")
    assert "[boots] more" in part
    assert part.endswith("more…")


@given(st.text(alphabet="ab é😀<", max_size=400), st.text(alphabet="abé", min_size=1, max_size=4))
def test_marks_of_an_excerpt_are_in_pairs_and_its_length_is_bounded(text: str, word: str) -> None:
    part = excerpt(marked(text, (word,)))

    assert len(part) <= EXCERPT_CHARS + 3
    assert part.count(MARK_BEGIN) == part.count(MARK_END)
    assert part.replace(MARK_BEGIN, "").replace(MARK_END, "").strip("…") in text
