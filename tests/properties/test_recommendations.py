"""Does a recommender keep its promises whatever a visitor did?"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feed.recommender.feedback import Kind
from feed.recommender.ports import Happened
from tests.examples import examples
from tests.recommender_builders import NOW_MS, trained

ITEMS = [item.item_id for item in trained().items.all]
EVENTS = st.lists(
    st.builds(
        Happened,
        st.sampled_from([*ITEMS, "gone"]),
        st.sampled_from([*Kind, *(-kind for kind in Kind)]),
        st.integers(0, NOW_MS + 86_400_000),
    ),
    max_size=30,
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(EVENTS, max_size=4), st.integers(1, 45), st.booleans())
def test_lists_are_short_enough_ordered_and_without_repeats(
    histories: list[list[Happened]], limit: int, unseen: bool
) -> None:
    answers = trained().recommend(histories, limit, NOW_MS, unseen=unseen)

    assert len(answers) == len(histories)
    for history, answer in zip(histories, answers, strict=True):
        ids = [one.item_id for one in answer]
        scores = [one.score for one in answer]
        assert 0 < len(ids) <= limit or unseen
        assert len(set(ids)) == len(ids)
        assert set(ids) <= set(ITEMS)
        assert scores == sorted(scores, reverse=True)
        assert np.isfinite(scores).all()
        if unseen:
            bought = {h.item_id for h in history if h.kind == Kind.BUY}
            taken_back = {h.item_id for h in history if h.kind < 0}
            assert not (bought - taken_back) & set(ids)


@settings(max_examples=examples(60), deadline=None)
@given(EVENTS, EVENTS)
def test_each_history_is_answered_as_if_it_were_alone(one: list[Happened], other: list[Happened]) -> None:
    together = trained().scores([one, other], [ITEMS, ITEMS], NOW_MS)

    assert np.array_equal(together[0], trained().scores([one], [ITEMS], NOW_MS)[0])
    assert np.array_equal(together[1], trained().scores([other], [ITEMS[::-1]], NOW_MS)[0][::-1])


@settings(max_examples=examples(40), deadline=None)
@given(EVENTS, st.sampled_from(ITEMS))
def test_a_like_taken_back_at_once_is_as_if_it_had_never_been(history: list[Happened], item_id: str) -> None:
    latest_ms = NOW_MS + 2 * 86_400_000
    undone = [*history, Happened(item_id, Kind.LIKE, latest_ms), Happened(item_id, -Kind.LIKE, latest_ms + 1)]

    before, after = (trained().scores([of], [ITEMS], NOW_MS)[0] for of in (history, undone))
    assert np.array_equal(before, after)
