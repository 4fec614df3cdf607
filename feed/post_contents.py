"""Can this stand in a post, also as the catalogue and the media know it, and in which form is it kept?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.errors import FieldError
from feed import post_rules, post_text
from feed.media.ports import PostedMedia
from feed.ports import ProductLookup
from feed.post import Post, PostDraft, PostMedia, PostState, ProductTag
from feed.post_rules import shown
from feed.verdict import Outcome


class PostContents:
    """The rules of posts with the catalogue and the media beside them."""

    def __init__(self, products: ProductLookup, media: PostedMedia, picture_hosts: frozenset[str]) -> None:
        self._products = products
        self._media = media
        self._picture_hosts = picture_hosts

    def errors(self, tenant_id: str, draft: PostDraft, now_ms: int, before: Post | None = None) -> list[FieldError]:
        """Every field that cannot be taken. What was tagged `before` may have sold out since."""
        errors = post_rules.check(draft, now_ms, self._picture_hosts)
        errors += self._tag_errors(tenant_id, draft.product_tags, before)
        errors += self._media_errors(tenant_id, draft)
        if before is not None and before.state is not PostState.DRAFT and draft.publish_at_ms:
            errors.append(FieldError("post.publish_at_ms", str(draft.publish_at_ms), "it is published: leave this out"))
        if before is not None and draft.published_at_ms:
            remedy = "leave it out: an edit does not change when a post was published"
            errors.append(FieldError("post.published_at_ms", str(draft.published_at_ms), remedy))
        return errors

    def unknown_products(self, tenant_id: str, tags: Sequence[ProductTag]) -> list[FieldError]:
        """The tags of products that this shop does not have."""
        wanted = tags[: post_rules.MAX_PRODUCT_TAGS]
        found = self._products.products(tenant_id, [tag.product_id for tag in wanted]) if wanted else ()
        return [
            FieldError(
                f"post.product_tags[{at}].product_id",
                f"unknown product {shown(tag.product_id)}",
                "put the product into the catalogue first",
            )
            for at, (tag, facts) in enumerate(zip(wanted, found, strict=True))
            # Another shop's product is told apart from none at all by nobody but that shop.
            if (facts is None or facts.tenant_id != tenant_id) and post_rules.is_id(tag.product_id)
        ]

    def of(self, tenant_id: str, draft: PostDraft) -> dict[str, Any]:
        """The fields of a Post that hold what `draft` says, in the form in which it is kept."""
        return {
            "caption": post_text.clean(draft.caption),
            "image_urls": draft.image_urls,
            "media": self._known_media(tenant_id, draft.media),
            "product_tags": draft.product_tags,
            "hashtags": post_rules.normalised_hashtags(draft.hashtags),
            "paid": post_rules.says_paid(draft),
            "disclosure": draft.disclosure,
            "partner": post_text.clean(draft.partner),
        }

    def _tag_errors(self, tenant_id: str, tags: Sequence[ProductTag], before: Post | None) -> list[FieldError]:
        wanted = tags[: post_rules.MAX_PRODUCT_TAGS]
        tagged = {tag.product_id for tag in before.product_tags} if before is not None else set()
        found = self._products.products(tenant_id, [tag.product_id for tag in wanted]) if wanted else ()
        return self.unknown_products(tenant_id, wanted) + [
            FieldError(
                f"post.product_tags[{at}].product_id",
                f"product {shown(tag.product_id)} is sold out",
                "tag one that can be bought",
            )
            for at, (tag, facts) in enumerate(zip(wanted, found, strict=True))
            if facts is not None
            and facts.tenant_id == tenant_id
            and not facts.in_stock
            and tag.product_id not in tagged
        ]

    def _media_errors(self, tenant_id: str, draft: PostDraft) -> list[FieldError]:
        wanted = draft.media[: post_rules.MAX_IMAGES]
        found = self._media.find(tenant_id, [medium.media_id for medium in wanted])
        errors = []
        for at, (medium, media) in enumerate(zip(wanted, found, strict=True)):
            field = f"post.media[{at}].media_id"
            if post_rules.is_id(medium.media_id) and (media is None or media.creator_id != draft.creator_id):
                errors.append(FieldError(field, f"no medium {shown(medium.media_id)}", "upload and finish it first"))
            elif media is not None and media.outcome is not Outcome.CLEAN:
                errors.append(FieldError(field, "was taken down by moderation", "take another one, or appeal"))
        return errors

    def _known_media(self, tenant_id: str, media: Sequence[PostMedia]) -> tuple[PostMedia, ...]:
        found = self._media.find(tenant_id, [medium.media_id for medium in media])
        return tuple(
            PostMedia(url=medium.url, alt_text=post_text.clean(medium.alt_text))
            if known is None
            else PostMedia(
                media_id=known.media_id, alt_text=post_text.clean(medium.alt_text), kind=known.kind,
                width=known.width, height=known.height, duration_ms=known.duration_ms, renditions=known.renditions,
            )
            for medium, known in zip(media, found, strict=True)
        )  # fmt: skip
