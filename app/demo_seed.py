"""Where do the posts of the last days come from? From the same service that publishes today's, at their own times.

Nothing is written past the checks: a haat is wired over an empty folder with a clock that goes through the last
week, creators sign up, posts are published one after the other, and whoever follows posts (search, moderation's queue)
catches up. The folder is kept beside the demo's and copied the next time, for as long as its posts are young.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from app.demo_posts import CREATORS, PlannedPost, creator_id
from app.demo_texts import name_of
from app.haat import Haat
from app.settings import Settings, load
from app.wiring import wire
from app.wiring_checks import classifiers_of
from backends.sql_sqlite import unsynced
from common.clock import SteppedClock, SystemClock
from common.errors import InvalidInput
from feed.moderation.checker import NoClassifiers
from protos import catalogue_pb2 as catalogue
from streams.product import PRODUCTS_AT_ONCE
from streams.schemas import products_put

SHOP = "The shop"
# Grows with every change of what is seeded, so that folders of before are not taken for it.
_VERSION = 2
_MARK = ".haat-demo-posts"
_FOLLOWED_EVERY = 100
_YOUNG_MS = 12 * 3_600_000

Told = Callable[[str, int], None]


class Seeded(msgspec.Struct, frozen=True):
    """A folder with the shop, its products, creators and posts; `refused` posts could not be published at all."""

    shop_id: str
    made_at_ms: int
    posts: int
    refused: int


def name_of_seed(settings: Settings, products: Sequence[catalogue.Product], posts: Sequence[PlannedPost]) -> str:
    """The same for the same posts, products and checks."""
    classifiers = classifiers_of(settings)
    version = "none" if isinstance(classifiers, NoClassifiers) else classifiers.version
    digest = blake2b(f"{_VERSION} {version}".encode(), digest_size=8)
    for product in products:
        digest.update(product.SerializeToString(deterministic=True))
    for post in posts:
        digest.update(msgspec.json.encode(post.draft))
    return digest.hexdigest()


def seed_into(
    settings: Settings,
    data_dir: Path,
    kept: Path,
    products: Sequence[catalogue.Product],
    posts: Sequence[PlannedPost],
    engines: Mapping[str, str],
    told: Told,
) -> Seeded:
    """Fill the empty `data_dir` with what was posted in the last days: made anew, or copied from `kept` where that is
    of the same posts and young. With `engines`, settings of real ones, it goes into those, anew each time.
    """
    name, now_ms = name_of_seed(settings, products, posts), SystemClock().now_ms()
    if engines.get("database_url"):
        return _made(settings, data_dir, products, posts, now_ms, engines, told)
    mark = kept / _MARK
    try:
        known = json.loads(mark.read_text())
        seeded = msgspec.convert(known["seeded"], Seeded)
        if known["name"] == name and now_ms - seeded.made_at_ms < _YOUNG_MS:
            shutil.copytree(kept / "folder", data_dir, dirs_exist_ok=True)
            told("posts of before", seeded.posts)
            return seeded
    except (OSError, ValueError, KeyError):
        pass
    if mark.exists():
        shutil.rmtree(kept)
    elif kept.exists() and any(kept.iterdir()):
        # Somebody else's folder is left alone; the posts are made each time.
        return _made(settings, data_dir, products, posts, now_ms, engines, told)
    seeded = _made(settings, data_dir, products, posts, now_ms, engines, told)
    shutil.copytree(data_dir, kept / "folder")
    mark.write_text(json.dumps({"name": name, "seeded": msgspec.to_builtins(seeded)}))
    return seeded


@unsynced()
def _made(
    settings: Settings,
    data_dir: Path,
    products: Sequence[catalogue.Product],
    posts: Sequence[PlannedPost],
    now_ms: int,
    engines: Mapping[str, str],
    told: Told,
) -> Seeded:
    clock = SteppedClock(now_ms - max((post.age_ms for post in posts), default=0) - 60_000)
    flags = {"data_dir": str(data_dir), "models_dir": str(settings.models_dir), "picture_hosts": "*"}
    haat = wire(load({**flags, **engines}), clock)
    try:
        shop_id = haat.accounts.create_tenant(SHOP).tenant_id
        for at in range(0, len(products), PRODUCTS_AT_ONCE):
            request = catalogue.PutProductsRequest(products=products[at : at + PRODUCTS_AT_ONCE])
            haat.catalogue.put(shop_id, products_put(request, shop_id).products)
        _sign_up(haat, shop_id, told)
        refused = 0
        for number, post in enumerate(posts):
            clock.step(max(now_ms - post.age_ms - clock.now_ms(), 0))
            try:
                haat.feed_server.posts.posts.create(shop_id, f"demo-{number}", post.draft)
            except InvalidInput:
                refused += 1
            if number % _FOLLOWED_EVERY == _FOLLOWED_EVERY - 1:
                _catch_up(haat)
                told("posts", _FOLLOWED_EVERY)
        clock.step(max(now_ms - clock.now_ms(), 0))
        _catch_up(haat)
        told("posts", len(posts) % _FOLLOWED_EVERY)
    finally:
        haat.close()
    return Seeded(shop_id, now_ms, len(posts) - refused, refused)


def _sign_up(haat: Haat, shop_id: str, told: Told) -> None:
    sign_up = next(one for one in haat.social.operations if one.name == "SignUp")
    for number in range(CREATORS):
        display_name, handle = name_of(number)
        fields = {
            "idempotency_key": f"demo-{number}",
            "consent": {"granted": [1]},
            "person_id": creator_id(number),
            "handle": handle,
            "display_name": display_name,
        }
        sign_up.answer(shop_id, msgspec.convert(fields, sign_up.request))
        told("creators", 1)


def _catch_up(haat: Haat) -> None:
    """What goes on beside the calls in a running haat: whoever follows posts has seen them all."""
    while haat.relay.relay_once():
        pass
    haat.social.catch_up()
    while haat.moderation.posts.count_once(haat.log):
        pass
    haat.log.sync()
