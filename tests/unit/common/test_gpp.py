"""GPP sections are read as the IAB's own encoder writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.gpp import UsChoices, sections_of, us_choices, us_privacy

SAMPLES = json.loads((Path(__file__).parents[2] / "samples" / "consent" / "gpp.json").read_text())["strings"]
SAID = {
    "SaleOptOut": UsChoices(sale=True),
    "SharingOptOut": UsChoices(sharing=True),
    "TargetedAdvertisingOptOut": UsChoices(targeted=True),
    "gpc": UsChoices(gpc=True),
    "child": UsChoices(child=True),
    None: UsChoices(),
}


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample["note"] for sample in SAMPLES])
def test_each_section_says_what_was_put_into_it(sample: dict[str, Any]) -> None:
    sections = sections_of(sample["gpp"])

    assert list(sections) == [sample["section"]]
    assert us_choices(sample["section"], sections[sample["section"]]) == SAID[sample["said"]]


def test_several_sections_stand_in_the_order_of_their_ids() -> None:
    sections = sections_of("DBACNYA~CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA~1YNN")

    assert sections == {2: "CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA", 6: "1YNN"}


@pytest.mark.parametrize(
    ("text", "out"), [("1YNN", False), ("1YYN", True), ("1---", False), ("1NyN", True), ("1N-Y", False)]
)
def test_the_third_letter_of_us_privacy_opts_out(text: str, out: bool) -> None:
    assert us_privacy(text).sale is out


@pytest.mark.parametrize("text", ["", "1YN", "2YNN", "1YNNN", "1YZN", "xxxx"])
def test_what_is_no_us_privacy_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="US privacy"):
        us_privacy(text)


@pytest.mark.parametrize("text", ["", "~", "DBABLA", "DBABLA~a~b", "AAAA~x", "D" * 20_000, "DBABLA~CAAa", "é~ü"])
def test_what_is_no_gpp_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        us_choices(7, sections_of(text)[7])


def test_a_section_whose_id_never_ends_is_refused() -> None:
    # A header of type 3 and version 1 with one section, whose number is thousands of zeros.
    with pytest.raises(ValueError, match="Fibonacci"):
        sections_of("DBAB" + "A" * 8_000 + "Y~x")


@given(st.text("DBAabc012~.-_", max_size=200).map("DB".__add__), st.integers(0, 40))
def test_any_text_is_decoded_or_refused(text: str, section: int) -> None:
    try:
        for body in sections_of(text).values():
            us_choices(section, body)
    except ValueError:
        return
