from __future__ import annotations

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest

from backends.neighbours_exact import ExactNeighbours
from backends.neighbours_usearch import UsearchNeighbours
from common.errors import InvalidInput
from feed.recommender import candidates, features, parts, signals
from feed.recommender.blend import Trees
from feed.recommender.feedback import DAY_MS, Kind
from feed.recommender.histories import gather
from feed.recommender.hybrid import Hybrid
from feed.recommender.items import Item, items_of
from feed.recommender.new_items import extended
from feed.recommender.observing import observe, take_back
from feed.recommender.ports import Happened, Recommended
from feed.recommender.training import train
from ranking.forest import ModelRefused
from tests.recommender_builders import ITEMS_OF_A_KIND, NOW_MS, freshly_trained, history, shop, small, trained

pytestmark = pytest.mark.slow


def kinds(item_ids: list[str]) -> set[str]:
    return {item_id.split("-")[0] for item_id in item_ids}


def names(recommended: list[Recommended]) -> list[str]:
    return [item_id for item_id, _ in recommended]


def test_who_buys_mugs_is_recommended_mugs() -> None:
    ((*best,),) = trained().recommend([history("mug-3", "mug-5")], 8, NOW_MS)

    assert kinds(names(best)) == {"mug"}
    assert [score for _, score in best] == sorted((score for _, score in best), reverse=True)


def test_unseen_leaves_out_what_was_chosen_before() -> None:
    of = history("mug-0", "mug-1", "mug-2")
    both = trained().recommend([of], 40, NOW_MS)[0], trained().recommend([of], 40, NOW_MS, unseen=True)[0]

    assert {"mug-0", "mug-1", "mug-2"} <= set(names(both[0]))
    assert not {"mug-0", "mug-1", "mug-2"} & set(names(both[1]))


def test_a_score_does_not_depend_on_the_batch_or_on_the_other_candidates() -> None:
    asked = ["mug-1", "lamp-2", "mug-9", "lamp-0"]
    alone = trained().scores([history("mug-3")], [["lamp-2"]], NOW_MS)[0][0]

    batch = trained().scores([history("lamp-1", "lamp-4"), history("mug-3"), []], [asked, asked, asked], NOW_MS)

    assert batch[1][1] == alone


def test_recommended_items_have_the_scores_that_they_are_asked_for() -> None:
    of = history("lamp-1", "lamp-4")
    best = trained().recommend([of], 10, NOW_MS)[0]

    assert trained().scores([of], [names(best)], NOW_MS)[0].tolist() == [score for _, score in best]


def test_a_visitor_without_a_history_gets_popular_items() -> None:
    best = names(trained().recommend([[]], 6, NOW_MS)[0])

    popular = trained().parts.popularity[1]
    assert len(best) == 6
    assert popular[[trained().items.row_of[item_id] for item_id in best]].min() > np.median(popular)


def test_unknown_items_are_passed_over_in_a_history_and_last_among_candidates() -> None:
    with_unknown = trained().scores([history("mug-3", "gone")], [["mug-1", "never-heard-of"]], NOW_MS)[0]

    assert with_unknown[0] == trained().scores([history("mug-3")], [["mug-1"]], NOW_MS)[0][0]
    assert with_unknown[1] < with_unknown[0]


def test_a_hide_lowers_the_item_and_what_is_like_it_and_its_undo_restores_both() -> None:
    before = history("mug-3", "mug-5", days_ago=2)
    hidden = [*before, Happened("mug-4", Kind.HIDE, NOW_MS - 1000)]
    undone = [*hidden, Happened("mug-4", -Kind.HIDE, NOW_MS)]
    asked = [["mug-4", "mug-8"]]

    plain, hurt, again = (trained().scores([of], asked, NOW_MS)[0] for of in (before, hidden, undone))

    assert hurt[0] < plain[0] - 2.0
    assert hurt[1] < plain[1], "mug-8 is as red as mug-4"
    assert again.tolist() == plain.tolist()


def test_a_hide_is_forgotten_with_time() -> None:
    feedback = trained().training.feedback
    later_ms = NOW_MS + round(10 * feedback.dislike_half_life_days * DAY_MS)
    hidden = [Happened("mug-4", Kind.HIDE, NOW_MS)]

    fresh = trained().scores([hidden], [["mug-4"]], NOW_MS)[0] - trained().scores([[]], [["mug-4"]], NOW_MS)[0]
    faded = trained().scores([hidden], [["mug-4"]], later_ms)[0] - trained().scores([[]], [["mug-4"]], later_ms)[0]

    assert fresh[0] == pytest.approx(-feedback.dislike_strength, abs=1.0)
    assert abs(faded[0]) < abs(fresh[0]) / 3


def test_alongside_names_companions_and_never_the_items_themselves() -> None:
    beside = names(trained().alongside(["mug-0", "mug-1", "gone"], 5))

    assert kinds(beside) == {"mug"}
    assert not {"mug-0", "mug-1"} & set(beside)
    assert trained().alongside(["gone"], 5) == []


def test_an_observed_purchase_counts_before_any_refit() -> None:
    hybrid = freshly_trained()
    before = hybrid.alongside(["lamp-19"], 40)
    for n in range(40):
        assert observe(hybrid, history("lamp-19", days_ago=0), Happened("mug-19", Kind.BUY, NOW_MS + n))

    assert "mug-19" not in names(before)
    assert "mug-19" in names(hybrid.alongside(["lamp-19"], 20))
    mug = hybrid.items.row_of["mug-19"]
    assert hybrid.parts.popularity[0, mug] > 39.0


def test_observing_what_says_nothing_for_an_item_changes_nothing() -> None:
    hybrid = freshly_trained()
    popularity = hybrid.parts.popularity.copy()

    assert not observe(hybrid, [], Happened("never-heard-of", Kind.BUY, NOW_MS))
    assert not observe(hybrid, [], Happened("mug-1", Kind.HIDE, NOW_MS))
    assert not observe(hybrid, [], Happened("mug-1", -Kind.BUY, NOW_MS))
    assert np.array_equal(hybrid.parts.popularity, popularity)


def test_what_is_taken_back_leaves_the_sums_as_they_were() -> None:
    hybrid = freshly_trained()
    parts = hybrid.parts
    before = parts.popularity.copy(), parts.together.own.copy(), hybrid.alongside(["lamp-19"], 40)

    done = [
        observe(hybrid, history("lamp-19", "mug-3", days_ago=0), Happened("mug-19", kind, NOW_MS + n))
        for n, kind in enumerate((Kind.BUY, Kind.LIKE, Kind.CLICK))
    ]
    assert not np.allclose(parts.popularity, before[0])
    for one in done:
        assert one is not None
        take_back(hybrid, one)

    assert np.allclose(parts.popularity, before[0])
    assert np.allclose(parts.together.own, before[1])
    assert names(hybrid.alongside(["lamp-19"], 40)) == names(before[2])


def test_a_new_item_is_recommended_for_what_it_is() -> None:
    old = trained()
    grown, items = extended(
        old.parts, old.items, [Item("new", "red mug", "mug", 4_000_000), old.items.all[0]], old.training
    )
    hybrid = Hybrid(items=items, parts=grown, trees=old.trees, training=old.training, neighbours=ExactNeighbours())

    of_mugs, of_lamps = hybrid.scores([history("mug-0", "mug-4"), history("lamp-0")], [["new"], ["new"]], NOW_MS)

    assert len(items) == len(old.items) + 1
    assert np.isfinite(of_mugs).all()
    assert np.isfinite(of_lamps).all()
    assert grown.alike[[len(old.items)]].toarray().argmax() < ITEMS_OF_A_KIND
    assert "new" in names(hybrid.recommend([history("mug-0", "mug-4")], 60, NOW_MS)[0])
    assert old.parts.items == len(old.items), "the old parts serve on unchanged"


def test_the_trees_say_what_lightgbm_says_bit_by_bit() -> None:
    hybrid = trained()
    read = signals.read(hybrid.parts, shop().histories.of(np.arange(20)), NOW_MS, hybrid.training)
    popular = candidates.popular(hybrid.parts, 20)
    keys = candidates.choose(hybrid.parts, read, hybrid.neighbours, popular, 20)
    visitors, items = keys // hybrid.parts.items, (keys % hybrid.parts.items).astype(np.int32)
    days = hybrid.training.recency.popularity_days
    table = features.table(hybrid.parts, read, visitors, items, NOW_MS, days, popular)

    ours = hybrid.trees.scores(table)

    theirs = lgb.Booster(model_str=hybrid.trees.text).predict(table, raw_score=True)
    assert np.array_equal(ours, theirs)


def test_trees_of_other_features_are_refused() -> None:
    with pytest.raises(ModelRefused, match="other features"):
        Trees(trained().trees.text.replace("feature_names=ease ", "feature_names=unease "))


def test_an_approximate_search_serves_as_well() -> None:
    old = trained()
    hybrid = Hybrid(
        items=old.items, parts=old.parts, trees=old.trees, training=old.training, neighbours=UsearchNeighbours()
    )
    of = history("mug-3", "mug-5")

    assert names(hybrid.recommend([of], 5, NOW_MS)[0]) == names(old.recommend([of], 5, NOW_MS)[0])


def test_an_empty_catalogue_recommends_nothing_and_does_not_fail() -> None:
    training = small()
    nothing = parts.fit(items_of([]), gather((), (), (), (), count=0), NOW_MS, training)
    hybrid = Hybrid(
        items=items_of([]), parts=nothing, trees=trained().trees, training=training, neighbours=ExactNeighbours()
    )

    assert hybrid.recommend([[], history("mug-1")], 5, NOW_MS) == [[], []]
    assert hybrid.scores([history("mug-1")], [["mug-1"]], NOW_MS)[0][0] < 0
    assert hybrid.alongside(["mug-1"], 5) == []
    assert hybrid.recommend([], 5, NOW_MS) == []
    assert hybrid.scores([], [], NOW_MS) == []


def test_parts_of_one_visitor_answer() -> None:
    training = small()
    one = gather([0, 0], [0, 1], [Kind.BUY, Kind.BUY], [NOW_MS - DAY_MS] * 2, count=1)
    items = items_of([Item("a"), Item("b"), Item("c")])
    hybrid = Hybrid(
        items=items, parts=parts.fit(items, one, NOW_MS, training), trees=trained().trees, training=training,
        neighbours=ExactNeighbours(),
    )  # fmt: skip

    assert set(names(hybrid.recommend([history("a")], 5, NOW_MS)[0])) >= {"a", "b"}
    assert np.isfinite(hybrid.scores([history("a")], [["a", "b", "c"]], NOW_MS)[0]).all()


def test_parts_refuse_a_log_from_the_future() -> None:
    with pytest.raises(AssertionError, match="future"):
        parts.fit(shop().items, shop().histories, NOW_MS - 30 * DAY_MS, small())


def test_too_short_a_log_is_refused_with_what_is_needed() -> None:
    short = replace(shop(), histories=shop().histories.before(NOW_MS - 55 * DAY_MS))

    with pytest.raises(InvalidInput, match=r"200 choices in its last 10 days"):
        train(short, NOW_MS - 55 * DAY_MS, small(), ExactNeighbours, lambda _: None)


def test_training_uses_nothing_from_its_moment_on() -> None:
    now_ms = NOW_MS - 10 * DAY_MS
    whole = train(shop(), now_ms, small(), ExactNeighbours, lambda _: None).hybrid
    past = replace(shop(), histories=shop().histories.before(now_ms))
    cut_off = train(past, now_ms, small(), ExactNeighbours, lambda _: None).hybrid

    assert whole.trees.text == cut_off.trees.text
    assert np.array_equal(whole.parts.als, cut_off.parts.als)
    assert np.array_equal(whole.parts.ease.toarray(), cut_off.parts.ease.toarray())
