"""What happens day by day? Posts, views, likes, purchases, reports, moderators, and standings made anew each night."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from feed.moderation.queue import priority_of
from feed.reputation import beta, standing, trust
from feed.reputation.events import HALF_LIFE_MS, WEIGHTS, EventKind, Role
from feed.reputation.trust import EDGE_WEIGHT, EdgeKind
from simulation.reputation_arms import Arm
from simulation.reputation_reports import DAY_MS, ReportDesk
from simulation.reputation_world import Creators, Kind, World, chance_of_bad, creators_of

# What is the same in every arm: how good the checker and the moderators are, and how people behave.
CHECKER_FINDS = 0.35
CHECKER_ERRS = 0.01
MODERATOR_ERRS = 0.03
CASES_A_DAY = 40
PEOPLE_REPORT_BAD = 0.004
PEOPLE_REPORT_GOOD = 0.0001
PURCHASE_OF_LIKE = 0.10
RETURNED_OF_SCAM = 0.6
RETURNED = 0.05
SHOWN_DAYS = 3
ROUNDS = 3
STANDS_AFTER_DAYS = 7
_EDGE_WEIGHTS = np.array([0.0, *(EDGE_WEIGHT[kind] for kind in EdgeKind)])
_KEPT = 2.0 ** (-DAY_MS / HALF_LIFE_MS[Role.AUTHOR])


@dataclass(slots=True)
class Run:
    """What was seen: views of each creator's posts by day, those of scams, and posts limited or held wrongly."""

    creators: Creators
    views: NDArray[np.float64]
    bad_views: NDArray[np.float64]
    honest_posts: int = 0
    honest_limited: int = 0
    target_posts: int = 0
    target_limited: int = 0
    cases: int = 0
    tiers_of_attackers: int = 0


@dataclass(slots=True)
class _Posts:
    """Parallel lists that grow by day. `state`: 0 shown, 1 limited, 2 held, 3 removed, 4 cleared for good."""

    creator: list[int] = field(default_factory=list)
    day: list[int] = field(default_factory=list)
    bad: list[bool] = field(default_factory=list)
    state: list[int] = field(default_factory=list)
    likes: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    stopped_wrongly: list[bool] = field(default_factory=list)


def run(world: World, arm: Arm) -> Run:
    """One arm in one world; the same seed makes the same people."""
    return _Simulation(world, arm).run()


class _Simulation:
    def __init__(self, world: World, arm: Arm) -> None:
        self.world, self.arm = world, arm
        self.creators = creators_of(world)
        self.rng = np.random.default_rng([world.seed, 2])
        self.posts = _Posts()
        self.desk = ReportDesk(arm)
        self.queue: dict[int, tuple[float, int]] = {}
        count = len(self.creators)
        self.good, self.bad = np.zeros(count), np.zeros(count)
        self.reputation = beta.cautious(self.good, self.bad)
        self.values = np.zeros(count)
        self.trusted = np.zeros(count)
        # People: creators first, then shoppers, then fake accounts, then the brigade.
        self.first_shopper = count
        self.first_fake = count + world.shoppers
        self.first_brigade = self.first_fake + world.fakes
        self.people = self.first_brigade + world.brigade
        # An edge is a number: source, target and kind in one; and how often it came.
        self.edges, self.edge_times = np.array([], np.int64), np.array([], np.float64)
        self.new_edges: list[NDArray[np.int64]] = []
        self.made = Run(self.creators, np.zeros((world.days, count)), np.zeros((world.days, count)))
        self._stand()

    def run(self) -> Run:
        for day in range(self.world.days):
            fresh = self._post(day)
            if day >= self.world.attack_from // 2:
                self._push(day, fresh)
            self._show(day)
            self._report(day)
            self._moderate(day)
            self._stood(day)
            self._stand()
        posts, kind = self.posts, self.creators.kind
        for creator, stopped in zip(posts.creator, posts.stopped_wrongly, strict=True):
            if kind[creator] == Kind.HONEST:
                self.made.honest_posts += 1
                self.made.honest_limited += stopped
                self.made.target_posts += bool(self.creators.target[creator])
                self.made.target_limited += stopped and bool(self.creators.target[creator])
        evidence = self.good + self.bad
        tiers = [standing.tier_of(*row) for row in zip(self.reputation, evidence, self.trusted, strict=True)]
        self.made.tiers_of_attackers = sum(
            tier > 0 for tier, one in zip(tiers, kind, strict=True) if one != Kind.HONEST
        )
        return self.made

    def _post(self, day: int) -> range:
        creators, posts = self.creators, self.posts
        first = len(posts.creator)
        wanted = self.rng.poisson(creators.posts_a_day) * (creators.joins <= day)
        if self.arm.record or self.arm.trust:
            wanted = np.minimum(wanted, [standing.posts_a_day(float(value)) for value in self.values])
        by = np.repeat(np.arange(len(creators)), wanted)
        is_bad = self.rng.random(len(by)) < chance_of_bad(creators, self.world, day)[by]
        found = self.rng.random(len(by)) < np.where(is_bad, CHECKER_FINDS, CHECKER_ERRS)
        for creator, bad, held in zip(by.tolist(), is_bad.tolist(), found.tolist(), strict=True):
            post = len(posts.creator)
            posts.creator.append(creator)
            posts.day.append(day)
            posts.bad.append(bad)
            posts.state.append(2 if held else 0)
            posts.likes.append(0.0)
            posts.seen.append(0.0)
            posts.stopped_wrongly.append(held and not bad)
            if held:
                self._case(post, 0.7, day)
        return range(first, len(posts.creator))

    def _push(self, day: int, fresh: range) -> None:
        """Fake accounts and the ring like what attackers posted, and vouch for them; a few buy."""
        kind, posts = self.creators.kind, self.posts
        ring = np.flatnonzero(kind == Kind.RING)
        fakes = np.arange(self.first_fake, self.first_brigade)
        for post in fresh:
            creator = posts.creator[post]
            likers: NDArray[np.int64] = np.array([], np.int64)
            if kind[creator] == Kind.SYBIL and len(fakes):
                likers = self.rng.choice(fakes, min(25, len(fakes)), replace=False)
            elif kind[creator] == Kind.RING:
                likers = np.concatenate(
                    [ring[ring != creator], self.rng.choice(fakes, min(10, len(fakes)), replace=False)]
                )
            if len(likers):
                posts.likes[post] += len(likers)
                posts.seen[post] += len(likers) * 2.0
                self._vouch(likers, creator, EdgeKind.LIKE)
                self._vouch(likers[:3], creator, EdgeKind.FOLLOW)
        if day % 10 == 0 and len(ring):
            # Purchases cost money, so they are few: each of the ring buys from the next, some fakes from sybils.
            self._vouch_many(ring, np.roll(ring, 1), EdgeKind.PURCHASE)
            sybils = np.flatnonzero((kind == Kind.SYBIL) & (self.creators.joins <= day))
            if len(sybils):
                buyers = self.rng.choice(fakes, min(10, len(fakes)), replace=False)
                self._vouch_many(buyers, self.rng.choice(sybils, len(buyers)), EdgeKind.PURCHASE)

    def _show(self, day: int) -> None:
        posts, creators = self.posts, self.creators
        live = [p for p in range(len(posts.day)) if day - posts.day[p] < SHOWN_DAYS and posts.state[p] in (0, 4)]
        if not live:
            return
        rows = np.array(live)
        by = np.array([posts.creator[post] for post in live])
        age = day - np.array([posts.day[post] for post in live])
        bad = np.array([posts.bad[post] for post in live])
        factor = standing.reach(self.values)[by] if self.arm.record or self.arm.trust else 1.0
        views = self.world.shoppers * self.world.views_a_shopper // ROUNDS
        likes = np.array([posts.likes[post] for post in live])
        seen = np.array([posts.seen[post] for post in live])
        got, liked = np.zeros(len(live)), np.zeros(len(live))
        for _ in range(ROUNDS):
            rate = (likes + liked + 2.0) / (seen + got + 20.0)
            weight = rate * np.exp2(-age) * factor
            drawn = self.rng.multinomial(views, weight / weight.sum())
            got += drawn
            liked += self.rng.binomial(drawn, creators.quality[by])
        for post, more, likes_more in zip(rows.tolist(), got.tolist(), liked.tolist(), strict=True):
            posts.seen[post] += more
            posts.likes[post] += likes_more
        np.add.at(self.made.views[day], by, got)
        np.add.at(self.made.bad_views[day], by, got * bad)
        self._buy(by, bad, liked.astype(np.int64))

    def _buy(self, by: NDArray[np.int64], bad: NDArray[np.bool_], liked: NDArray[np.int64]) -> None:
        bought = self.rng.binomial(liked, PURCHASE_OF_LIKE)
        returned = self.rng.binomial(bought, np.where(bad, RETURNED_OF_SCAM, RETURNED))
        kept = bought - returned
        self._count(by, EventKind.SALE_KEPT, kept)
        self._count(by, EventKind.SALE_RETURNED, returned)
        for kind, times in ((EdgeKind.PURCHASE, kept), (EdgeKind.LIKE, liked), (EdgeKind.FOLLOW, liked // 10)):
            targets = np.repeat(by, times)
            self._vouch_many(self._shoppers(len(targets)), targets, kind)

    def _report(self, day: int) -> None:
        posts, world = self.posts, self.world
        touched: dict[int, list[int]] = {}
        for post in range(len(posts.day)):
            if day - posts.day[post] >= SHOWN_DAYS or posts.state[post] > 1:
                continue
            chance = PEOPLE_REPORT_BAD if posts.bad[post] else PEOPLE_REPORT_GOOD
            count = self.rng.binomial(int(posts.seen[post] / SHOWN_DAYS), chance)
            if count:
                touched[post] = self._shoppers(count).tolist()
        brigade = np.arange(self.first_brigade, self.people)
        honest_half = brigade[: len(brigade) // 2]
        for post in range(len(posts.day)):
            if posts.day[post] != day or posts.state[post] > 1 or not len(brigade):
                continue
            creator = posts.creator[post]
            if world.attack_from <= day and self.creators.target[creator]:
                come = brigade[self.rng.random(len(brigade)) < 0.5]
                touched[post] = touched.get(post, []) + come.tolist()
            elif posts.bad[post] and len(honest_half) and self.rng.random() < 0.2:
                # Half of the brigade earns a good name first.
                touched[post] = touched.get(post, []) + self.rng.choice(honest_half, 2, replace=False).tolist()
        for post, reporters in touched.items():
            self.desk.take(post, reporters, day)
            risk, case, limit = self.desk.judge(post, float(self.reputation[posts.creator[post]]), day)
            if case:
                self._case(post, risk, day)
            if limit and posts.state[post] == 0:
                posts.state[post] = 1
                posts.stopped_wrongly[post] |= not posts.bad[post]

    def _moderate(self, day: int) -> None:
        posts = self.posts
        order = sorted(self.queue, key=lambda post: self.queue[post])
        for post in order[:CASES_A_DAY]:
            del self.queue[post]
            self.made.cases += 1
            says_bad = posts.bad[post] != (self.rng.random() < MODERATOR_ERRS)
            posts.state[post] = 3 if says_bad else 4
            posts.stopped_wrongly[post] |= says_bad and not posts.bad[post]
            kind = EventKind.POST_REMOVED if says_bad else EventKind.POST_CLEARED
            self._count(np.array([posts.creator[post]]), kind, np.array([1]))
            self.desk.decided(post, bad=says_bad, day=day)

    def _stood(self, day: int) -> None:
        posts = self.posts
        stood = [
            posts.creator[post]
            for post in range(len(posts.day))
            if day - posts.day[post] == STANDS_AFTER_DAYS and posts.state[post] in (0, 4)
        ]
        self._count(np.array(stood, np.int64), EventKind.POST_STOOD, np.ones(len(stood), np.int64))

    def _stand(self) -> None:
        """Standings of the night, by the code that serves; what an arm leaves out is taken for a newcomer's."""
        self.good *= _KEPT
        self.bad *= _KEPT
        count = len(self.creators)
        nothing = np.zeros(count)
        self.reputation = beta.cautious(self.good, self.bad) if self.arm.record else beta.cautious(nothing, nothing)
        self.trusted = trust.score(self._purchasers()) if self.arm.trust else nothing
        if self.arm.trust and not self.arm.record:
            # Without a record trust is all there is to go by.
            self.values = self.trusted
        else:
            self.values = standing.values(self.reputation, self.trusted)

    def _purchasers(self) -> NDArray[np.float64]:
        if self.new_edges:
            keys = np.concatenate([self.edges, *self.new_edges])
            counts = np.concatenate([self.edge_times, np.ones(len(keys) - len(self.edges))])
            self.edges, where = np.unique(keys, return_inverse=True)
            self.edge_times = np.bincount(where, counts).astype(np.float64)
            self.new_edges = []
        times = self.edge_times
        pair, kind = self.edges // 8, self.edges % 8
        source, target = pair // self.people, pair % self.people
        weight = _EDGE_WEIGHTS[kind] * np.log1p(times)
        purchases = np.zeros(self.people)
        np.add.at(purchases, source[kind == EdgeKind.PURCHASE], times[kind == EdgeKind.PURCHASE])
        return trust.propagate(self.people, source, target, weight, purchases)[: len(self.creators)]

    def _case(self, post: int, risk: float, day: int) -> None:
        """Where in the line a case stands: the lower the sooner."""
        if self.arm.by_harm:
            posts = self.posts
            expected = (
                posts.seen[post] if posts.seen[post] else 50.0 * float(standing.reach(self.values)[posts.creator[post]])
            )
            self.queue[post] = (-float(priority_of(risk, expected)), post)
        else:
            self.queue.setdefault(post, (float(day), post))

    def _count(self, by: NDArray[np.int64], kind: EventKind, times: NDArray[np.int64]) -> None:
        weight = WEIGHTS[kind]
        np.add.at(self.good, by, weight.good * times)
        np.add.at(self.bad, by, weight.bad * times)

    def _vouch(self, sources: NDArray[np.int64], target: int, kind: EdgeKind) -> None:
        self._vouch_many(sources, np.full(len(sources), target), kind)

    def _vouch_many(self, sources: NDArray[np.int64], targets: NDArray[np.int64], kind: EdgeKind) -> None:
        if self.arm.trust and len(sources):
            self.new_edges.append((sources * self.people + targets) * 8 + int(kind))

    def _shoppers(self, count: int) -> NDArray[np.int64]:
        """Some shoppers are there every day, most now and then."""
        drawn = (self.rng.beta(1.0, 3.0, count) * self.world.shoppers).astype(np.int64)
        return self.first_shopper + drawn
