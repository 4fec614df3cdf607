from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from app.demo_photos import photo
from app.demo_posts import CREATORS, make_posts
from app.demo_texts import BAD_KINDS, name_of, written, written_badly
from app.settings import load
from app.wiring_checks import checker_of, hash_of
from common.clock import SteppedClock
from feed import post_rules
from feed.moderation.checker import Checker
from feed.moderation.pictures import KnownPictures
from feed.social import handles
from feed.verdict import Outcome
from protos import catalogue_pb2 as catalogue
from tests.feed_builders import NOW_MS

PRODUCTS = [
    catalogue.Product(product_id=f"p-{n}", name=f"Boxy parka {n}", brand="House", category=f"kind {n % 4}")
    for n in range(40)
]


def test_the_same_seed_makes_the_same_posts_oldest_first() -> None:
    made = make_posts(PRODUCTS, 400, seed=3)

    assert made == make_posts(PRODUCTS, 400, seed=3) != make_posts(PRODUCTS, 400, seed=4)
    assert len({post.draft.creator_id for post in made}) == CREATORS
    assert [post.age_ms for post in made] == sorted((post.age_ms for post in made), reverse=True)
    assert {post.bad for post in make_posts(PRODUCTS, 3_000, seed=3)} == {"", *BAD_KINDS}


def test_every_post_may_be_sent_and_tags_products_of_the_catalogue() -> None:
    known = {product.product_id for product in PRODUCTS}

    for post in make_posts(PRODUCTS, 300, seed=1):
        assert post_rules.check(post.draft, NOW_MS) == []
        assert {tag.product_id for tag in post.draft.product_tags} <= known
        assert post.draft.product_tags


def test_every_creator_has_a_handle_of_their_own() -> None:
    skeletons = {handles.skeleton(name_of(number)[1]) for number in range(CREATORS)}

    assert len(skeletons) == CREATORS


@pytest.fixture(scope="module")
def checker() -> Checker:
    class Unknown:
        def of(self, tenant_id: str, person_id: str) -> float:
            return 0.5

        def posts_a_day(self, tenant_id: str, person_id: str) -> int:
            return 1_000

    return checker_of(load({}), KnownPictures(), Unknown(), SteppedClock(NOW_MS))


def test_what_is_written_is_published_and_what_is_written_badly_is_mostly_not(checker: Checker) -> None:
    chance, author = Random(5), checker.author("shop", "ana")

    def outcome(caption: str) -> Outcome:
        return checker.check_text({"caption": caption}, author=author, act=None).outcome

    ordinary = Counter(outcome(written("washed tote in moss", "bags", chance).caption) for _ in range(150))
    assert ordinary[Outcome.CLEAN] > 140
    for kind, least in {"spam": 19, "scam_link": 20, "hate": 19, "clickbait": 3}.items():
        bad = [outcome(written_badly(kind, "washed tote in moss", n, chance).caption) for n in range(20)]
        assert sum(one is not Outcome.CLEAN for one in bad) >= least, kind


def test_no_two_photos_are_alike_and_the_same_number_is_the_same_photo() -> None:
    assert photo(1) == photo(1)
    hashes = [hash_of_photo(number) for number in range(12)]
    for at, one in enumerate(hashes):
        for other in hashes[:at]:
            assert bin(int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).count("1") > 60


def hash_of_photo(number: int) -> bytes:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(photo(number))) as image:
        found = hash_of(image.convert("RGB"))
    assert found is not None
    return found[:32]
