from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.mixing import mix, places


@given(page_size=st.integers(1, 50), ad_slots=st.integers(0, 8), posts=st.integers(0, 50), data=st.data())
def test_ads_are_never_first_never_adjacent_and_posts_keep_their_order(
    page_size: int, ad_slots: int, posts: int, data: st.DataObject
) -> None:
    posts = min(posts, page_size)
    filled = data.draw(st.sets(st.integers(0, max(ad_slots - 1, 0))))
    ads = {slot: f"ad {slot}" for slot in filled if slot < ad_slots}

    items = mix([f"post {n}" for n in range(posts)], ads, page_size, ad_slots)

    is_ad = [item.startswith("ad") for item in items]
    assert not is_ad[:1] or not is_ad[0]
    assert not any(one and next_one for one, next_one in pairwise(is_ad))
    assert [item for item in items if item.startswith("post")] == [f"post {n}" for n in range(posts)]
    if posts == page_size:
        assert sum(is_ad) == len([slot for slot in ads if slot < page_size])


@pytest.mark.parametrize(
    ("page_size", "ad_slots", "after"),
    [(12, 3, [2, 6, 10]), (12, 1, [2]), (1, 1, [1]), (3, 8, [1, 2, 3]), (12, 0, []), (4, 2, [2, 4])],
)
def test_slots_stand_after_the_same_posts_on_every_page(page_size: int, ad_slots: int, after: list[int]) -> None:
    assert places(page_size, ad_slots) == after


def test_a_slot_without_an_ad_closes_up_and_moves_no_other() -> None:
    posts = list("abcdef")

    assert mix(posts, {0: "AD0", 1: "AD1"}, 6, 2) == ["a", "b", "AD0", "c", "d", "e", "AD1", "f"]
    assert mix(posts, {1: "AD1"}, 6, 2) == ["a", "b", "c", "d", "e", "AD1", "f"]
    assert mix(posts, {}, 6, 2) == posts


def test_a_page_without_posts_has_no_ads() -> None:
    assert mix([], {0: "AD"}, 12, 1) == []
