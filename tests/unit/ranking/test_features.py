"""Do features mean what they say, and does the fingerprint notice when they change?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ranking.examples import LoggedPages
from ranking.features import columns, context, item
from ranking.features.feature import SCOPES, FeatureState, Pages

NAMES = [feature.name for feature in columns.FEATURES]
STATE = FeatureState(
    {"section": ("all", "men"), "item_feature_1": ("x", "y"), "uf0": ("aa", "bb"), "uf3": ("cc",)}, {"men-1": 0.01}
)


def a_page(at_ms: int = 0, segments: tuple[str, ...] = (), device: int = 0, affinity_sum: float = 0.0) -> LoggedPages:
    return LoggedPages(
        np.array([at_ms], np.int64), [segments], np.array([device], np.int32), np.array([affinity_sum], np.float32)
    )


def of_page(page: Pages) -> dict[str, float]:
    names = [NAMES[place] for place in columns.places("page")]
    return dict(zip(names, columns.of_pages(page, STATE)[0].tolist(), strict=True))


def of_product(product_id: str, attributes: dict[str, str] | None) -> dict[str, float]:
    names = [NAMES[place] for place in columns.places("product")]
    return dict(zip(names, columns.of_products([product_id], [attributes], STATE)[0].tolist(), strict=True))


def test_every_feature_has_one_scope_and_a_name_of_its_own() -> None:
    assert sorted(place for scope in SCOPES for place in columns.places(scope)) == list(range(len(columns.FEATURES)))
    assert len(set(NAMES)) == len(NAMES)


# 1970-01-01 was a Thursday, 2024-02-29 too; 2019-11-24 a Sunday.
@pytest.mark.parametrize(
    ("at_ms", "hour", "weekday"),
    [(0, 0, 3), (1_709_164_799_999, 23, 2), (1_709_164_800_000, 0, 3), (1_574_553_634_762, 0, 6)],
)
def test_hour_and_weekday_are_those_of_utc(at_ms: int, hour: int, weekday: int) -> None:
    page = of_page(a_page(at_ms))

    assert (page["hour"], page["weekday"]) == (hour, weekday)


def test_segments_become_codes_and_unknown_ones_become_missing() -> None:
    page = of_page(a_page(segments=("uf0=bb", "uf1=unseen", "uf3=cc", "loyal=yes", "uf0", "=", "")))

    assert page["uf0"] == 1.0  # the later `uf0` names no value and tells nothing
    assert math.isnan(page["uf1"])
    assert math.isnan(page["uf2"])
    assert page["uf3"] == 0.0
    assert of_page(a_page(segments=("uf0=bb",)))["uf0"] == 1.0


@pytest.mark.parametrize(("device", "known"), [(0, False), (-1, False), (4, True), (63, True), (64, False)])
def test_device_types_out_of_range_are_missing(device: int, known: bool) -> None:
    found = of_page(a_page(device=device))["device"]

    assert (found == device) if known else math.isnan(found)


def test_affinity_sums_that_are_no_numbers_tell_nothing() -> None:
    assert of_page(a_page(affinity_sum=3.0))["affinity_sum"] == 3.0
    assert of_page(a_page(affinity_sum=math.nan))["affinity_sum"] == 0.0
    assert of_page(a_page(affinity_sum=math.inf))["affinity_sum"] == 0.0


def test_products_become_numbers_and_codes() -> None:
    known = of_product("men-1", {"section": "men", "item_feature_0": "-0.5", "item_feature_1": "y"})

    assert (known["section"], known["item_feature_0"], known["item_feature_1"]) == (1.0, -0.5, 1.0)
    assert known["item_prior_rate"] == 0.01
    assert math.isnan(known["item_feature_2"])


@pytest.mark.parametrize("number", ["", "seven", "nan", "inf", "1e999"])
def test_attributes_that_are_no_numbers_are_missing(number: str) -> None:
    assert math.isnan(of_product("men-1", {"item_feature_0": number})["item_feature_0"])


def test_a_product_outside_of_the_catalogue_is_all_missing() -> None:
    assert all(math.isnan(value) for value in of_product("new-1", None).values())


def test_positions_beyond_the_third_count_as_the_third() -> None:
    found = columns.of_positions(np.array([-1, 0, 1, 2, 3, 32], np.int32))[:, 0]

    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [1.0, 2.0, 3.0, 3.0]


def test_pairs_are_the_weights() -> None:
    assert columns.of_pairs(np.array([0.0, 2.5, math.nan], np.float32)).tolist() == [[0.0], [2.5], [0.0]]


def test_nothing_gives_no_rows() -> None:
    nothing = LoggedPages(np.empty(0, np.int64), [], np.empty(0, np.int32), np.empty(0, np.float32))

    assert columns.of_pages(nothing, STATE).shape == (0, len(columns.places("page")))
    assert columns.of_products([], [], STATE).shape == (0, len(columns.places("product")))


def test_the_fingerprint_is_stable() -> None:
    assert columns.fingerprint() == columns.fingerprint()


def test_the_fingerprint_notices_another_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    before = columns.fingerprint()
    monkeypatch.setattr(context, "_FIRST_WEEKDAY", 4)

    assert columns.fingerprint() != before


def test_the_fingerprint_notices_another_treatment_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    before = columns.fingerprint()
    own = item.of_products

    def other(
        product_ids: Sequence[str], attributes: Sequence[dict[str, str] | None], state: FeatureState
    ) -> NDArray[np.float64]:
        return own(product_ids, attributes, state) + 1.0

    monkeypatch.setattr(item, "of_products", other)

    assert columns.fingerprint() != before
