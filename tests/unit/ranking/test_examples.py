"""Are impressions split by time, weighted by propensity, and described without looking ahead?"""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import InvalidInput
from ranking.examples import columns_of, read_examples, split_by_time, vocabularies_of
from ranking.features import columns
from ranking.features.feature import FeatureState

from .conftest import ITEMS, WriteLogs


def test_parts_follow_one_another_in_time_within_each_section(write_logs: WriteLogs) -> None:
    examples = read_examples(write_logs(("men", "women"), rows=100), ("men", "women"))

    parts = split_by_time(examples, 0.6, 0.2)

    assert sorted(np.concatenate([parts.training, parts.validation, parts.test]).tolist()) == list(range(200))
    for number, section in enumerate(("men", "women")):
        at_ms = [
            examples.pages.viewed_at_ms[rows[examples.section[rows] == number]]
            for rows in (parts.training, parts.validation, parts.test)
        ]
        assert [len(part) for part in at_ms] == [60, 20, 20]
        assert at_ms[0].max() < at_ms[1].min()
        assert at_ms[1].max() < at_ms[2].min()
        assert parts.bounds_ms[section] == tuple(int(edge) for part in at_ms for edge in (part.min(), part.max()))


def test_a_log_too_short_for_three_parts_is_refused(write_logs: WriteLogs) -> None:
    examples = read_examples(write_logs(rows=2), ("men",))

    with pytest.raises(InvalidInput, match="section men"):
        split_by_time(examples, 0.6, 0.2)


def test_weights_are_inverse_propensities_of_mean_one_per_section(write_logs: WriteLogs) -> None:
    folder = write_logs(("men", "women"), rows=4)
    log = folder / "women" / "women.csv"
    lines = log.read_text().splitlines()
    lines[1] = lines[1].replace(str(1 / ITEMS), str(0.5 / ITEMS))
    log.write_text("\n".join(lines) + "\n")

    weight = read_examples(folder, ("men", "women")).weight

    assert weight[:4] == pytest.approx(1.0)
    assert weight[4:] == pytest.approx([1.6, 0.8, 0.8, 0.8])


def test_products_of_sections_do_not_mix(write_logs: WriteLogs) -> None:
    examples = read_examples(write_logs(("men", "women"), rows=5), ("men", "women"))

    assert examples.product_ids[0] == "men-0"
    assert examples.product_ids[ITEMS] == "women-0"
    assert examples.products_of(1).tolist() == list(range(ITEMS, 2 * ITEMS))
    assert not examples.affinity[:5, ITEMS:].any()
    assert examples.attributes["women-1"]["section"] == "women"


def test_categories_are_those_of_the_given_rows_only(write_logs: WriteLogs) -> None:
    examples = read_examples(write_logs(rows=50), ("men",))

    found = vocabularies_of(examples, np.array([7], np.intp))

    assert {name: len(texts) for name, texts in found.items()} == dict.fromkeys(columns.SPELLED, 1)
    assert f"uf0={found['uf0'][0]}" in examples.pages.segments[7]


def test_columns_of_training_are_those_of_serving(write_logs: WriteLogs) -> None:
    examples = read_examples(write_logs(rows=50), ("men",))
    rows = np.arange(10, 30)
    state = FeatureState(vocabularies_of(examples, rows), {"men-1": 0.02})

    matrix = columns_of(examples, rows, state)

    row, product = 15, int(examples.product[15])
    name = examples.product_ids[product]
    alone = np.empty(len(columns.FEATURES))
    alone[list(columns.places("product"))] = columns.of_products([name], [examples.attributes[name]], state)
    alone[list(columns.places("page"))] = columns.of_pages(examples.pages[np.array([row])], state)
    alone[list(columns.places("position"))] = columns.of_positions(examples.position[row : row + 1])
    alone[list(columns.places("pair"))] = columns.of_pairs(examples.affinity[row, product : product + 1])
    assert np.array_equal(matrix[5], alone, equal_nan=True)


def test_items_that_do_not_fit_the_log_are_refused(write_logs: WriteLogs) -> None:
    folder = write_logs(rows=5)
    items = folder / "men" / "item_context.csv"
    items.write_text("\n".join(items.read_text().splitlines()[:-1]) + "\n")

    with pytest.raises(InvalidInput, match="5 items"):
        read_examples(folder, ("men",))
