"""What may stand in a post?"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from urllib.parse import urlsplit

from common.errors import FieldError
from feed.post import PostDraft, ProductTag

MAX_CAPTION_CHARS = 2_200
MAX_IMAGES = 10
MAX_URL_CHARS = 2_048
MAX_PRODUCT_TAGS = 20
MAX_HASHTAGS = 30
MAX_HASHTAG_CHARS = 100
MAX_ID_CHARS = 64
# Clocks of two machines differ; beyond this a post claims to be of the future.
_CLOCK_SKEW_MS = 60_000
# A list that is far too long is reported once and by its first entries, not by each of a million.
_MAX_REPORTED = 20


def check(draft: PostDraft, now_ms: int) -> list[FieldError]:
    """Every field of `draft` that cannot be taken, by its path in CreatePostRequest."""
    errors: list[FieldError] = []
    if not is_id(draft.creator_id):
        errors.append(FieldError("post.creator_id", shown(draft.creator_id), "give 1 to 64 printable characters"))
    errors += _caption_errors(draft.caption)
    errors += _image_errors(draft.image_urls)
    errors += _tag_errors(draft.product_tags)
    errors += _hashtag_errors(draft.hashtags)
    if not 0 <= draft.published_at_ms <= now_ms + _CLOCK_SKEW_MS:
        remedy = "give ms since 1970 that are not in the future, or 0 for now"
        errors.append(FieldError("post.published_at_ms", str(draft.published_at_ms), remedy))
    return errors + [
        FieldError(f"post.{name}", "given", "leave it out: the feed itself gives it") for name in draft.claimed
    ]


def is_id(text: str) -> bool:
    """Is this 1 to 64 printable characters, with no blank around them?"""
    return 0 < len(text) <= MAX_ID_CHARS and text.isprintable() and text == text.strip()


def has_control_characters(text: str, *, allowed: str = "") -> bool:
    """Does `text` hold control characters, lone surrogates or marks that turn the direction of writing around?"""
    if text.isprintable():
        return False
    return any(
        (category := unicodedata.category(char)) in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and char in _BIDI)
        for char in text
        if char not in allowed
    )


# Overrides and isolates: they let a caption show other text than it holds.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def normalised_hashtags(hashtags: Iterable[str]) -> tuple[str, ...]:
    """Hashtags as they are compared: NFKC, lower case, without `#`, each once, in their order."""
    return tuple(dict.fromkeys(_normalised(tag) for tag in hashtags))


def shown(text: str) -> str:
    """`text` as an error message may quote it: short, and without anything that is not printable."""
    return ascii(text) if len(text) <= 40 else f"{text[:40]!a}… ({len(text)} characters)"


def _normalised(tag: str) -> str:
    return unicodedata.normalize("NFKC", tag).removeprefix("#").casefold()


def _caption_errors(caption: str) -> list[FieldError]:
    if len(caption) > MAX_CAPTION_CHARS:
        return [FieldError("post.caption", f"{len(caption)} characters", f"give at most {MAX_CAPTION_CHARS}")]
    if has_control_characters(caption, allowed="\n"):
        return [FieldError("post.caption", "holds control characters", "take them out; a line break is \\n")]
    return []


def _image_errors(urls: tuple[str, ...]) -> list[FieldError]:
    errors = []
    if not urls:
        errors.append(FieldError("post.image_urls", "no picture", "give at least one"))
    if len(urls) > MAX_IMAGES:
        errors.append(FieldError("post.image_urls", f"{len(urls)} pictures", f"give at most {MAX_IMAGES}"))
    remedy = f"give an http(s) address with a host, at most {MAX_URL_CHARS} characters"
    return errors + [
        FieldError(f"post.image_urls[{at}]", shown(url), remedy)
        for at, url in enumerate(urls[:_MAX_REPORTED])
        if not is_web_address(url)
    ]


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


def _tag_errors(tags: tuple[ProductTag, ...]) -> list[FieldError]:
    errors = []
    if len(tags) > MAX_PRODUCT_TAGS:
        errors.append(FieldError("post.product_tags", f"{len(tags)} tags", f"give at most {MAX_PRODUCT_TAGS}"))
    for at, tag in enumerate(tags[:_MAX_REPORTED]):
        path = f"post.product_tags[{at}]"
        if not is_id(tag.product_id):
            errors.append(FieldError(f"{path}.product_id", shown(tag.product_id), "give the id of a product"))
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


def _is_word(tag: str) -> bool:
    if len(tag) > MAX_HASHTAG_CHARS:
        return False
    word = _normalised(tag)
    # Vowel signs and other marks belong to words of many scripts.
    return 0 < len(word) <= MAX_HASHTAG_CHARS and all(
        char == "_" or unicodedata.category(char)[0] in "LMN" for char in word
    )
