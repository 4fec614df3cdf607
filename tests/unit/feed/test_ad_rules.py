from __future__ import annotations

from feed.ad_rules import fit
from feed.ports import STRANGER, FeedAd, Relation
from tests.feed_builders import TENANT, Shop, a_product

SHOP = Shop([a_product("shoe", brand="Bruma"), a_product("gone", in_stock=False)])
ADS = {
    0: FeedAd(0, "a", "i0", advertiser_id="adv-1", advertiser_domain="bruma.example", product_id="shoe"),
    1: FeedAd(1, "a", "i1", advertiser_id="adv-2", advertiser_domain="other.example", markup="<p>Lose <b>weight</b>"),
}


def slots(relation: Relation) -> list[int]:
    return list(fit(ADS, relation, SHOP, TENANT))


def test_a_stranger_gets_what_won() -> None:
    assert slots(STRANGER) == [0, 1]


def test_an_advertiser_is_blocked_by_id_or_by_domain() -> None:
    assert slots(Relation(blocked=frozenset({"adv-2"}))) == [0]
    assert slots(Relation(blocked=frozenset({"bruma.example"}))) == [1]
    assert slots(Relation(blocked=frozenset({"creator-9"}))) == [0, 1]


def test_muted_words_hold_for_what_an_ad_shows_and_for_its_product() -> None:
    assert slots(Relation(muted_words=("weight",))) == [0]
    assert slots(Relation(muted_words=("lose weight",))) == [0]
    assert slots(Relation(muted_words=("bruma",))) == [1]
    # A tag of the markup is nothing that anybody reads.
    assert slots(Relation(muted_words=("b", "p"))) == [0, 1]


def test_an_ad_of_a_product_that_is_sold_out_is_not_shown() -> None:
    ads = {0: FeedAd(0, "a", "i", product_id="gone"), 1: FeedAd(1, "a", "j", product_id="a bidder's own")}

    assert list(fit(ads, STRANGER, SHOP, TENANT)) == [1]
