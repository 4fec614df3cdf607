"""Does a request of before 2.6 become one of 2.6, without losing what it says?"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from exchange.openrtb.problems import Problems
from exchange.openrtb.upgrade import upgrade


def upgraded(request: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    request = copy.deepcopy(request)
    problems = Problems()
    upgrade(request, problems)
    assert problems.errors == []
    return request, [problem.path for problem in problems.warnings]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"regs": {"ext": {"gdpr": 1}}}, {"regs": {"gdpr": 1}}),
        ({"regs": {"ext": {"us_privacy": "1YNN", "gpc": "1"}}}, {"regs": {"us_privacy": "1YNN", "ext": {"gpc": "1"}}}),
        ({"regs": {"ext": {"gpp": "DB", "gpp_sid": [2]}}}, {"regs": {"gpp": "DB", "gpp_sid": [2]}}),
        ({"user": {"ext": {"consent": "CO", "eids": []}}}, {"user": {"consent": "CO", "eids": []}}),
        ({"source": {"ext": {"schain": {"ver": "1.0"}}}}, {"source": {"schain": {"ver": "1.0"}}}),
        ({"device": {"ext": {"sua": {"mobile": 1}}}}, {"device": {"sua": {"mobile": 1}}}),
        ({"site": {"content": {"ext": {"channel": {"id": "1"}}}}}, {"site": {"content": {"channel": {"id": "1"}}}}),
        ({"imp": [{"ext": {"rewarded": 1}}]}, {"imp": [{"rwdd": 1}]}),
        (
            {"imp": [{"ext": {"prebid": {"is_rewarded_inventory": 1}}}]},
            {"imp": [{"ext": {"prebid": {"is_rewarded_inventory": 1}}, "rwdd": 1}]},
        ),
        ({"imp": [{"video": {"placement": 3}}]}, {"imp": [{"video": {"placement": 3, "plcmt": 4}}]}),
        ({"imp": [{"video": {"placement": 1}}]}, {"imp": [{"video": {"placement": 1}}]}),
        ({"imp": [{"video": {"placement": 5, "plcmt": 1}}]}, {"imp": [{"video": {"placement": 5, "plcmt": 1}}]}),
        ({"imp": [{"video": {"protocol": 2}}]}, {"imp": [{"video": {"protocol": 2, "protocols": [2]}}]}),
        ({"imp": [{"video": {"ext": {"skip": 1}}}]}, {"imp": [{"video": {"skip": 1}}]}),
    ],
)
def test_what_has_a_place_in_2_6_moves_there(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert upgraded(old) == (new, [])


def test_a_contradiction_stays_as_it_came_and_is_told() -> None:
    request = {"regs": {"gdpr": 0, "ext": {"gdpr": 1}}, "user": {"consent": "A", "ext": {"consent": "B"}}}

    assert upgraded(request) == (request, ["regs.ext.gdpr", "user.ext.consent"])


def test_the_same_said_twice_is_said_once() -> None:
    assert upgraded({"regs": {"gdpr": 1, "ext": {"gdpr": 1}}}) == ({"regs": {"gdpr": 1}}, [])


@pytest.mark.parametrize(
    "odd", [{"regs": 5}, {"regs": {"ext": [1]}}, {"imp": {"a": 1}}, {"imp": [None, 3]}, {"user": None}]
)
def test_what_is_of_another_shape_is_left_to_validation(odd: dict[str, Any]) -> None:
    assert upgraded(odd) == (odd, [])


def test_a_request_of_2_6_stays_as_it_is() -> None:
    request = {"regs": {"gdpr": 0}, "user": {"consent": "CO"}, "imp": [{"id": "1", "video": {"plcmt": 1}}]}

    assert upgraded(request) == (request, [])
