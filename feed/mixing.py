"""Where among the posts do the ads stand?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

PostT = TypeVar("PostT")
AdT = TypeVar("AdT")


def places(page_size: int, ad_slots: int) -> list[int]:
    """After how many posts each ad slot comes; depends on nothing else, so ads stand still from page to page.

    Never before the first post, never two between the same posts; slots that do not fit in are left out.
    Example: 12 posts and 3 ads: after the 2nd, the 6th and the 10th post.
    """
    slots = min(ad_slots, page_size)
    if slots <= 0:
        return []
    first = min(2, page_size // slots)
    return [first + slot * page_size // slots for slot in range(slots)]


def mix(posts: Sequence[PostT], ads: Mapping[int, AdT], page_size: int, ad_slots: int) -> list[PostT | AdT]:
    """The page: posts in their order, and the ad of each slot (from 0) at its place; slots without an ad close up.

    On a page that ends early, ads beyond its last post are left out.
    """
    slot_after = {after: slot for slot, after in enumerate(places(page_size, ad_slots))}
    items: list[PostT | AdT] = []
    for number, post in enumerate(posts, start=1):
        items.append(post)
        slot = slot_after.get(number)
        if slot is not None and slot in ads:
            items.append(ads[slot])
    return items
