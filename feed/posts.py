"""How is a post made, read and withdrawn?"""

from __future__ import annotations

import hashlib

import msgspec

from common.clock import Clock
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import new_id
from feed import post_rules
from feed.ports import PostStore, ProductLookup
from feed.post import Post, PostDraft


class Posts:
    """The use cases of posts; all of them block on the store."""

    def __init__(self, *, store: PostStore, clock: Clock, products: ProductLookup) -> None:
        self._store = store
        self._clock = clock
        self._products = products

    def create(self, tenant_id: str, key: str, draft: PostDraft) -> Post:
        """Publish a post; the same key and draft give the post that they gave before.

        InvalidInput names every field that cannot be taken; Conflict when the key was used for another request.
        """
        digest = _digest(b"create", msgspec.json.encode(draft))
        if _is_key(key) and (known := self._store.written(tenant_id, key, digest)) is not None:
            return known
        now_ms = self._clock.now_ms()
        errors = [*_key_errors(key), *post_rules.check(draft, now_ms), *self._unknown_products(tenant_id, draft)]
        if errors:
            raise InvalidInput(errors)
        post = Post(
            tenant_id=tenant_id,
            post_id=new_id(now_ms),
            creator_id=draft.creator_id,
            caption=draft.caption,
            image_urls=draft.image_urls,
            product_tags=draft.product_tags,
            hashtags=post_rules.normalised_hashtags(draft.hashtags),
            published_at_ms=draft.published_at_ms or now_ms,
        )
        return self._store.create(post, key, digest, now_ms)

    def get(self, tenant_id: str, post_id: str) -> Post:
        """The tenant's post; NotFound when there is none, or it is another tenant's."""
        post = self._store.get(tenant_id, post_id)
        if post is None:
            raise _not_found(post_id)
        return post

    def withdraw(self, tenant_id: str, key: str, post_id: str) -> Post:
        """Take a post out of every feed; withdrawing it again changes nothing.

        NotFound as `get`, Conflict as `create`.
        """
        if errors := _key_errors(key):
            raise InvalidInput(errors)
        digest = _digest(b"withdraw", post_id.encode())
        post = self._store.withdraw(tenant_id, post_id, key, digest, self._clock.now_ms())
        if post is None:
            raise _not_found(post_id)
        return post

    def _unknown_products(self, tenant_id: str, draft: PostDraft) -> list[FieldError]:
        wanted = [tag.product_id for tag in draft.product_tags[: post_rules.MAX_PRODUCT_TAGS]]
        return [
            FieldError(
                f"post.product_tags[{at}].product_id",
                f"unknown product {post_rules.shown(product_id)}",
                "put the product into the catalogue first",
            )
            for at, (product_id, facts) in enumerate(
                zip(wanted, self._products.products(tenant_id, wanted) if wanted else (), strict=True)
            )
            if facts is None and post_rules.is_id(product_id)
        ]


def _is_key(key: str) -> bool:
    return post_rules.is_id(key)


def _key_errors(key: str) -> list[FieldError]:
    if _is_key(key):
        return []
    return [
        FieldError("idempotency_key", post_rules.shown(key), "give 1 to 64 printable characters, fresh for each write")
    ]


def _digest(verb: bytes, request: bytes) -> str:
    return hashlib.blake2b(verb + b"\0" + request, digest_size=16).hexdigest()


def _not_found(post_id: str) -> NotFound:
    return NotFound(f"there is no post {post_rules.shown(post_id)}")
