from __future__ import annotations

import math

import pytest

from common.consent import Permission, Purpose
from feed import asking

ALL = [int(purpose) for purpose in Purpose]


def a_visitor(granted: list[int], **signals: bool) -> asking.AskedVisitor:
    given = {"global_privacy_control": False, "child_directed": False} | signals
    return asking.visitor_of(granted, visitor_id="visitor", segments=["tier=Gold"], affinities=[("shoe", 1.0)], **given)


def test_without_consent_nothing_of_the_visitor_is_left() -> None:
    for visitor in (a_visitor([]), a_visitor([2, 3, 4]), a_visitor(ALL, child_directed=True)):
        assert visitor.permissions == Permission.NONE
        assert (visitor.visitor_id, visitor.segments, visitor.affinities) == ("", (), ())


def test_remembering_alone_leaves_the_id_and_nothing_to_personalise_with() -> None:
    visitor = a_visitor([Purpose.REMEMBER])

    assert visitor.visitor_id == "visitor"
    assert (visitor.segments, visitor.affinities) == ((), ())


def test_privacy_control_takes_ads_and_leaves_posts() -> None:
    visitor = a_visitor(ALL, global_privacy_control=True)

    assert visitor.permissions == Permission.REMEMBER | Permission.PERSONALISE_CONTENT
    assert visitor.affinities == (("shoe", 1.0),)


def test_errors_about_a_visitor_name_the_field_and_never_quote_it() -> None:
    secret = "secret" * 20
    errors = asking.visitor_errors(secret, [secret, "", *["a=b"] * 40], [("shoe", math.nan), (secret, -1.0)])

    assert [error.field for error in errors] == [
        "visitor.visitor_id", "visitor.segments", "visitor.segments[0]", "visitor.segments[1]",
        "visitor.affinities[0].weight", "visitor.affinities[1].product_id", "visitor.affinities[1].weight",
    ]  # fmt: skip
    assert not any("secret" in str(error) for error in errors)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ((51, 0, []), ["page_size"]),
        ((50, 9, []), ["ad_slots"]),
        ((0, 0, ["p", "", "a\nb"]), ["exclude_post_ids[1]", "exclude_post_ids[2]"]),
        ((0, 8, ["p"] * 1001), ["exclude_post_ids"]),
        ((50, 8, ["p"] * 1000), []),
    ],
)
def test_sizes_have_bounds(given: tuple[int, int, list[str]], fields: list[str]) -> None:
    assert [error.field for error in asking.size_errors(*given)] == fields


def test_every_field_of_the_page_and_the_device_is_looked_at() -> None:
    errors = asking.page_errors("x" * 2049, ["", *["c"] * 32], ["bad\x00"], "p" * 65)
    errors += asking.device_errors("x" * 36, "\x07", "en")

    assert [error.field for error in errors] == [
        "page.url", "page.categories", "page.categories[0]", "page.keywords[0]", "page.product_id", "device.country",
        "device.region",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("actions", "fields"),
    [
        ([], ["actions"]),
        ([(1, "p", str(n)) for n in range(101)], ["actions"]),
        ([(0, "p", "a"), (99, "p", "b"), (-1, "p", "c")], [f"actions[{n}].kind" for n in range(3)]),
        ([(1, "", "a"), (1, "p", ""), (1, "p", "a" * 65)], ["actions[0].subject_id", "actions[1].action_id",
                                                           "actions[2].action_id"]),
        ([(5, "creator", "a")], []),
    ],
)  # fmt: skip
def test_actions_are_looked_at_one_by_one(actions: list[tuple[int, str, str]], fields: list[str]) -> None:
    assert [error.field for error in asking.action_errors([(*action, "") for action in actions])] == fields


@pytest.mark.parametrize(
    ("kind", "detail", "good"),
    [(11, "spam", True), (11, "velocity", False), (12, "shoe", True), (12, "x" * 65, False), (1, "spam", False)],
)
def test_reports_and_purchases_alone_have_a_detail_of_their_kind(kind: int, detail: str, good: bool) -> None:
    errors = asking.action_errors([(kind, "p", "a", detail)])

    assert [error.field for error in errors] == ([] if good else ["actions[0].detail"])
