"""What do two hundred creators post? Drafts with products at their places on the picture, over the last week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from app.demo_texts import BAD_KINDS, written, written_badly
from feed.post import Disclosure, PostDraft, ProductTag
from protos import catalogue_pb2 as catalogue

CREATORS = 200
POSTS = 5_000
# The rest is published while shoppers scroll: so many are made in between, through the front door.
LIVE_POSTS = 120
# So many that few post more than a newcomer may within a day.
DAYS = 7
# Some creators are up to no good, and write little else.
_BAD_CREATORS = 10
_BAD_SHARE = 0.35
# What a creator is known for; the other posts are of anything.
_OWN_SHARE = 0.75
_MOST_PRODUCTS = 4


@dataclass(frozen=True, slots=True)
class PlannedPost:
    """A draft and how long before the demo it was published; `alt_text` is for a photo, `bad` what is wrong with it."""

    age_ms: int
    draft: PostDraft
    alt_text: str
    bad: str = ""


def creator_id(number: int) -> str:
    """The creator's id: numbers begin with 0."""
    return f"creator-{number + 1}"


def make_posts(products: Sequence[catalogue.Product], count: int, *, seed: int) -> list[PlannedPost]:
    """The same posts for the same products, count and seed; the oldest first."""
    chance = Random(f"posts {seed}")
    by_category: dict[str, list[catalogue.Product]] = {}
    for product in products:
        by_category.setdefault(product.category, []).append(product)
    known_for = [chance.sample(sorted(by_category), min(2, len(by_category))) for _ in range(CREATORS)]
    ages = sorted((chance.randrange(60_000, DAYS * 86_400_000) for _ in range(count)), reverse=True)
    return [_planned(number, age_ms, products, by_category, known_for, chance) for number, age_ms in enumerate(ages)]


def _planned(
    number: int,
    age_ms: int,
    products: Sequence[catalogue.Product],
    by_category: dict[str, list[catalogue.Product]],
    known_for: Sequence[Sequence[str]],
    chance: Random,
) -> PlannedPost:
    who = number % CREATORS
    shelf = by_category[chance.choice(known_for[who])] if chance.random() < _OWN_SHARE else products
    shown = chance.sample(list(shelf), min(chance.randrange(1, _MOST_PRODUCTS + 1), len(shelf)))
    first = shown[0]
    bad = ""
    if who >= CREATORS - _BAD_CREATORS and chance.random() < _BAD_SHARE:
        bad = chance.choice(BAD_KINDS)
        text = written_badly(bad, first.name.lower(), number, chance)
    else:
        text = written(first.name.lower(), first.category, chance)
    paid = chance.random() < 0.05
    draft = PostDraft(
        creator_id=creator_id(who),
        caption=text.caption,
        image_urls=(first.image_url,) if first.image_url else (),
        product_tags=tuple(
            ProductTag(product.product_id, round(chance.uniform(0.1, 0.9), 3), round(chance.uniform(0.1, 0.9), 3))
            for product in shown
        ),
        hashtags=text.hashtags,
        disclosure=Disclosure.PAID_PARTNERSHIP if paid else Disclosure.NONE,
        paid=paid,
        partner=first.brand if paid else "",
    )
    return PlannedPost(age_ms, draft, text.alt_text, bad)
