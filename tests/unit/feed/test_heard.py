from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from app.wiring_recommender import HeardErasure
from common.consent import Permission
from feed.actions import Action, ActionKind
from feed.actor import person_key
from feed.heard import Heard
from feed.ports import Done, Reacted, Reaction
from feed.recommender.hybrid import Hybrid
from feed.recording import Actor, Recorder
from feed.sessions import Session
from tests.feed_builders import NOW_MS, TENANT, Feed, a_post, a_product, ids
from tests.recommender_builders import freshly_trained

ANA, BEN = person_key(TENANT, "ana"), person_key(TENANT, "ben")
MUG, LAMP, BOTH = ids([1, 2, 3])


class Scene:
    """Two posts that show one product each and one that shows both, and a recommender that hears of choices."""

    def __init__(self) -> None:
        self.hybrid: Hybrid | None = freshly_trained()
        self.heard = Heard(lambda: self.hybrid)
        products = [a_product("mug-1"), a_product("lamp-1")]
        posts = [a_post(1, products=["mug-1"]), a_post(2, products=["lamp-1"]), a_post(3, products=["mug-1", "lamp-1"])]
        self.feed = Feed(posts, products)
        self.sessions: dict[bytes, Session] = {}

    def act(self, who: bytes, kind: ActionKind, post_id: str, detail: str = "") -> None:
        session = self.sessions.setdefault(who, Session(NOW_MS))
        action = Action(kind, post_id, f"{len(session.taste)}-{kind}-{post_id}", detail)
        session.take(action, self.feed.shelf.terms(self.feed.shelf.row_of[post_id]), learn=True)
        self.heard.acted(who, action, session, self.feed.shelf, NOW_MS)

    def popularity(self, item_id: str) -> float:
        assert self.hybrid is not None
        return float(self.hybrid.parts.popularity[0, self.hybrid.items.row_of[item_id]])


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_choice_of_a_post_counts_once_for_each_of_its_products(scene: Scene) -> None:
    mug, lamp = scene.popularity("mug-1"), scene.popularity("lamp-1")

    scene.act(ANA, ActionKind.CLICK, BOTH)
    once = scene.popularity("mug-1")
    scene.act(ANA, ActionKind.CLICK, BOTH)

    assert once > mug
    assert scene.popularity("lamp-1") > lamp
    assert scene.popularity("mug-1") == once


def test_what_one_session_chooses_is_chosen_together(scene: Scene) -> None:
    hybrid = scene.hybrid
    assert hybrid is not None
    before = dict(hybrid.alongside(["mug-1"], 40))

    for number in range(30):
        who = person_key(TENANT, f"visitor-{number}")
        scene.act(who, ActionKind.SAVE, LAMP)
        scene.act(who, ActionKind.SAVE, MUG)

    assert dict(hybrid.alongside(["mug-1"], 40))["lamp-1"] > before.get("lamp-1", 0.0)


def test_a_purchase_of_one_product_says_nothing_for_the_other_one(scene: Scene) -> None:
    mug, lamp = scene.popularity("mug-1"), scene.popularity("lamp-1")

    scene.act(ANA, ActionKind.PURCHASE, BOTH, detail="lamp-1")

    assert scene.popularity("lamp-1") > lamp
    assert scene.popularity("mug-1") == mug


def test_a_hide_says_nothing_to_others(scene: Scene) -> None:
    mug = scene.popularity("mug-1")

    scene.act(ANA, ActionKind.HIDE, MUG)
    scene.act(ANA, ActionKind.UNHIDE, MUG)

    assert scene.popularity("mug-1") == mug


def test_an_unlike_takes_back_the_like_alone(scene: Scene) -> None:
    scene.act(ANA, ActionKind.CLICK, MUG)
    clicked = scene.popularity("mug-1")

    scene.act(ANA, ActionKind.LIKE, MUG)
    scene.act(ANA, ActionKind.UNLIKE, MUG)
    scene.act(ANA, ActionKind.UNSAVE, MUG)

    assert scene.popularity("mug-1") == pytest.approx(clicked)


def test_whoever_is_erased_is_taken_out_and_nobody_else(scene: Scene) -> None:
    hybrid = scene.hybrid
    assert hybrid is not None
    scene.act(BEN, ActionKind.LIKE, MUG)
    before = hybrid.parts.popularity.copy(), hybrid.parts.together.own.copy()
    scene.act(ANA, ActionKind.CLICK, LAMP)
    scene.act(ANA, ActionKind.LIKE, BOTH)

    assert HeardErasure(scene.heard).erase(TENANT, "ana") == {"recommender choices": 2}
    assert scene.heard.forget(ANA) == 0

    assert np.allclose(hybrid.parts.popularity, before[0])
    assert np.allclose(hybrid.parts.together.own, before[1])
    assert len(scene.heard) == 1


def test_a_new_version_is_not_asked_to_take_back_what_the_old_one_heard(scene: Scene) -> None:
    scene.act(ANA, ActionKind.LIKE, MUG)
    scene.hybrid = freshly_trained()
    fresh = scene.hybrid.parts.popularity.copy()

    scene.act(ANA, ActionKind.UNLIKE, MUG)

    assert scene.heard.forget(ANA) == 0
    assert np.array_equal(scene.hybrid.parts.popularity, fresh)


def test_nothing_is_heard_while_no_recommender_serves(scene: Scene) -> None:
    scene.hybrid = None

    scene.act(ANA, ActionKind.LIKE, MUG)

    assert len(scene.heard) == 0


@pytest.mark.parametrize(
    ("permissions", "learn", "heard"),
    [
        (Permission.PERSONALISE_CONTENT, True, 1),
        (Permission.PERSONALISE_CONTENT, False, 0),
        (Permission.REMEMBER, True, 0),
        (Permission.NONE, True, 0),
    ],
)
async def test_it_is_told_only_where_consent_covers_it(
    scene: Scene, permissions: Permission, learn: bool, heard: int
) -> None:
    feed = scene.feed
    recorder = Recorder(
        index=feed.index, sessions=feed.sessions, reactions=_NoStore(), profiles=feed.visitors, clock=feed.clock,
        publish=lambda topic, payloads: None, listener=scene.heard,
    )  # fmt: skip

    await recorder.record(
        Actor(TENANT, "s", permissions, "ana" if permissions else "", learn), [Action(ActionKind.CLICK, MUG, "a")]
    )

    assert len(scene.heard) == heard


class _NoStore:
    """A ReactionStore that is not asked: clicks are kept by none."""

    def react(self, tenant_id: str, actor_key: bytes, reactions: Sequence[Reaction], now_ms: int) -> list[Reacted]:
        raise AssertionError("a click is no reaction that is kept")

    def standing(self, tenant_id: str, actor_key: bytes, subject_ids: Sequence[str]) -> set[tuple[ActionKind, str]]:
        raise AssertionError("nobody asks what stands")

    def newest(self, tenant_id: str, actor_key: bytes, kind: ActionKind, limit: int) -> list[Done]:
        raise AssertionError("nobody asks what stands of a kind")
