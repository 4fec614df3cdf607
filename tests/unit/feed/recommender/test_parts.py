from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

from feed.recommender import als, content, ease, item_to_item, own_history, popularity
from feed.recommender.feedback import DAY_MS, Kind, decay, disliked, liked, settled
from feed.recommender.items import Item, items_of
from feed.recommender.pruning import pruned
from feed.recommender.session import nearness
from tests.recommender_builders import NOW_MS, bought, dense, histories, small

CHOSEN = csr_array(dense([1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]))


def test_ease_is_the_closed_form() -> None:
    x = CHOSEN.toarray()[:, :3]
    inverse = np.linalg.inv(x.T @ x + 2.0 * np.eye(3))
    expected = np.eye(3) - inverse / np.diag(inverse)

    weights = ease.fit(CHOSEN, 2.0)

    assert np.allclose(weights[:3, :3], expected, atol=1e-6)
    assert not weights[3].any(), "an item that nobody chose says nothing"
    assert not weights[:, 3].any()


def test_ease_minimises_its_loss() -> None:
    x, weights = CHOSEN.toarray(), ease.fit(CHOSEN, 2.0).astype(np.float64)

    def loss(b: np.ndarray) -> float:
        return float(((x - x @ b) ** 2).sum() + 2.0 * (b**2).sum())

    for seed in range(20):
        nudge = np.random.default_rng(seed).normal(0.0, 0.01, weights.shape)
        np.fill_diagonal(nudge, 0.0)
        assert loss(weights + nudge) >= loss(weights)


def test_ease_leaves_out_items_that_few_chose() -> None:
    weights = ease.fit(CHOSEN, 2.0, least_choices=3)

    assert not weights[2].any()
    assert weights[0, 1] > 0


def test_the_loss_of_als_falls_with_every_round() -> None:
    chance = np.random.default_rng(3)
    chosen = csr_array((chance.random((40, 30)) < 0.2) * chance.integers(1, 4, (40, 30)).astype(float))
    losses = []
    for rounds in range(1, 8):
        visitors, items = als.fit(chosen, factors=6, rounds=rounds, seed=1, regularisation=0.5, alpha=5.0)
        losses.append(als.loss(chosen, visitors, items, regularisation=0.5, alpha=5.0))

    assert all(later <= earlier + 1e-3 for earlier, later in pairwise(losses))
    assert losses[-1] < losses[0]


def test_als_loss_is_the_sum_over_all_pairs() -> None:
    visitors, items = als.fit(CHOSEN, factors=2, rounds=1, regularisation=0.5, alpha=5.0, seed=1)
    x, guessed = CHOSEN.toarray(), visitors @ items.T
    by_hand = ((1 + 5.0 * x) * ((x > 0) - guessed) ** 2).sum() + 0.5 * ((visitors**2).sum() + (items**2).sum())

    assert als.loss(CHOSEN, visitors, items, regularisation=0.5, alpha=5.0) == pytest.approx(by_hand, rel=1e-5)


def test_a_visitor_is_folded_in_without_a_refit() -> None:
    visitors, items = als.fit(CHOSEN, factors=3, rounds=30, regularisation=0.1, alpha=5.0, seed=1)

    again = als.fold_in(CHOSEN[[0]], items, regularisation=0.1, alpha=5.0)

    assert np.allclose(again @ items.T, visitors[:1] @ items.T, atol=0.02)


def test_cosine_of_items_is_that_of_their_columns() -> None:
    together = item_to_item.together(CHOSEN, shrinkage=0.0, neighbours=3)

    table = together.similarities.toarray()

    x = CHOSEN.toarray()
    assert table[0, 1] == pytest.approx((x[:, 0] @ x[:, 1]) / np.linalg.norm(x[:, 0]) / np.linalg.norm(x[:, 1]))
    assert not table.diagonal().any()
    assert not table[3].any()


def test_an_observed_choice_gives_what_a_refit_gives() -> None:
    before = item_to_item.together(csr_array(dense([1, 1, 0], [1, 0, 1])), shrinkage=1.0, neighbours=3)
    after = item_to_item.together(csr_array(dense([1, 1, 1], [1, 0, 1])), shrinkage=1.0, neighbours=3)

    before.observe(2, 1.0, np.array([0, 1], np.int32), np.ones(2))

    assert np.allclose(before.similarities.toarray()[2], after.similarities.toarray()[2])
    assert np.allclose(before.own, after.own)


def test_a_stronger_companion_takes_the_place_of_the_weakest() -> None:
    together = item_to_item.together(csr_array(dense([1, 1, 0], [0, 0, 1])), shrinkage=0.0, neighbours=1)

    for _ in range(3):
        together.observe(0, 1.0, np.array([2], np.int32), np.ones(1))

    assert together.companions[0].tolist() == [2]


def test_lift_prefers_what_comes_together_more_often_than_by_chance() -> None:
    # Everybody has item 0; items 1 and 2 come only together.
    baskets = csr_array(dense([1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [1, 0, 0, 1]))

    table = item_to_item.lift(baskets, shrinkage=0.0, neighbours=4).toarray()

    assert table[1, 2] > table[1, 0]
    assert table.max() <= 1.0


def test_a_weight_halves_at_its_half_life() -> None:
    ages = np.array([0, 30 * DAY_MS, 60 * DAY_MS, -5])

    assert decay(ages, 30.0).tolist() == [1.0, 0.5, 0.25, 1.0]


def test_feedback_speaks_for_or_against_by_its_kind() -> None:
    feedback = small().feedback
    of = histories([(0, Kind.BUY, NOW_MS), (1, Kind.VIEW, NOW_MS), (2, Kind.HIDE, NOW_MS)])

    assert liked(of, feedback).tolist() == [feedback.buy, feedback.view, 0.0]
    assert disliked(of, feedback, NOW_MS).tolist() == [0.0, 0.0, -feedback.hide]


def test_a_dislike_is_half_forgotten_at_its_half_life() -> None:
    feedback = small().feedback
    later_ms = NOW_MS + round(feedback.dislike_half_life_days * DAY_MS)

    assert disliked(histories([(2, Kind.HIDE, NOW_MS)]), feedback, later_ms).tolist() == [-feedback.hide / 2]


def test_undo_restores_what_was_before() -> None:
    before = histories([(0, Kind.LIKE, 1), (1, Kind.HIDE, 2)], [(1, Kind.HIDE, 1)])
    undone = histories(
        [(0, Kind.LIKE, 1), (1, Kind.HIDE, 2), (0, Kind.HIDE, 3), (0, -Kind.HIDE, 4)], [(1, Kind.HIDE, 1)]
    )

    after = settled(undone)

    assert after.items.tolist() == before.items.tolist()
    assert after.kinds.tolist() == before.kinds.tolist()
    assert after.starts.tolist() == before.starts.tolist()


def test_undo_takes_back_the_newest_of_its_kind_and_nothing_of_others() -> None:
    of = histories([(0, Kind.BUY, 1), (0, Kind.BUY, 2), (0, -Kind.BUY, 3), (1, -Kind.LIKE, 4)], [(0, Kind.BUY, 9)])

    after = settled(of)

    assert after.at_ms.tolist() == [1, 9]


def test_content_is_alike_by_words_category_and_price() -> None:
    items = items_of([
        Item("a", "red wool hat", "hats", 10_000_000), Item("b", "blue wool hat", "hats", 11_000_000),
        Item("c", "steel pan", "pans", 90_000_000), Item("d", "red steel pan", "pans", 95_000_000), Item("e"),
    ])  # fmt: skip
    settings = small().content
    vectors = content.vectors(items, content.learn(items, settings), settings)
    alike = content.neighbours(vectors, vectors, 4).toarray()

    assert alike[0].argmax() == 1
    assert alike[2].argmax() == 3
    assert not alike[4].any(), "nothing is known of it"
    assert np.allclose(np.sqrt(vectors.multiply(vectors).sum(axis=1))[:4], 1.0)


def test_pictures_that_differ_in_few_bits_are_alike() -> None:
    items = items_of([Item("a", image_hash=0xFF00FF00FF00FF00), Item("b", image_hash=0xFF00FF00FF00FF01),
                      Item("c", image_hash=0x00FF00FF00FF00FF)])  # fmt: skip
    settings = small().content
    vectors = content.vectors(items, content.learn(items, settings), settings)
    alike = content.neighbours(vectors, vectors, 3).toarray()

    assert alike[0, 1] > 0.9
    assert alike[0, 2] == 0.0


def test_popularity_decays_and_counts_lines_of_one_moment_once() -> None:
    of = histories(
        [*bought(0, at_ms=NOW_MS - 10 * DAY_MS), *bought(1, 1, at_ms=NOW_MS)],
        bought(1, at_ms=NOW_MS - 20 * DAY_MS),
    )

    counted = popularity.fit(of, np.ones(4), 3, NOW_MS, 10.0)

    assert counted.tolist() == [0.5, 1.25, 0.0]


def test_an_item_is_due_after_the_visitors_own_interval() -> None:
    weekly = [event for weeks in range(1, 5) for event in bought(0, at_ms=NOW_MS - weeks * 7 * DAY_MS)]
    owned = own_history.owned(histories(weekly, bought(0)), np.ones(5), 2, NOW_MS, 90.0)
    everybody = np.full(1, 100.0)

    regular = own_history.interval_days(owned, owned.find(np.array([0]), np.array([0], np.int32)), everybody)
    once = own_history.interval_days(owned, owned.find(np.array([1]), np.array([0], np.int32)), everybody)

    assert owned.times.tolist() == [4.0, 1.0]
    assert regular[0] == pytest.approx((21 + 100) / 4)
    assert once[0] == 100.0
    assert owned.find(np.array([0, 1]), np.array([1, 1], np.int32)).tolist() == [-1, -1]


def test_a_session_is_counted_in_the_visitors_own_steps() -> None:
    rare = [*bought(0, at_ms=NOW_MS - 900 * DAY_MS), *bought(1, at_ms=NOW_MS)]
    often = [*bought(0, at_ms=NOW_MS - 5), *bought(1, 2, at_ms=NOW_MS)]

    assert nearness(histories(rare, [], often), 1.0).tolist() == [0.5, 1.0, 0.5, 1.0, 1.0]


def test_pruning_keeps_the_largest_by_amount() -> None:
    table = pruned(np.array([[0.1, -0.9, 0.5], [0.0, 0.0, 0.2]], np.float32), 2)

    assert table.toarray().tolist() == [[0.0, np.float32(-0.9), 0.5], [0.0, 0.0, np.float32(0.2)]]
