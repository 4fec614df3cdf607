"""What keeps an ad out of a placement, whoever brings it? One table of traits that publishers block or ask for.

An ad has traits: its advertiser, its categories, its seat … A placement blocks some, and asks for one out of a list of
others. The walk of `exchange.eligibility` reads the same table in numbers, `exchange.screening` reads it in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from html import unescape

import msgspec

from exchange.refusals import Refusal
from exchange.request import NativeTerms, PageView, Placement, VideoTerms


class Kind(IntEnum):
    """What a trait is about. Where several keep an ad out, the refusal is that of the lowest number."""

    ADVERTISER = 0
    CATEGORY = 1
    SEAT = 2
    APP = 3
    ATTRIBUTE = 4
    LANGUAGE = 5
    # The ad loads something, or leads to something, without TLS.
    INSECURE = 6
    VIDEO_FORMAT = 7
    VIDEO_TERMS = 8
    NATIVE_ASSETS = 9
    # Of a banner: what its markup is made of.
    AD_TYPE = 10


REFUSAL_OF_KIND: dict[Kind, Refusal] = {
    Kind.ADVERTISER: Refusal.ADVERTISER_BLOCKED,
    Kind.CATEGORY: Refusal.CATEGORY_BLOCKED,
    Kind.SEAT: Refusal.SEAT_BLOCKED,
    Kind.APP: Refusal.APP_BLOCKED,
    Kind.ATTRIBUTE: Refusal.ATTRIBUTE_BLOCKED,
    Kind.LANGUAGE: Refusal.LANGUAGE_NOT_ALLOWED,
    Kind.INSECURE: Refusal.NOT_SECURE,
    Kind.VIDEO_FORMAT: Refusal.FORMAT_NOT_ALLOWED,
    Kind.VIDEO_TERMS: Refusal.CREATIVE_FILTERED,
    Kind.NATIVE_ASSETS: Refusal.CREATIVE_FILTERED,
    Kind.AD_TYPE: Refusal.AD_TYPE_BLOCKED,
}
# An ad that says nothing about these passes a list of what is allowed.
PASSES_UNSAID = frozenset({Kind.LANGUAGE})

# Words of IAB's first content taxonomy, whose parents can be read off: IAB1-2 is a part of IAB1.
_IAB = re.compile(r"iab\d{1,2}(-\d{1,3})*")
# Namespaces of XML are names that look like addresses; nothing is loaded from them.
_INSECURE = re.compile(r"(?<![a-z0-9+.-])http:(?!//www\.w3\.org/)[\\/]", re.IGNORECASE)

# Handlers and addresses of scripts are scripts as well.
_TAGS_OF_TYPE = (
    (3, re.compile(r"<\s*script\b|\bon[a-z]{3,20}\s*=|javascript:", re.IGNORECASE)),
    (4, re.compile(r"<\s*i?frame\b", re.IGNORECASE)),
)
_PICTURE = re.compile(r"<\s*(img|picture|svg|video|object|embed)\b|background(-image)?\s*:[^;]*url\(", re.IGNORECASE)

Word = str | int | tuple[object, ...]
Trait = tuple[Kind, Word]


class VideoForm(msgspec.Struct, frozen=True):
    """What a placement's terms ask of a video; empty, 0 and None are not known."""

    mimes: tuple[str, ...] = ()
    protocol: int = 0
    duration_s: int = 0
    skippable: bool = False


class NativeForm(msgspec.Struct, frozen=True):
    """What a native ad has to show: the lengths of its texts, the size of its image (0 × 0: not known)."""

    title_chars: int = 0
    body_chars: int = 0
    call_chars: int = 0
    has_image: bool = False
    width: int = 0
    height: int = 0
    has_icon: bool = False
    has_video: bool = False
    has_product: bool = False


def category_words(category: str) -> tuple[str, ...]:
    """A category with all that it is a part of: a blocked or allowed parent speaks for its children.

    Categories of IAB's first taxonomy are in parents; words of a shop stand for themselves.
    """
    if not _IAB.fullmatch(category):
        return (category,) if category else ()
    parts = category.split("-")
    return tuple("-".join(parts[:size]) for size in range(len(parts), 0, -1))


def advertiser_words(domain: str) -> tuple[str, ...]:
    """A domain with those that it is a part of: who blocks brand.example blocks shop.brand.example with it."""
    labels = domain.split(".")
    return tuple(".".join(labels[at:]) for at in range(max(len(labels) - 1, 1)))


def language_words(language: str) -> tuple[str, ...]:
    """A language tag and the language without its region: en-gb passes where en is asked for."""
    plain = language.partition("-")[0]
    return tuple(dict.fromkeys(word for word in (language, plain) if word))


def banner_types(markup: str) -> tuple[int, ...]:
    """OpenRTB's banner ad types of some HTML: 3 where it has a script, 4 a frame; else 2 with a picture, 1 without."""
    found = tuple(number for number, tag in _TAGS_OF_TYPE if tag.search(markup) is not None)
    return found or ((2,) if _PICTURE.search(markup) is not None else (1,))


def is_secure(markup: str) -> bool:
    """Is there no http: address in this markup, however it is escaped?"""
    return _INSECURE.search(unescape(markup) if "&" in markup else markup) is None


def traits_of(
    *,
    advertiser_domains: Iterable[str],
    seat: str,
    categories: Iterable[str] = (),
    app_bundle: str = "",
    attributes: Iterable[int] = (),
    language: str = "",
    secure: bool = True,
    video: VideoForm | None = None,
    native: NativeForm | None = None,
    types: Iterable[int] = (),
) -> tuple[Trait, ...]:
    """The traits of an ad, in the order of their kinds, each once."""
    traits: list[Trait] = [
        (Kind.ADVERTISER, word) for domain in advertiser_domains for word in advertiser_words(domain)
    ]
    traits += [(Kind.CATEGORY, word) for category in categories for word in category_words(category)]
    traits.append((Kind.SEAT, seat))
    if app_bundle:
        traits.append((Kind.APP, app_bundle))
    traits += [(Kind.ATTRIBUTE, attribute) for attribute in attributes]
    traits += [(Kind.LANGUAGE, word) for word in language_words(language)]
    if not secure:
        traits.append((Kind.INSECURE, ""))
    if video is not None:
        traits.append((Kind.VIDEO_FORMAT, (video.mimes, video.protocol)))
        traits.append((Kind.VIDEO_TERMS, (video.duration_s, video.skippable)))
    if native is not None:
        traits.append((Kind.NATIVE_ASSETS, msgspec.structs.astuple(native)))
    traits += [(Kind.AD_TYPE, type_) for type_ in types]
    return tuple(dict.fromkeys(traits))


def blocked_by(placement: Placement) -> list[Trait]:
    """The traits that a placement blocks by name."""
    blocked: list[Trait] = [(Kind.ADVERTISER, domain) for domain in placement.blocked_advertisers]
    blocked += [(Kind.CATEGORY, category) for category in placement.blocked_categories]
    blocked += [(Kind.APP, app) for app in placement.blocked_apps]
    blocked += [(Kind.ATTRIBUTE, attribute) for attribute in placement.blocked_attributes]
    blocked += [(Kind.AD_TYPE, type_) for type_ in placement.blocked_types]
    if placement.secure:
        blocked.append((Kind.INSECURE, ""))
    return blocked


def allowed_by(view: PageView) -> list[tuple[Kind, tuple[str, ...]]]:
    """The lists out of which an ad must have a trait; empty lists allow everything and are left out."""
    lists = (
        (Kind.CATEGORY, view.allowed_categories),
        (Kind.SEAT, view.allowed_seats),
        (Kind.LANGUAGE, view.allowed_languages),
    )
    return [(kind, words) for kind, words in lists if words]


def fits(trait: Trait, placement: Placement) -> bool:
    """Does the form of a video or of a native ad meet the placement's terms? Other traits have none to meet."""
    kind, word = trait
    if placement.video is not None and kind in (Kind.VIDEO_FORMAT, Kind.VIDEO_TERMS):
        assert isinstance(word, tuple)
        return _video_fits(kind, word, placement.video)
    if placement.native is not None and kind == Kind.NATIVE_ASSETS:
        assert isinstance(word, tuple)
        return native_fits(NativeForm(*word), placement.native)  # type: ignore[arg-type]  # as `traits_of` made it
    return True


def refusal_of_traits(traits: Iterable[Trait], view: PageView, placement: Placement) -> Refusal:
    """The first trait that keeps the ad out, or WON (0)."""
    traits = tuple(traits)
    blocked = set(blocked_by(placement))
    blocked.update((Kind.SEAT, seat) for seat in view.blocked_seats)
    for trait in traits:
        if trait in blocked or not fits(trait, placement):
            return REFUSAL_OF_KIND[trait[0]]
    for kind, words in allowed_by(view):
        said = [word for its_kind, word in traits if its_kind == kind]
        if not (said or kind in PASSES_UNSAID) or (said and not set(words).intersection(map(str, said))):
            return REFUSAL_OF_KIND[kind]
    return Refusal.WON


def _video_fits(kind: Kind, word: tuple[object, ...], terms: VideoTerms) -> bool:
    if kind == Kind.VIDEO_FORMAT:
        mimes, protocol = word
        assert isinstance(mimes, tuple)
        playable = not mimes or not terms.mimes or any(mime in terms.mimes for mime in mimes)
        return playable and (not protocol or not terms.protocols or protocol in terms.protocols)
    duration_s, skippable = word
    assert isinstance(duration_s, int)
    if skippable and terms.skippable == 0:
        return False
    if terms.required_durations_s:
        return duration_s in terms.required_durations_s
    if not terms.least_duration_s and not terms.most_duration_s:
        return True
    return duration_s > 0 and terms.least_duration_s <= duration_s <= (terms.most_duration_s or duration_s)


# OpenRTB Native 1.2 §7.4, §7.3: types of data and of images that a native creative can fill.
_BODY, _CALL = 2, 12
_ALWAYS_THERE = (1, 11, 13)
# Ratings, likes, downloads and prices, as the catalogue has them at the moment of the sale.
_OF_A_PRODUCT = (3, 4, 5, 6, 7)
_ICON, _LOGO = 1, 2


def native_fits(form: NativeForm, terms: NativeTerms) -> bool:
    """Can this creative fill every asset that the placement requires? Texts that are too long can be cut."""
    return all(_fills(form, asset) for asset in terms.assets if asset[3])


def _fills(form: NativeForm, asset: tuple[int, str, int, bool, int, int, int]) -> bool:
    _, kind, type_, _, _, width, height = asset
    if kind == "title":
        return form.title_chars > 0
    if kind == "img":
        if type_ in (_ICON, _LOGO):
            return form.has_icon
        known = form.width and form.height
        return form.has_image and (not known or (form.width >= width and form.height >= height))
    if kind == "video":
        return form.has_video
    if type_ in _OF_A_PRODUCT:
        return form.has_product
    lengths = {_BODY: form.body_chars, _CALL: form.call_chars}
    return type_ in _ALWAYS_THERE or lengths.get(type_, 0) > 0
