"""What does the check of a post cost before anybody sees it? Text, links, hashtags and pace; no media."""

from __future__ import annotations

from random import Random
from typing import Final

from app.settings import Settings
from app.wiring_checks import TrustInBook, checker_of
from bench.feed_pages import Call
from common.clock import SystemClock
from feed.moderation.ordinary_posts import ORDINARY, ordinary
from feed.moderation.pictures import KnownPictures
from feed.post import Disclosure, Post
from feed.post_rules import MAX_CAPTION_CHARS
from feed.reputation.book import ReputationBook

POST_CHECK: Final = "post, checked, text without media"
_TENANT: Final = "c" * 32
_POSTS: Final = 2_000


def checking(settings: Settings, seed: int) -> Call:
    """Checks posts by the program's own classifiers, each of another creator: ordinary ones, and every tenth as long
    as a caption may be, with links.
    """
    chance = Random(seed)
    checker = checker_of(settings, KnownPictures(), TrustInBook(ReputationBook()), SystemClock())
    said = list(ordinary(ORDINARY, seed, _POSTS // len(ORDINARY) + 1))
    captions = [said[number % len(said)] if number % 10 else _long(said, chance) for number in range(_POSTS)]

    async def check(number: int) -> object:
        caption = captions[number % _POSTS]
        post = Post(
            _TENANT, f"{number:032x}", f"creator-{number}", caption, (), (), ("look", "boots", "winter"), 0,
            disclosure=Disclosure.GIFTED, partner="Bruma",
        )  # fmt: skip
        return checker.check(post)

    return check


def _long(said: list[str], chance: Random) -> str:
    words = "more on https://shop.example/look and www.shop.example "
    while len(words) < MAX_CAPTION_CHARS:
        words += chance.choice(said) + " "
    return words[:MAX_CAPTION_CHARS]
