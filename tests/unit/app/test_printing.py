"""Are results plain lines in a pipe and one document as JSON?"""

import json
from pathlib import Path

import pytest

from app.printing import print_json, print_result, print_table

RESULT = {
    "auction_id": "0a",
    "winner": None,
    "bids": [{"line_item": 1, "outcome": "won"}, {"line_item": 2, "outcome": "below_floor"}],
    "page": {"url": "https://shop.example", "keywords": ["shoe", "red"]},
}


def test_a_nested_result_is_readable_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT, as_json=False)

    assert capsys.readouterr().out.splitlines() == [
        "auction_id: 0a",
        "winner: –",
        "bids:",
        "  1.",
        "     line_item: 1",
        "     outcome: won",
        "  2.",
        "     line_item: 2",
        "     outcome: below_floor",
        "page:",
        "  url: https://shop.example",
        "  keywords: shoe, red",
    ]


def test_a_result_as_json_is_the_same_result(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT, as_json=True)

    assert json.loads(capsys.readouterr().out) == RESULT


def test_a_table_in_a_pipe_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "value"), [("a", 1), ("b", "[red]x")])

    assert capsys.readouterr().out == "a\t1\nb\t[red]x\n"


def test_what_json_has_no_form_for_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"folder": Path("a/b")})

    assert json.loads(capsys.readouterr().out) == {"folder": "a/b"}
