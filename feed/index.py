"""Which posts are there, and which of them speak of this creator, product, brand, category or hashtag?"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from feed.columns import Column
from feed.ports import ProductLookup
from feed.post import Post, PostState
from streams.product import Product


class Kind(IntEnum):
    """What a term of a post names."""

    CREATOR = 0
    PRODUCT = 1
    BRAND = 2
    CATEGORY = 3
    HASHTAG = 4


Term = tuple[Kind, str]
Rows = NDArray[np.int32]

# Engagement is decayed by half in this time; what trends is what was engaged with lately.
HEAT_HALF_LIFE_MS = 6 * 3_600_000
# A stored like or save stands for so many views, until the log says how many there were.
_VIEWS_PER_STORED_ACTION = 10
NO_CODE = -1


class Shelf:
    """All posts of one tenant. A post is a row, for as long as the process lives; a term is a code.

    Columns have one entry per row; `creator`, `brand` and `category` are codes of the post's first, or NO_CODE.
    Rows of withdrawn posts stay (`live` is False) and are in no posting list.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.row_of: dict[str, int] = {}
        self.row_of_key: dict[int, int] = {}
        self.term_of: list[Term] = []
        self._code_of: dict[Term, int] = {}
        self._kin: dict[int, tuple[int, int]] = {}
        # Rows by publication, oldest first, per code and over all.
        self._postings: list[list[int]] = []
        self._by_time: list[int] = []
        self._published_at: list[int] = []
        # The terms of row r are codes[starts[r] : starts[r + 1]].
        self._codes: Column[np.int32] = Column(np.int32)
        self._starts: Column[np.int64] = Column(np.int64)
        self._starts.append(0)
        self._kinds: Column[np.int8] = Column(np.int8)
        self._published: Column[np.int64] = Column(np.int64)
        self._creator: Column[np.int32] = Column(np.int32)
        self._brand: Column[np.int32] = Column(np.int32)
        self._category: Column[np.int32] = Column(np.int32)
        self._live: Column[np.bool_] = Column(np.bool_)
        self._impressions: Column[np.float64] = Column(np.float64)
        self._value: Column[np.float64] = Column(np.float64)
        self._heat: Column[np.float64] = Column(np.float64)
        self._heat_at: Column[np.int64] = Column(np.int64)
        self._likes: Column[np.int64] = Column(np.int64)
        self._saves: Column[np.int64] = Column(np.int64)

    def __len__(self) -> int:
        return len(self.posts)

    @property
    def live_count(self) -> int:
        """How many posts are published and not withdrawn."""
        return len(self._by_time)

    @property
    def published_at_ms(self) -> NDArray[np.int64]:
        """When each row was published."""
        return self._published.values

    @property
    def creator(self) -> NDArray[np.int32]:
        """The code of each row's creator."""
        return self._creator.values

    @property
    def brand(self) -> NDArray[np.int32]:
        """The code of the brand of each row's first tagged product."""
        return self._brand.values

    @property
    def category(self) -> NDArray[np.int32]:
        """The code of the category of each row's first tagged product."""
        return self._category.values

    @property
    def live(self) -> NDArray[np.bool_]:
        """False where the post was withdrawn."""
        return self._live.values

    @property
    def impressions(self) -> NDArray[np.float64]:
        """How often each row stood on a page."""
        return self._impressions.values

    @property
    def value(self) -> NDArray[np.float64]:
        """The sum of each row's engagement, weighted by kind; hides count against it."""
        return self._value.values

    def code(self, term: Term) -> int:
        """The code of a term, NO_CODE when no post has it."""
        return self._code_of.get(term, NO_CODE)

    def brand_and_category(self, product_code: int) -> tuple[int, int]:
        """The codes of a product's brand and category; NO_CODE where it has none."""
        return self._kin.get(product_code, (NO_CODE, NO_CODE))

    def newest(self, limit: int) -> list[int]:
        """At most `limit` live rows, newest first."""
        return self._by_time[: -limit - 1 : -1] if limit > 0 else []

    def having(self, code: int, limit: int) -> list[int]:
        """At most `limit` live rows with this term, newest first; none for NO_CODE."""
        return self._postings[code][: -limit - 1 : -1] if code >= 0 and limit > 0 else []

    def terms(self, row: int) -> list[Term]:
        """The terms of one row: its creator first, then products, brands, categories, hashtags."""
        return [self.term_of[code] for code in self.term_codes(row)]

    def term_codes(self, row: int) -> list[int]:
        """The codes of one row's terms, in the same order."""
        starts = self._starts.values
        codes: list[int] = self._codes.values[starts[row] : starts[row + 1]].tolist()
        return codes

    def codes_of(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The terms of many rows: all their codes in order, and where each row's begin (none is without any)."""
        starts = self._starts.values
        first, lengths = starts[rows], starts[rows + 1] - starts[rows]
        begins = np.cumsum(lengths) - lengths
        where = np.arange(int(lengths.sum())) + np.repeat(first - begins, lengths)
        return self._codes.values[where], begins

    def kinds(self) -> NDArray[np.int8]:
        """The kind of each code."""
        return self._kinds.values

    def heat(self, now_ms: int) -> NDArray[np.float64]:
        """The engagement of each row, decayed to now; float64, 0 and more."""
        age = np.maximum(now_ms - self._heat_at.values, 0)
        return np.maximum(self._heat.values, 0.0) * np.exp2(-age / HEAT_HALF_LIFE_MS)

    def likes(self, row: int) -> int:
        """Likes of one row, by now."""
        return int(self._likes.values[row])

    def saves(self, row: int) -> int:
        """Saves of one row, by now."""
        return int(self._saves.values[row])

    def put(self, post: Post, facts: Sequence[Product | None]) -> None:
        """Take in a new post, or a newer revision of one (its state and counters; its content never changes)."""
        row = self.row_of.get(post.post_id)
        if row is None:
            self._add(post, facts)
        elif post.revision > self.posts[row].revision:
            self.posts[row] = post
            if post.state is PostState.WITHDRAWN and self._live.values[row]:
                self._take_down(row)

    def count_views(self, rows: Rows) -> None:
        """Each of these rows stood on one more page."""
        self._impressions.values[rows] += 1

    def count_action(
        self, row: int, value: float, at_ms: int, *, likes: int = 0, saves: int = 0, was_stored: bool = False
    ) -> None:
        """Add engagement worth `value` to a row; `was_stored` when it is one of the likes and saves it came with."""
        self._likes.values[row] += likes
        self._saves.values[row] += saves
        self._value.values[row] += value
        if was_stored:
            # What is known takes the place of what was assumed.
            self._value.values[row] -= 1.0
            self._impressions.values[row] = max(self._impressions.values[row] - _VIEWS_PER_STORED_ACTION, 0.0)
        heat, heat_at = self._heat.values, self._heat_at.values
        newest = max(at_ms, int(heat_at[row]))
        decayed = heat[row] * 2.0 ** (-(newest - int(heat_at[row])) / HEAT_HALF_LIFE_MS)
        heat[row] = decayed + value * 2.0 ** (-(newest - at_ms) / HEAT_HALF_LIFE_MS)
        heat_at[row] = newest

    def _add(self, post: Post, facts: Sequence[Product | None]) -> None:
        row = len(self.posts)
        codes = list(dict.fromkeys(self._new_code(term) for term in _terms(post, facts)))
        kinds = self._kinds.values
        live = post.state is PostState.PUBLISHED
        acted = post.likes + post.saves
        self.posts.append(post)
        self.row_of[post.post_id] = row
        self.row_of_key[key_of(post.post_id)] = row
        for code in codes:
            self._codes.append(code)
        self._starts.append(len(self._codes))
        self._published.append(post.published_at_ms)
        self._creator.append(codes[0])
        self._brand.append(next((code for code in codes if kinds[code] == Kind.BRAND), NO_CODE))
        self._category.append(next((code for code in codes if kinds[code] == Kind.CATEGORY), NO_CODE))
        self._live.append(live)
        self._impressions.append(acted * _VIEWS_PER_STORED_ACTION)
        self._value.append(acted)
        self._heat.append(0.0)
        self._heat_at.append(post.published_at_ms)
        self._likes.append(post.likes)
        self._saves.append(post.saves)
        self._published_at.append(post.published_at_ms)
        for fact in facts:
            if fact is not None:
                kin = self.code((Kind.BRAND, fact.brand)), self.code((Kind.CATEGORY, fact.category))
                self._kin[self.code((Kind.PRODUCT, fact.product_id))] = kin
        if live:
            insort(self._by_time, row, key=self._when)
            for code in codes:
                insort(self._postings[code], row, key=self._when)

    def _take_down(self, row: int) -> None:
        self._live.values[row] = False
        self._remove(self._by_time, row)
        for code in self.term_codes(row):
            self._remove(self._postings[code], row)

    def _remove(self, ordered: list[int], row: int) -> None:
        at = bisect_left(ordered, self._when(row), key=self._when)
        assert ordered[at] == row
        del ordered[at]

    def _when(self, row: int) -> tuple[int, int]:
        return self._published_at[row], row

    def _new_code(self, term: Term) -> int:
        code = self._code_of.get(term)
        if code is None:
            code = self._code_of[term] = len(self.term_of)
            self.term_of.append(term)
            self._postings.append([])
            self._kinds.append(term[0])
        return code


class FeedIndex:
    """The shelves of all tenants, in memory; the post store is the record. Used from one thread."""

    def __init__(self, *, products: ProductLookup) -> None:
        self._products = products
        self._shelves: dict[str, Shelf] = {}

    def put(self, post: Post) -> None:
        """Take in a post that was made or withdrawn; an older revision than the known one changes nothing."""
        tagged = [tag.product_id for tag in post.product_tags]
        facts = self._products.products(post.tenant_id, tagged) if tagged else ()
        self._shelves.setdefault(post.tenant_id, Shelf()).put(post, facts)

    def fold(self, posts: Iterable[Post]) -> int:
        """Take in all posts of a store, at the start; how many there were."""
        count = 0
        for post in posts:
            self.put(post)
            count += 1
        return count

    def shelf(self, tenant_id: str) -> Shelf:
        """The tenant's posts; an empty shelf when it has none."""
        return self._shelves.get(tenant_id) or Shelf()

    def tenants(self) -> list[str]:
        """Who has posts."""
        return list(self._shelves)


def key_of(post_id: str) -> int:
    """64 bits that name a post within its tenant: the random half of its id."""
    return int(post_id[16:], 16)


def _terms(post: Post, facts: Sequence[Product | None]) -> list[Term]:
    known = [fact for fact in facts if fact is not None]
    return [
        (Kind.CREATOR, post.creator_id),
        *((Kind.PRODUCT, tag.product_id) for tag in post.product_tags),
        *((Kind.BRAND, fact.brand) for fact in known if fact.brand),
        *((Kind.CATEGORY, fact.category) for fact in known if fact.category),
        *((Kind.HASHTAG, hashtag) for hashtag in post.hashtags),
    ]
