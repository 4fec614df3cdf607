"""What may stand in a post?"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

from common.errors import FieldError
from feed import post_text
from feed.post import Disclosure, PostDraft, PostMedia, ProductTag
from feed.post_text import has_control_characters, shown

__all__ = [
    "MAX_PRODUCT_TAGS", "check", "has_control_characters", "is_id", "is_web_address", "normalised_hashtags", "shown",
]  # fmt: skip

MAX_CAPTION_CHARS = 2_200
MAX_IMAGES = 10
MAX_URL_CHARS = 2_048
MAX_ALT_CHARS = 1_000
MAX_PARTNER_CHARS = 100
MAX_PRODUCT_TAGS = 20
MAX_HASHTAGS = 30
MAX_HASHTAG_CHARS = 100
MAX_ID_CHARS = 64
# A post is scheduled for at most a year ahead.
MAX_AHEAD_MS = 366 * 86_400_000
ANY_HOST: Final = "*"
# Clocks of two machines differ; beyond this a post claims to be of the future.
_CLOCK_SKEW_MS = 60_000
# A list that is far too long is reported once and by its first entries, not by each of a million.
_MAX_REPORTED = 20
# What creators write when they were paid; a post that says so needs its label.
_SAYS_PAID = frozenset(
    {
        *("ad", "ads", "advert", "advertisement", "sponsored", "paidpartnership", "paidad"),
        *("anzeige", "werbung", "gesponsert", "publicidad", "publi", "publicité", "sponsorisé", "pubblicità"),
        *("adv", "reklama", "reklam", "reclame", "publicidade", "реклама", "विज्ञापन", "広告", "광고"),
    }
)
_HASHTAG_IN_TEXT = re.compile(r"#([^\s#.,!?;:()'\"]{1,100})")


def check(draft: PostDraft, now_ms: int, picture_hosts: Collection[str] = (ANY_HOST,)) -> list[FieldError]:
    """Every field of `draft` that cannot be taken, by its path in CreatePostRequest.

    `picture_hosts` are those whose pictures a post may show by their address; ANY_HOST among them is all.
    """
    errors: list[FieldError] = []
    if not is_id(draft.creator_id):
        errors.append(FieldError("post.creator_id", shown(draft.creator_id), "give 1 to 64 printable characters"))
    errors += post_text.errors("post.caption", draft.caption, MAX_CAPTION_CHARS)
    errors += _picture_errors(draft, picture_hosts)
    errors += _tag_errors(draft.product_tags, len(draft.image_urls) or len(draft.media))
    errors += _hashtag_errors(draft.hashtags)
    errors += _disclosure_errors(draft)
    errors += _time_errors(draft, now_ms)
    return errors + [
        FieldError(f"post.{name}", "given", "leave it out: the feed itself gives it") for name in draft.claimed
    ]


def is_id(text: str) -> bool:
    """Is this 1 to 64 printable characters, with no blank around them?"""
    return 0 < len(text) <= MAX_ID_CHARS and text.isprintable() and text == text.strip()


def normalised_hashtags(hashtags: Iterable[str]) -> tuple[str, ...]:
    """Hashtags as they are compared: NFKC, lower case, without `#`, each once, in their order."""
    return tuple(dict.fromkeys(_normalised(tag) for tag in hashtags))


def says_paid(draft: PostDraft) -> bool:
    """Does the post say that it was paid for: by its flag, a hashtag, or a hashtag within the caption?"""
    if draft.paid:
        return True
    words = [*draft.hashtags[:MAX_HASHTAGS], *_HASHTAG_IN_TEXT.findall(draft.caption[:MAX_CAPTION_CHARS])]
    return not _SAYS_PAID.isdisjoint(normalised_hashtags(words))


def _normalised(tag: str) -> str:
    return unicodedata.normalize("NFKC", tag).removeprefix("#").casefold()


def _picture_errors(draft: PostDraft, hosts: Collection[str]) -> list[FieldError]:
    if draft.image_urls and draft.media:
        both = f"{len(draft.image_urls)} addresses beside media"
        return [FieldError("post.image_urls", both, "give pictures as media alone; a medium may have a url")]
    if not draft.image_urls and not draft.media and not post_text.clean(draft.caption[:MAX_CAPTION_CHARS]):
        return [FieldError("post.image_urls", "no picture", "give at least one, or a caption")]
    errors = []
    for name, entries in (("image_urls", draft.image_urls), ("media", draft.media)):
        if len(entries) > MAX_IMAGES:
            errors.append(FieldError(f"post.{name}", f"{len(entries)} pictures", f"give at most {MAX_IMAGES}"))
    for at, url in enumerate(draft.image_urls[:_MAX_REPORTED]):
        errors += _address_errors(f"post.image_urls[{at}]", url, hosts)
    for at, medium in enumerate(draft.media[:_MAX_REPORTED]):
        errors += _medium_errors(f"post.media[{at}]", medium, hosts)
    return errors


def _medium_errors(path: str, medium: PostMedia, hosts: Collection[str]) -> list[FieldError]:
    errors = post_text.errors(f"{path}.alt_text", medium.alt_text, MAX_ALT_CHARS)
    if bool(medium.media_id) == bool(medium.url):
        given = "both" if medium.url else "neither"
        errors.append(FieldError(f"{path}.media_id", given, "give media_id, of an upload, or url, and not both"))
    elif medium.url:
        errors += _address_errors(f"{path}.url", medium.url, hosts)
    elif not is_id(medium.media_id):
        errors.append(FieldError(f"{path}.media_id", shown(medium.media_id), "give the media_id of an upload"))
    return errors


def _address_errors(path: str, url: str, hosts: Collection[str]) -> list[FieldError]:
    if not is_web_address(url):
        remedy = f"give an http(s) address with a host, at most {MAX_URL_CHARS} characters"
        return [FieldError(path, shown(url), remedy)]
    if ANY_HOST not in hosts and urlsplit(url).hostname not in hosts:
        # What stands at an address of somebody else's can change after it was checked.
        return [FieldError(path, shown(url), "upload the picture, or have its host added to picture_hosts")]
    return []


def is_web_address(url: str) -> bool:
    """Is this an http(s) address with a host, without blanks, user names or control characters?"""
    if len(url) > MAX_URL_CHARS or not url.isprintable() or any(char in url for char in ' "<>\\^`{|}'):
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
        )
    except ValueError:
        return False


def _tag_errors(tags: tuple[ProductTag, ...], pictures: int) -> list[FieldError]:
    errors = []
    if len(tags) > MAX_PRODUCT_TAGS:
        errors.append(FieldError("post.product_tags", f"{len(tags)} tags", f"give at most {MAX_PRODUCT_TAGS}"))
    for at, tag in enumerate(tags[:_MAX_REPORTED]):
        path = f"post.product_tags[{at}]"
        if not is_id(tag.product_id):
            errors.append(FieldError(f"{path}.product_id", shown(tag.product_id), "give the id of a product"))
        # A post without any picture tags the product as a whole.
        if not 0 <= tag.picture < max(pictures, 1):
            remedy = f"give 0 to {pictures - 1}" if pictures > 1 else "give 0"
            errors.append(FieldError(f"{path}.picture", str(tag.picture), remedy))
        errors += [
            FieldError(f"{path}.{name}", str(value), "give a number from 0 to 1")
            for name, value in (("x", tag.x), ("y", tag.y))
            if not (math.isfinite(value) and 0 <= value <= 1)
        ]
    return errors


def _hashtag_errors(hashtags: tuple[str, ...]) -> list[FieldError]:
    errors = []
    if len(hashtags) > MAX_HASHTAGS:
        errors.append(FieldError("post.hashtags", f"{len(hashtags)} hashtags", f"give at most {MAX_HASHTAGS}"))
    remedy = f"give one word of letters, digits and _, at most {MAX_HASHTAG_CHARS} characters"
    return errors + [
        FieldError(f"post.hashtags[{at}]", shown(tag), remedy)
        for at, tag in enumerate(hashtags[:_MAX_REPORTED])
        if not _is_word(tag)
    ]


def _disclosure_errors(draft: PostDraft) -> list[FieldError]:
    errors = post_text.errors("post.partner", draft.partner, MAX_PARTNER_CHARS, allowed="")
    labels = ", ".join(label.name.lower() for label in Disclosure if label is not Disclosure.NONE)
    if draft.disclosure is Disclosure.NONE:
        if says_paid(draft):
            errors.append(FieldError("post.disclosure", "none on a post that says it is paid", f"give one of {labels}"))
        elif draft.partner:
            errors.append(FieldError("post.disclosure", "none beside a partner", f"give one of {labels}"))
    return errors


def _time_errors(draft: PostDraft, now_ms: int) -> list[FieldError]:
    errors = []
    if not 0 <= draft.published_at_ms <= now_ms + _CLOCK_SKEW_MS:
        remedy = "give ms since 1970 that are not in the future, or 0 for now; publish_at_ms is for later"
        errors.append(FieldError("post.published_at_ms", str(draft.published_at_ms), remedy))
    if draft.publish_at_ms and not now_ms < draft.publish_at_ms <= now_ms + MAX_AHEAD_MS:
        remedy = "give ms since 1970 within the next year, or 0"
        errors.append(FieldError("post.publish_at_ms", str(draft.publish_at_ms), remedy))
    elif draft.publish_at_ms and draft.published_at_ms:
        errors.append(FieldError("post.published_at_ms", "beside publish_at_ms", "give one of the two"))
    return errors


def _is_word(tag: str) -> bool:
    if len(tag) > MAX_HASHTAG_CHARS:
        return False
    word = _normalised(tag)
    # Vowel signs and other marks belong to words of many scripts.
    return 0 < len(word) <= MAX_HASHTAG_CHARS and all(
        char == "_" or unicodedata.category(char)[0] in "LMN" for char in word
    )
