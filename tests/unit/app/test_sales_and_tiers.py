"""What people buy from posts, in the wired program: trust and tiers grow, and unlock reach, posts and commission."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feed_builders import a_product
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = pytest.mark.slow

DAY_MS = 86_400_000
TAG = {"product_tags": [{"product_id": "shoe", "x": 0.5, "y": 0.5}], "image_urls": ["https://img.example/1.jpg"]}


@pytest.fixture
def haat(tmp_path: Path) -> Iterator[WholeHaat]:
    with whole_haat(tmp_path) as opened:
        opened.sell(a_product("shoe", tenant_id=opened.tenant))
        yield opened


def buy(haat: WholeHaat, post_id: str, buyers: int, *, kind: str = "purchase") -> None:
    for number in range(buyers):
        haat.ask(
            "POST",
            "/v1/feed/actions",
            {
                "session_id": f"s{number}",
                "visitor": {"visitor_id": f"buyer-{number}"},
                "consent": {"granted": ["remember"]},
                "actions": [{"kind": kind, "subject_id": post_id, "action_id": f"{kind}-{number}", "detail": "shoe"}],
            },
        )
    haat.settle()


def refreshed(haat: WholeHaat) -> None:
    haat.moderation.sales.count_kept()
    haat.moderation.reputations.refresh()


def test_kept_sales_raise_tier_badge_reach_and_what_may_be_posted(haat: WholeHaat) -> None:
    haat.join("ana", "bob")
    sold, unsold = haat.post("ana", "My new boots", **TAG), haat.post("bob", "My old boots", **TAG)
    before = haat.moderation.book.standing(haat.tenant, "ana")
    buy(haat, sold, 120)
    refreshed(haat)
    assert haat.moderation.book.standing(haat.tenant, "ana") == before, "the time for returns is not over"

    haat.clock.step(14 * DAY_MS)
    refreshed(haat)

    after = haat.moderation.book.standing(haat.tenant, "ana")
    assert (before.tier.name, after.tier.name) == ("NONE", "BRONZE")
    assert after.trust > before.trust
    assert after.posts_a_day > before.posts_a_day
    assert list(haat.moderation.book.reach(haat.tenant, ["ana"])) > list(
        haat.moderation.book.reach(haat.tenant, ["bob"])
    )
    assert haat.call("GetProfile", person_id="ana").badge == "bronze"
    assert haat.call("GetProfile", person_id="bob").badge == ""
    assert unsold


def test_what_was_sent_back_costs_its_creator(haat: WholeHaat) -> None:
    post = haat.post("ana", "My new boots", **TAG)
    buy(haat, post, 10)
    buy(haat, post, 10, kind="return")
    haat.clock.step(14 * DAY_MS)
    refreshed(haat)

    standing = haat.moderation.book.standing(haat.tenant, "ana")
    assert standing.trust == 0.0
    assert standing.reputation < haat.moderation.book.standing(haat.tenant, "nobody").reputation


def test_the_partner_network_reads_tiers_and_hears_of_their_changes(haat: WholeHaat) -> None:
    post = haat.post("ana", "My new boots", **TAG)
    buy(haat, post, 120)
    haat.clock.step(14 * DAY_MS)
    refreshed(haat)
    haat.settle()

    tiers = haat.moderation.tiers
    assert (tiers.tier(haat.tenant, "ana"), tiers.tier(haat.tenant, "bob")) == (1, 0)
    told = haat.told("creator_tiers")
    assert [(one.creator_id, one.tier_before, one.tier) for one in told] == [("ana", 0, 1)]
    # Kept over a restart, before the first refresh of its own.
    haat.reopen()
    assert haat.moderation.tiers.tier(haat.tenant, "ana") == 1


def test_a_newcomer_posts_so_many_a_day_and_what_is_more_waits(haat: WholeHaat) -> None:
    allowed = haat.moderation.book.standing(haat.tenant, "ana").posts_a_day
    posts = []
    for number in range(allowed + 1):
        haat.clock.step(15 * 60_000)
        posts.append(haat.post("ana", f"Look number {number} of my week", **TAG))
    seen = [haat.view(post_id, "ana") for post_id in posts]

    assert [one["state"] for one in seen] == ["clean"] * allowed + ["checking"]
    assert [found["label"] for found in seen[-1]["verdict"]["findings"]] == ["velocity"]
    # An edit is no post of its own.
    body = {"creator_id": "ana", "caption": "A better caption", "expected_revision": seen[0]["revision"], **TAG}
    assert haat.ask("PUT", f"/v1/posts/{posts[0]}", body)["state"] == "clean"
    haat.clock.step(DAY_MS)
    assert haat.view(haat.post("ana", "A new day", **TAG), "ana")["state"] == "clean"


def test_what_came_back_is_counted_as_bought_no_more(haat: WholeHaat) -> None:
    post = haat.post("ana", "My new boots", **TAG)
    buy(haat, post, 3)
    buy(haat, post, 1, kind="return")

    [card] = haat.call("ListPosts", creator_id="ana").posts
    assert card.purchases == 2
    for _ in range(3):
        buy(haat, post, 4, kind="return")
    [card] = haat.call("ListPosts", creator_id="ana").posts
    assert card.purchases == 0
