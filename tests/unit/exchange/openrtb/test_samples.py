"""Bid requests as JSON in and bid responses as JSON out; the samples are documentation too.

`exemplary` are requests as they should be, `odd` ones that are taken all the same, `invalid` ones that are refused with
all that is wrong with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_creative, a_line_item
from tests.openrtb_desk import Desk

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "openrtb"
ALL = sorted(SAMPLES.glob("*/*.json"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_request_is_answered_as_its_sample_says(path: Path) -> None:
    sample = json.loads(path.read_text())

    assert await answered(sample) == {
        name: sample[name] for name in ("status", "answer", "page_view") if name in sample
    }


def test_there_are_samples_of_each_sort() -> None:
    counts = {folder: len(list((SAMPLES / folder).glob("*.json"))) for folder in ("exemplary", "invalid", "odd")}

    assert min(counts.values()) >= 8
    assert sum(counts.values()) >= 25


async def answered(sample: dict[str, Any]) -> dict[str, Any]:
    """What the exchange makes of a sample: its status, its answer with the auction's id put in words, and the fields of
    the page view that the sample names.
    """
    desk = Desk([line_item(**item) for item in sample.get("line_items", [])], chance=sample.get("click_chance", 0.01))
    came = await desk.post(sample["request"], sample.get("headers"), sample.get("query", ""))
    found: dict[str, Any] = {"status": came.status}
    if came.body:
        answer = came.json()
        text = came.body.decode()
        if isinstance(answer, dict) and "bidid" in answer:
            text = text.replace(answer["bidid"], "AUCTION")
        found["answer"] = json.loads(text)
    if "page_view" in sample:
        view = desk.views[0]
        found["page_view"] = json.loads(
            json.dumps({name: getattr(view, name) for name in sample["page_view"]}, default=fields_of)
        )
    return found


def line_item(number: int, creative: dict[str, Any] | None = None, **changes: Any) -> Any:
    return a_line_item(number, creatives=(a_creative(number, **(creative or {})),), **changes)


def fields_of(value: Any) -> Any:
    """A struct as an object of what is not at its default; bytes as text."""
    if isinstance(value, bytes):
        return value.decode()
    defaults = dict(zip(value.__struct_fields__[::-1], value.__struct_defaults__[::-1], strict=False))
    return {
        name: getattr(value, name)
        for name in value.__struct_fields__
        if name not in defaults or getattr(value, name) != defaults[name]
    }
