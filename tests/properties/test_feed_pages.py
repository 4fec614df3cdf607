"""Whatever happens between pages: no repetition in a chain, and nothing that must not be there."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from msgspec.structs import replace

from feed.actions import ActionKind
from feed.cursor import Chain, Cursors
from feed.page import Page
from feed.post import PostState
from tests.examples import examples
from tests.feed_builders import HOUR_MS, NOW_MS, SESSION, TENANT, Feed, a_post, a_product

PRODUCTS = [f"product-{n}" for n in range(6)]
CURSORS = Cursors(secret=b"a secret of sixteen bytes or more")
POSTS = st.integers(1, 40)


class FeedPages(RuleBasedStateMachine):
    chains = Bundle("chains")

    def __init__(self) -> None:
        super().__init__()
        products = [a_product(name, brand=f"brand-{n % 2}", category=f"c-{n % 3}") for n, name in enumerate(PRODUCTS)]
        self.feed = Feed([], products)
        self.sold_out: set[str] = set()
        self.withdrawn: set[str] = set()
        self.hidden: set[str] = set()
        self.next_chain_id = 1
        self.next_post = 1
        self.shown_in: dict[int, set[str]] = {}
        for _ in range(25):
            self.publish(1, 1, 30)

    @rule(creator=st.integers(1, 5), tags=st.integers(0, 3), hours=st.integers(0, 100))
    def publish(self, creator: int, tags: int, hours: int) -> None:
        n = self.next_post
        self.next_post += 1
        tagged = [PRODUCTS[(n * 5 + k) % 6] for k in range(tags)]
        at_ms = NOW_MS - hours * HOUR_MS
        self.feed.index.put(a_post(n, creator_id=f"c{creator}", products=tagged, published_at_ms=at_ms))

    @rule(number=POSTS)
    def withdraw(self, number: int) -> None:
        if number < self.next_post:
            post = self.feed.shelf.posts[number - 1]
            self.feed.index.put(replace(post, state=PostState.WITHDRAWN, revision=2))
            self.withdrawn.add(post.post_id)

    @rule(number=st.integers(0, 5))
    def sell_out(self, number: int) -> None:
        self.sold_out.add(PRODUCTS[number])
        self.feed.shop.by_id[PRODUCTS[number]] = replace(self.feed.shop.by_id[PRODUCTS[number]], in_stock=False)

    @rule(number=st.integers(0, 5))
    def restock(self, number: int) -> None:
        self.sold_out.discard(PRODUCTS[number])
        self.feed.shop.by_id[PRODUCTS[number]] = replace(self.feed.shop.by_id[PRODUCTS[number]], in_stock=True)

    @rule(number=POSTS, kind=st.sampled_from([ActionKind.LIKE, ActionKind.HIDE, ActionKind.CLICK, ActionKind.SAVE]))
    def act(self, number: int, kind: ActionKind) -> None:
        if number < self.next_post:
            post_id = self.feed.shelf.posts[number - 1].post_id
            self.feed.act(kind, post_id)
            if kind is ActionKind.HIDE:
                self.hidden.add(post_id)

    @rule(ms=st.integers(0, 60_000))
    def wait(self, ms: int) -> None:
        self.feed.clock.step(ms)

    @rule(target=chains, size=st.integers(1, 20))
    def first_page(self, size: int) -> Chain | None:
        self.next_chain_id += 1
        self.shown_in[self.next_chain_id] = set()
        return self.shown(Chain(self.next_chain_id), size)

    @rule(target=chains, chain=consumes(chains), size=st.integers(1, 20))
    def next_page(self, chain: Chain | None, size: int) -> Chain | None:
        return None if chain is None else self.shown(chain, size)

    @rule(chain=chains, size=st.integers(1, 20))
    def ask_twice(self, chain: Chain | None, size: int) -> None:
        if chain is not None:
            first = self.feed.page(chain=chain, page_size=size)
            self.check(first, chain)
            assert self.feed.page(chain=chain, page_size=size).picks == first.picks

    def shown(self, chain: Chain, size: int) -> Chain | None:
        page = self.feed.page(chain=chain, page_size=size)
        self.check(page, chain)
        self.shown_in[chain.chain_id] |= {pick.post_id for pick in page.picks}
        if page.next_chain is None:
            return None
        now_ms = self.feed.clock.now_ms()
        read = CURSORS.read(CURSORS.write(page.next_chain, TENANT, SESSION, now_ms), TENANT, SESSION, now_ms)
        assert read == page.next_chain
        return page.next_chain

    def check(self, page: Page, chain: Chain) -> None:
        post_ids = [pick.post_id for pick in page.picks]
        assert len(post_ids) == len(set(post_ids))
        assert not set(post_ids) & self.shown_in[chain.chain_id]
        assert not set(post_ids) & self.withdrawn
        assert not set(post_ids) & self.hidden
        for pick in page.picks:
            tagged = {tag.product_id for tag in self.feed.shelf.posts[pick.row].product_tags}
            assert not tagged or tagged - self.sold_out
            assert 0 < pick.propensity <= 1
            assert pick.why

    @invariant()
    def lists_hold_live_posts_only(self) -> None:
        assert self.feed.shelf.live_count == self.next_post - 1 - len(self.withdrawn)


TestFeedPages = FeedPages.TestCase
TestFeedPages.settings = settings(max_examples=examples(40), stateful_step_count=25, deadline=None)
