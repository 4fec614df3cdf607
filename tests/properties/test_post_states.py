"""Whatever creators, checks and moderators do: every step is in the table, and only what is seen is in the index."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from common.errors import Conflict
from feed.index import Kind
from feed.post import Post, PostState
from feed.post_states import TRANSITIONS, Reach, reach_of
from feed.verdict import Outcome, Verdict
from tests.examples import examples
from tests.feed_builders import TENANT, a_draft
from tests.post_desk import PostDesk

pytestmark = pytest.mark.slow

OUTCOMES = st.sampled_from([*Outcome, Outcome.CLEAN])
SELDOM = st.sampled_from([False, False, False, True])
NUMBERS = st.integers(0, 3)


class PostsInUse(RuleBasedStateMachine):
    """Up to four posts of one creator. Some writes name a revision that is one too old: they must change nothing."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.desk = PostDesk(Path(self.folder.name))
        self.ids: list[str] = []
        self.keys = 0
        for draft in (False, True):
            self.ids.append(self.desk.posts.create(TENANT, self.key(), a_draft(draft=draft)).post_id)

    def key(self) -> str:
        self.keys += 1
        return f"key {self.keys}"

    def write(self, number: int, write: Callable[[Post], object], *, stale: bool = False) -> None:
        before = self.desk.posts.get(TENANT, self.ids[number % len(self.ids)])
        try:
            write(before)
            assert not stale, "a revision that is too old was taken"
        except Conflict:
            assert self.desk.posts.get(TENANT, before.post_id) == before

    @rule(outcome=OUTCOMES, broken=SELDOM)
    def the_checker_says(self, outcome: Outcome, broken: bool) -> None:
        self.desk.checker.says(outcome)
        self.desk.checker.broken = broken

    @rule(draft=st.booleans(), ahead_ms=st.sampled_from([0, 1_000]))
    def create(self, draft: bool, ahead_ms: int) -> None:
        if len(self.ids) < 4:
            at_ms = self.desk.clock.now_ms() + ahead_ms if ahead_ms else 0
            made = self.desk.posts.create(TENANT, self.key(), a_draft(draft=draft, publish_at_ms=at_ms))
            self.ids.append(made.post_id)

    @rule(number=NUMBERS, caption=st.sampled_from("abc"), hashtag=st.sampled_from("xyz"), stale=SELDOM)
    def edit(self, number: int, caption: str, hashtag: str, stale: bool) -> None:
        draft = a_draft(caption=caption, hashtags=(hashtag,))
        self.write(
            number,
            lambda post: self.desk.posts.edit(TENANT, self.key(), post.post_id, draft, post.revision - stale),
            stale=stale,
        )

    @rule(number=NUMBERS)
    def publish(self, number: int) -> None:
        self.write(
            number,
            lambda post: self.desk.posts.publish(TENANT, self.key(), post.post_id, "creator-1", post.revision),
        )

    @rule(number=NUMBERS)
    def appeal(self, number: int) -> None:
        self.write(number, lambda post: self.desk.posts.appeal(TENANT, post.post_id, "why?"))

    @rule(number=NUMBERS, outcome=OUTCOMES, stale=SELDOM)
    def decide(self, number: int, outcome: Outcome, stale: bool) -> None:
        verdict = Verdict(outcome, 0.5)
        self.write(
            number,
            lambda post: self.desk.posts.decide(TENANT, post.post_id, outcome, verdict, "mod", post.revision - stale),
            stale=stale,
        )

    @rule(number=NUMBERS, meant=SELDOM)
    def withdraw(self, number: int, meant: bool) -> None:
        if not meant:
            # Nothing comes after a withdrawal, so most posts are spared it.
            return
        self.write(number, lambda post: self.desk.posts.withdraw(TENANT, self.key(), post.post_id))

    @rule()
    def time_goes_on(self) -> None:
        self.desk.clock.step(1_000)
        self.desk.posts.publish_due()
        self.desk.posts.check_missed()

    @invariant()
    def the_index_holds_what_is_seen(self) -> None:
        self.desk.calls.catch_up()
        shelf = self.desk.index.shelf(TENANT)
        stored = [self.desk.posts.get(TENANT, post_id) for post_id in self.ids]
        everybody = {post.post_id for post in stored if reach_of(post) is Reach.EVERYBODY}
        seen = {post.post_id for post in stored if reach_of(post) is not Reach.AUTHOR}
        creator = shelf.code((Kind.CREATOR, "creator-1"))
        by_creator = [*shelf.having(creator, 99), *shelf.limited_of(creator, 99)]
        assert {shelf.posts[row].post_id for row in shelf.newest(99)} == everybody
        assert {shelf.posts[row].post_id for row in by_creator} == seen
        for hashtag in "xyz":
            tagged = shelf.having(shelf.code((Kind.HASHTAG, hashtag)), 99)
            assert {shelf.posts[row].post_id for row in tagged} == {
                post.post_id for post in stored if hashtag in post.hashtags and post.post_id in everybody
            }

    @invariant()
    def every_step_is_in_the_table(self) -> None:
        for post_id in self.ids:
            post = self.desk.posts.get(TENANT, post_id)
            steps = [step for _, step in self.desk.store.history(TENANT, post_id, 1 << 31, 999)][::-1]
            assert steps[0].before is None
            assert steps[-1].after is post.state
            for step, after in zip(steps, [*steps[1:], None], strict=True):
                assert step.actor in TRANSITIONS[step.before, step.after]
                assert after is None or after.before is step.after
            if reach_of(post) is not Reach.AUTHOR:
                assert any(step.actor in ("checker", "moderator") for step in steps), "seen and never checked"
            assert post.state is not PostState.APPEALED or post.appeal

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.close()
            self.folder.cleanup()


TestPostsInUse = PostsInUse.TestCase
TestPostsInUse.settings = settings(
    max_examples=examples(20), stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
