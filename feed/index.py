"""Which posts are there, and which of them speak of this creator, product, brand, category or hashtag?"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from feed.columns import Column
from feed.companions import Companions
from feed.muting import folded, text_of
from feed.ports import ProductLookup
from feed.post import Post, PostState
from feed.post_states import Reach, reach_of
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
    Rows of posts that nobody may see stay and are in no list; limited ones are in a list of their creator's alone.
    """

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.row_of: dict[str, int] = {}
        self.row_of_key: dict[int, int] = {}
        self.companions = Companions()
        # Folded captions and hashtags, made when somebody mutes a word.
        self._texts: dict[int, str] = {}
        self.term_of: list[Term] = []
        self._code_of: dict[Term, int] = {}
        self._kin: dict[int, tuple[int, int]] = {}
        # Rows by publication, oldest first, per code and over all.
        self._postings: list[list[int]] = []
        self._by_time: list[int] = []
        self._published_at: list[int] = []
        # Limited posts by their creator's code, oldest first.
        self._limited: dict[int, list[int]] = {}
        # The terms of row r are codes[starts[r] : starts[r] + lengths[r]]; an edited post gets new ones at the end.
        self._codes: Column[np.int32] = Column(np.int32)
        self._codes_of: list[tuple[int, ...]] = []
        self._starts: Column[np.int64] = Column(np.int64)
        self._lengths: Column[np.int64] = Column(np.int64)
        self._kinds: Column[np.int8] = Column(np.int8)
        self._published: Column[np.int64] = Column(np.int64)
        self._creator: Column[np.int32] = Column(np.int32)
        self._brand: Column[np.int32] = Column(np.int32)
        self._category: Column[np.int32] = Column(np.int32)
        self._reach: Column[np.int8] = Column(np.int8)
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
        """How many posts are clean, so that they can be recommended."""
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
        """True where the post is clean: shown to everybody and recommended."""
        return self._live.values

    @property
    def limited(self) -> NDArray[np.bool_]:
        """True where only those who follow its creator may see the post."""
        limited: NDArray[np.bool_] = self._reach.values == Reach.FOLLOWERS
        return limited

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

    def limited_of(self, creator_code: int, limit: int) -> list[int]:
        """At most `limit` limited rows of a creator, newest first: for those who follow, and for nobody else."""
        return self._limited.get(creator_code, [])[: -limit - 1 : -1] if limit > 0 else []

    def terms(self, row: int) -> list[Term]:
        """The terms of one row: its creator first, then products, brands, categories, hashtags."""
        return [self.term_of[code] for code in self.term_codes(row)]

    def term_codes(self, row: int) -> tuple[int, ...]:
        """The codes of one row's terms, in the same order."""
        return self._codes_of[row]

    def text(self, row: int) -> str:
        """What one row says in words, folded as muted words are."""
        text = self._texts.get(row)
        if text is None:
            text = self._texts[row] = folded(text_of(self.posts[row]))
        return text

    def codes_of(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The terms of many rows: all their codes in order, and where each row's begin (none is without any)."""
        first, lengths = self._starts.values[rows], self._lengths.values[rows]
        begins = np.cumsum(lengths) - lengths
        where = np.arange(int(lengths.sum())) + np.repeat(first - begins, lengths)
        return self._codes.values[where], begins

    def kinds(self) -> NDArray[np.int8]:
        """The kind of each code."""
        return self._kinds.values

    def heat(self, now_ms: int) -> NDArray[np.float64]:
        """The engagement of each row, decayed to now; float64, 0 and more."""
        return _decayed(self._heat.values, self._heat_at.values, now_ms)

    def heat_of(self, rows: Rows, now_ms: int) -> NDArray[np.float64]:
        """The heat of these rows."""
        return _decayed(self._heat.values[rows], self._heat_at.values[rows], now_ms)

    def likes_of(self, rows: Rows) -> NDArray[np.int64]:
        """Likes of these rows, by now."""
        return self._likes.values[rows]

    def likes(self, row: int) -> int:
        """Likes of one row, by now."""
        return int(self._likes.values[row])

    def saves(self, row: int) -> int:
        """Saves of one row, by now."""
        return int(self._saves.values[row])

    def put(self, post: Post, facts: Sequence[Product | None]) -> None:
        """Take in a new post, or a newer revision of one: another state, or another content."""
        row = self.row_of.get(post.post_id)
        if row is None:
            self._add(post, facts)
            return
        known = self.posts[row]
        if post.revision <= known.revision:
            return
        self._unlist(row)
        self._texts.pop(row, None)
        self.posts[row] = post
        self._reach.values[row] = reach_of(post)
        self._live.values[row] = reach_of(post) is Reach.EVERYBODY
        if _content(post) != _content(known):
            self._tag(row, post, facts)
        self._list(row)

    def forget_creator(self, creator_id: str) -> int:
        """Take a creator's posts down and forget what they say and whose they are; how many there were.

        Their rows stay, empty: numbers of rows and codes never change.
        """
        code = self._code_of.get((Kind.CREATOR, creator_id), NO_CODE)
        if code == NO_CODE:
            return 0
        rows: list[int] = np.flatnonzero(self._creator.values == code).tolist()
        for row in rows:
            self._unlist(row)
            self._texts.pop(row, None)
            self._reach.values[row] = Reach.AUTHOR
            self._live.values[row] = False
            before = self.posts[row]
            self.posts[row] = Post(
                tenant_id=before.tenant_id, post_id=before.post_id, creator_id="", caption="", image_urls=(),
                product_tags=(), hashtags=(), published_at_ms=before.published_at_ms, state=PostState.WITHDRAWN,
                revision=before.revision + 1,
            )  # fmt: skip
        del self._code_of[Kind.CREATOR, creator_id]
        self.term_of[code] = (Kind.CREATOR, "")
        return len(rows)

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
        acted = post.likes + post.saves
        self.posts.append(post)
        self.row_of[post.post_id] = row
        self.row_of_key[key_of(post.post_id)] = row
        for column in (self._starts, self._lengths, self._published, self._creator, self._brand, self._category):
            column.append(0)
        self._published_at.append(0)
        self._codes_of.append(())
        self._reach.append(reach_of(post))
        self._live.append(reach_of(post) is Reach.EVERYBODY)
        self._impressions.append(acted * _VIEWS_PER_STORED_ACTION)
        self._value.append(acted)
        self._heat.append(0.0)
        self._heat_at.append(post.published_at_ms)
        self._likes.append(post.likes)
        self._saves.append(post.saves)
        self._tag(row, post, facts)
        self._list(row)

    def _tag(self, row: int, post: Post, facts: Sequence[Product | None]) -> None:
        """Give a row the terms and the time of its post."""
        codes = list(dict.fromkeys(self._new_code(term) for term in _terms(post, facts)))
        kinds = self._kinds.values
        self._starts.values[row] = len(self._codes)
        self._lengths.values[row] = len(codes)
        self._codes_of[row] = tuple(codes)
        for code in codes:
            self._codes.append(code)
        self._published.values[row] = self._published_at[row] = post.published_at_ms
        self._creator.values[row] = codes[0]
        self._brand.values[row] = next((code for code in codes if kinds[code] == Kind.BRAND), NO_CODE)
        self._category.values[row] = next((code for code in codes if kinds[code] == Kind.CATEGORY), NO_CODE)
        for fact in facts:
            if fact is not None:
                kin = self.code((Kind.BRAND, fact.brand)), self.code((Kind.CATEGORY, fact.category))
                self._kin[self.code((Kind.PRODUCT, fact.product_id))] = kin

    def _list(self, row: int) -> None:
        for listed in self._lists_of(row):
            insort(listed, row, key=self._when)

    def _unlist(self, row: int) -> None:
        for listed in self._lists_of(row):
            self._remove(listed, row)

    def _lists_of(self, row: int) -> list[list[int]]:
        """The lists that a row of this state and content stands in."""
        if self._live.values[row]:
            return [self._by_time, *(self._postings[code] for code in self.term_codes(row))]
        if self._reach.values[row] == Reach.FOLLOWERS:
            return [self._limited.setdefault(int(self._creator.values[row]), [])]
        return []

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


def _decayed(heat: NDArray[np.float64], at_ms: NDArray[np.int64], now_ms: int) -> NDArray[np.float64]:
    return np.maximum(heat, 0.0) * np.exp2(-np.maximum(now_ms - at_ms, 0) / HEAT_HALF_LIFE_MS)


def _content(post: Post) -> tuple[object, ...]:
    """What decides about the terms and the place in time of a post."""
    return post.creator_id, post.product_tags, post.hashtags, post.published_at_ms


def _terms(post: Post, facts: Sequence[Product | None]) -> list[Term]:
    known = [fact for fact in facts if fact is not None]
    return [
        (Kind.CREATOR, post.creator_id),
        *((Kind.PRODUCT, tag.product_id) for tag in post.product_tags),
        *((Kind.BRAND, fact.brand) for fact in known if fact.brand),
        *((Kind.CATEGORY, fact.category) for fact in known if fact.category),
        *((Kind.HASHTAG, hashtag) for hashtag in post.hashtags),
    ]
