"""Who posts and who scrolls in a made-up feed? Tastes and qualities that the feed does not know and must find out.

Everything is drawn from one seed. The numbers are chosen to look like a shop's feed (about one click in twelve looks, a
tenth of these kept, one in thirty bought), and none of them was fitted to make a ranking look good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.actions import ActionKind
from feed.post import Post, ProductTag
from streams.product import Product

TENANT = "f" * 32
DAY_MS = 86_400_000
CATEGORIES, BRANDS, PRODUCTS, CREATORS, SHOPPERS = 16, 40, 600, 120, 400
# How many of ten shoppers agree to personal content, and how much sooner each place is looked at than the next.
_AGREE = 0.8
_LOOKED_AT = 0.93


@dataclass(frozen=True, slots=True)
class Shopper:
    """`taste` float64 [categories] around 0; `thrift` is how much a high price puts off; `patience` pages a session."""

    visitor_id: str
    agrees: bool
    taste: NDArray[np.float64]
    thrift: float
    patience: int


class FeedWorld:
    """Products, creators and shoppers; `post` makes a post, `act` what a shopper does with one."""

    def __init__(self, seed: int, started_at_ms: int) -> None:
        self._chance = np.random.default_rng(seed)
        self.started_at_ms = started_at_ms
        chance = self._chance
        self._category = chance.integers(0, CATEGORIES, PRODUCTS)
        price = np.exp(chance.normal(3.3, 0.7, PRODUCTS))
        self._log_price = (np.log(price) - 3.3) / 0.7
        self.products = [
            Product(
                f"p-{n}", TENANT, f"Product {n}", f"brand-{n % BRANDS}", f"category-{self._category[n]}",
                int(price[n] * 1e6), "EUR", "", "https://shop.example/p", True, {},
            )
            for n in range(PRODUCTS)
        ]  # fmt: skip
        self._of_category = [np.flatnonzero(self._category == at) for at in range(CATEGORIES)]
        self._creator_taste = chance.integers(0, CATEGORIES, (CREATORS, 2))
        self._creator_quality = chance.normal(0.0, 0.5, CREATORS)
        self.shoppers = [self._shopper(n) for n in range(SHOPPERS)]
        # By post id: quality, category, price of its first product.
        self._truth: dict[str, tuple[float, int, float]] = {}

    def post(self, number: int, at_ms: int) -> Post:
        """A new post by some creator, about products of a category that the creator likes."""
        chance = self._chance
        creator = int(chance.integers(0, CREATORS))
        category = int(self._creator_taste[creator, int(chance.integers(0, 2))])
        stock = self._of_category[category]
        tagged = chance.choice(stock, size=min(len(stock), int(chance.integers(1, 4))), replace=False).tolist()
        post_id = f"{at_ms:012x}{number:020x}"
        quality = float(self._creator_quality[creator] + chance.normal(0.0, 0.6))
        self._truth[post_id] = quality, category, float(self._log_price[tagged[0]])
        return Post(
            tenant_id=TENANT,
            post_id=post_id,
            creator_id=f"creator-{creator}",
            caption="a look " * int(chance.integers(1, 12)),
            image_urls=("https://img.example/1.jpg",),
            product_tags=tuple(ProductTag(f"p-{product}", 0.5, 0.5) for product in tagged),
            hashtags=(f"category-{category}", f"tag-{int(chance.integers(0, 30))}"),
            published_at_ms=at_ms,
        )

    def click_chance(self, shopper: Shopper, post_id: str) -> float:
        """How likely a shopper who looks at a post clicks it: the truth that no ranking sees."""
        quality, category, price = self._truth[post_id]
        return float(1 / (1 + np.exp(3.5 - 1.1 * shopper.taste[category] - quality + shopper.thrift * price)))

    def act(self, shopper: Shopper, post_id: str, place: int) -> list[ActionKind]:
        """What becomes of a post at a place of the page, from 0."""
        chance = self._chance
        if chance.random() > _LOOKED_AT**place:
            return []
        clicks = self.click_chance(shopper, post_id)
        if chance.random() >= clicks:
            dislikes = 0.02 / (1 + np.exp(3.0 * float(shopper.taste[self._truth[post_id][1]])))
            return [ActionKind.HIDE] if chance.random() < 2 * dislikes else []
        done = [ActionKind.CLICK]
        if chance.random() < 0.1 + 0.2 * clicks:
            done.append(ActionKind.SAVE)
        if chance.random() < 0.06 * clicks / (clicks + 0.2):
            done.append(ActionKind.PURCHASE)
        return done

    def someone(self) -> Shopper:
        """Who comes next."""
        return self.shoppers[int(self._chance.integers(0, SHOPPERS))]

    def pause_ms(self, mean_ms: float) -> int:
        """How long until the next session."""
        return 1 + int(self._chance.exponential(mean_ms))

    def _shopper(self, number: int) -> Shopper:
        chance = self._chance
        taste = chance.normal(-0.3, 0.7, CATEGORIES)
        taste[chance.choice(CATEGORIES, 3, replace=False)] += 1.8
        return Shopper(
            f"shopper-{number}", bool(chance.random() < _AGREE), taste, float(abs(chance.normal(0, 0.3))),
            int(chance.integers(1, 5)),
        )  # fmt: skip
