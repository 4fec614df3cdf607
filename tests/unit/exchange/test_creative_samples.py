"""Creatives as JSON in and markup out; the samples are documentation too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.bidding import OutsideBid
from exchange.creatives.ad_facts import ad_facts, outside_facts
from exchange.creatives.composer import Composer
from exchange.creatives.formats import FORMATS
from exchange.creatives.outside_markup import refusal_of_markup
from exchange.creatives.templates import PlainUrls
from exchange.ports import CreativeRecord
from exchange.refusals import Refusal
from exchange.request import Format, NativeTerms
from streams.product import Product
from tests.builders import PUBLIC_URL, a_creative, a_line_item, a_product, an_outside_bid

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples" / "creatives").glob("*.json"))
IMPRESSION = "018bcfe568007a1bb2c3d4e5f6071829.0"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_creative_is_shown_as_its_sample_says(path: Path) -> None:
    sample = json.loads(path.read_text(encoding="utf-8"))

    assert _shown(sample) == sample["markup"]


def test_every_format_has_samples() -> None:
    assert {path.stem.split("_")[0] for path in SAMPLES if not path.stem.startswith("outside")} == {
        Format(format_).name.lower().replace("product_", "") for format_ in FORMATS
    }


def _shown(sample: dict[str, Any]) -> object:
    """JSON markup as JSON, everything else in lines, so that people can read it."""
    product = (
        msgspec.convert(msgspec.to_builtins(a_product()) | sample["product"], Product) if "product" in sample else None
    )
    composer = Composer(urls=PlainUrls(PUBLIC_URL), product=lambda _: product)
    if "outside_bid" in sample:
        bid = msgspec.convert(msgspec.to_builtins(an_outside_bid("")) | sample["outside_bid"], OutsideBid)
        refusal = refusal_of_markup(bid.format, bid.markup)
        if refusal:
            return {"refused": Refusal(refusal).name.lower()}
        return _lines(composer.markup(outside_facts(bid), None, IMPRESSION))
    creative = msgspec.convert(msgspec.to_builtins(a_creative()) | sample["creative"], CreativeRecord)
    facts = ad_facts(a_line_item(), creative)
    assert facts.mtype == sample["mtype"]
    native = None
    if "native_request" in sample:
        assets = tuple(tuple(asset) for asset in sample["native_assets"])
        native = NativeTerms(assets, json.dumps(sample["native_request"]).encode())
        if composer.missing(facts, native):
            return {"refused": "creative_filtered"}
    return _lines(composer.markup(facts, native, IMPRESSION))


def _lines(markup: str) -> object:
    return json.loads(markup) if markup.startswith("{") else markup.replace("><", ">\n<").split("\n")
