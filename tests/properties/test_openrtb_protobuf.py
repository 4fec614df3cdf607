"""Does a request come back from protobuf as it went in, whatever it holds?"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.openrtb.codec import from_json, to_json
from exchange.openrtb.fields import FIELDS
from exchange.openrtb.problems import Problems
from exchange.openrtb.protobuf import request_from_bytes, request_to_bytes, response_from_bytes, response_to_bytes
from exchange.openrtb.structure import check_structure
from exchange.openrtb.upgrade import upgrade
from tests.examples import examples

pytestmark = pytest.mark.slow

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
WHOLES = st.integers(-(2**31) + 1, 2**31 - 1)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS | st.floats(-1e15, 1e15)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
# Names that a protobuf Ext has fields for, so that some of them fit and most do not.
KNOWN = st.sampled_from(
    ("gpid", "tid", "skadn", "schain", "dsa", "gdpr", "consent", "eids", "atts", "cids", "rest", "igs")
)
FITTING = st.fixed_dictionaries(
    {},
    optional={
        "gpid": TEXTS,
        "schain": st.fixed_dictionaries({"complete": st.just(1), "nodes": st.just([{"asi": "a.example", "sid": "1"}])}),
        "dsa": st.fixed_dictionaries(
            {"dsarequired": WHOLES, "transparency": st.just([{"domain": "a", "dsaparams": [1]}])}
        ),
        "gdpr": st.sampled_from((0, 1)),
        "cids": st.lists(TEXTS, min_size=1, max_size=3),
    },
)
EXTS = st.dictionaries(KNOWN | TEXTS, ANYTHING, max_size=4) | FITTING


def objects(name: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Any object of the table. Empty arrays are left out: protobuf has none."""
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field, kind in FIELDS[name].items():
        one: st.SearchStrategy[Any] | None = {
            "text": TEXTS,
            "whole": WHOLES,
            "number": st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15),
            "flag": st.sampled_from((0, 1)),
            "ext": EXTS,
        }.get(kind.of)
        if one is None:
            if depth == 0:
                continue
            one = st.deferred(lambda of=kind.of: objects(of, depth - 1))  # type: ignore[misc]
        optional[field] = st.lists(one, min_size=1, max_size=2) if kind.many else one
    return st.fixed_dictionaries({}, optional=optional)


def one_channel(request: dict[str, Any]) -> dict[str, Any]:
    """A request has one of site, app and dooh, and so has the message."""
    for name in [name for name in ("site", "app", "dooh") if name in request][1:]:
        del request[name]
    return request


@settings(max_examples=examples(150), deadline=None)
@given(objects("BidRequest", 3).map(one_channel))
def test_a_request_survives_protobuf(request: dict[str, Any]) -> None:
    assert request_from_bytes(request_to_bytes(request)) == request


@settings(max_examples=examples(100), deadline=None)
@given(objects("BidResponse", 2))
def test_a_response_survives_protobuf(response: dict[str, Any]) -> None:
    assert response_from_bytes(response_to_bytes(response)) == response


@settings(max_examples=examples(100), deadline=None)
@given(objects("BidRequest", 3).map(one_channel))
def test_a_request_survives_json_and_its_own_check(request: dict[str, Any]) -> None:
    came = from_json(to_json(request))
    problems = Problems()
    check_structure(came, "BidRequest", "", problems)

    assert problems.errors == []
    assert came == request


@settings(max_examples=examples(100), deadline=None)
@given(objects("BidRequest", 3).map(one_channel))
def test_what_is_of_2_6_already_is_left_alone_the_second_time(request: dict[str, Any]) -> None:
    upgrade(request, Problems())
    once = copy.deepcopy(request)
    upgrade(request, Problems())

    assert request == once
