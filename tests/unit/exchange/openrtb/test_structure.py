"""Is what comes in of the kinds that the standard has, and bounded?"""

from __future__ import annotations

from typing import Any

import pytest

from exchange.openrtb.problems import MOST_PROBLEMS, Problems
from exchange.openrtb.structure import DEPTH_LIMIT, OBJECTS_LIMIT, WORDS_LIMIT, check_structure


def checked(value: Any, name: str = "BidRequest") -> Problems:
    problems = Problems()
    check_structure(value, name, "", problems)
    return problems


def paths(value: Any) -> list[str]:
    return [problem.path for problem in checked(value).errors]


def nested(depth: int) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for _ in range(depth):
        held = {"a": held}
    return held


@pytest.mark.parametrize("flag", [0, 1, True, False, 0.0, 1.0])
def test_a_flag_comes_out_as_0_or_1(flag: Any) -> None:
    request = {"test": flag}

    assert checked(request).errors == []
    assert request["test"] == int(flag)
    assert type(request["test"]) is int


@pytest.mark.parametrize("value", [2, -1, "1", 0.5, [], {}, 10**30])
def test_anything_else_is_no_flag(value: Any) -> None:
    assert paths({"test": value}) == ["test"]


@pytest.mark.parametrize("value", [2**31, -(2**31), 1.5, 1e300, "5", True, float("nan"), float("inf"), 10**4000])
def test_a_whole_number_fits_32_bits(value: Any) -> None:
    assert paths({"tmax": value}) == ["tmax"]


@pytest.mark.parametrize("value", [1e16, 10**16, float("nan"), float("-inf"), "1", False])
def test_a_number_is_finite_and_not_absurd(value: Any) -> None:
    assert paths({"imp": [{"bidfloor": value}]}) == ["imp[0].bidfloor"]


def test_null_is_as_if_it_were_not_there() -> None:
    request = {"id": "1", "user": None, "device": {"geo": None, "ua": "x"}}

    assert checked(request).errors == []
    assert request == {"id": "1", "device": {"ua": "x"}}


def test_what_is_wrong_is_taken_out_after_it_was_told_of() -> None:
    request = {"id": 5, "imp": [7, {"banner": {"w": "x", "h": 250}}], "site": [], "bcat": "IAB1", "ext": 3}

    assert paths(request) == ["id", "imp[0]", "imp[1].banner.w", "site", "bcat", "ext"]
    assert request == {"imp": [{}, {"banner": {"h": 250}}]}


def test_unknown_fields_are_tolerated_up_to_a_depth() -> None:
    assert paths({"future": nested(DEPTH_LIMIT - 2), "ext": nested(DEPTH_LIMIT - 2)}) == []
    assert paths({"future": nested(DEPTH_LIMIT + 1), "ext": nested(DEPTH_LIMIT + 1)}) == ["future", "ext"]
    assert paths({"ext": {"list": [[[nested(DEPTH_LIMIT)]]]}}) == ["ext"]


def test_arrays_are_bounded() -> None:
    assert paths({"bcat": ["IAB1"] * WORDS_LIMIT}) == []
    assert paths({"bcat": ["IAB1"] * (WORDS_LIMIT + 1)}) == ["bcat"]
    assert paths({"imp": [{}] * (OBJECTS_LIMIT + 1)}) == ["imp"]


def test_only_so_many_problems_are_listed_and_the_rest_is_counted() -> None:
    problems = checked({"bcat": [0] * 500})

    assert len(problems.errors) == MOST_PROBLEMS
    assert problems.unlisted == 500 - MOST_PROBLEMS


def test_nothing_of_a_person_is_in_a_problem() -> None:
    problems = checked({"user": {"id": "x", "yob": "born in 1980"}, "device": {"ip": 7, "ifa": ["secret"]}})

    assert len(problems.errors) == 3
    assert not any("1980" in problem.value or "secret" in problem.value for problem in problems.errors)
