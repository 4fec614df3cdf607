"""Can this creative be taken? What each format needs, what it cannot have, and which words and addresses are good."""

from __future__ import annotations

import re

import msgspec

from common.errors import FieldError
from exchange.campaign_text import checked_text, checked_url
from exchange.campaign_values import Creative, ReviewState
from exchange.landing_pages import CLICK_ID
from exchange.ports import MediaFile
from exchange.request import Format

MAX_PIXELS = 10_000
MAX_DURATION_S = 3_600
MAX_MEDIA_FILES = 10
MAX_BITRATE_KBPS = 200_000
MAX_ATTRIBUTES = 32
VIDEO_MIMES = (
    *("video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/3gpp"),
    *("application/x-mpegurl", "application/dash+xml"),
)
# AdCOM 1.0, List: Creative Subtypes - Audio/Video, those that we write: VAST 4.0, 4.1 and 4.2, each InLine.
VAST_PROTOCOLS = (7, 11, 13)
# AdCOM 1.0, List: Creative Attributes; from 500 on they are a vendor's own.
_ATTRIBUTES = (*range(1, 19), *range(500, 1_000))
SKIPPABLE_ATTRIBUTE = 16

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_SITE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_APP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NO_VIDEO = {"mime": "", "protocol": 0, "skippable": False, "media_files": ()}

Errors = list[FieldError]


def checked_creative(draft: Creative, errors: Errors) -> Creative:
    """A creative as it will be stored, waiting for its review; adds to `errors` what cannot be taken."""
    field = "creative"
    if not draft.advertiser_id:
        errors.append(FieldError(f"{field}.advertiser_id", "is empty", "name the one this belongs to"))
    if draft.format not in list(Format):
        remedy = "choose banner, product listing, video or native"
        errors.append(FieldError(f"{field}.format", f"is {draft.format}", remedy))
    video = draft.format == Format.VIDEO
    # A native ad may bring a film for placements that show one among its assets.
    filmed = video or (draft.format == Format.NATIVE and bool(draft.video_url.strip()))
    _check_size(field, draft, filmed, errors)
    _within(f"{field}.duration_s", draft.duration_s, 1 if filmed else 0, MAX_DURATION_S, "seconds", errors)
    draft = _checked_video(field, draft, errors) if filmed else _without_video(field, draft, errors)
    title = checked_text(f"{field}.title", draft.title, 200, errors)
    if draft.format == Format.NATIVE and not title:
        errors.append(FieldError(f"{field}.title", "is empty", "a native ad has a title: give 1 to 200 characters"))
    language = draft.language.strip().lower()
    if language and not _LANGUAGE.fullmatch(language):
        remedy = "give a BCP 47 tag, as in bn or en-gb, or leave it empty"
        errors.append(FieldError(f"{field}.language", f"is {language[:60]!r}", remedy))
    app_bundle = draft.app_bundle.strip()
    if app_bundle and not _APP.fullmatch(app_bundle):
        remedy = "give the id of the app in its store, as in com.example.shop"
        errors.append(FieldError(f"{field}.app_bundle", f"is {app_bundle[:60]!r}", remedy))
    return msgspec.structs.replace(
        draft,
        title=title,
        body=checked_text(f"{field}.body", draft.body, 500, errors),
        call_to_action=checked_text(f"{field}.call_to_action", draft.call_to_action, 40, errors),
        image_url=checked_url(f"{field}.image_url", draft.image_url, errors, required=False),
        icon_url=checked_url(f"{field}.icon_url", draft.icon_url, errors, required=False),
        landing_url=_checked_landing(f"{field}.landing_url", draft.landing_url, errors),
        video_url=checked_url(f"{field}.video_url", draft.video_url, errors, required=video),
        product_id=checked_text(f"{field}.product_id", draft.product_id, 100, errors),
        category=checked_text(f"{field}.category", draft.category, 100, errors).lower(),
        attributes=_checked_attributes(f"{field}.attributes", draft, errors),
        language=language,
        app_bundle=app_bundle,
    )


def changed_creative(current: Creative, wanted: Creative) -> Creative | None:
    """The creative with what is wanted of it, to be reviewed again; None when nothing would change.

    All that an advertiser can say of a creative is shown, or is what publishers block it by, so every change is
    reviewed. Its advertiser and its format stay.
    """
    changed = msgspec.structs.replace(
        wanted,
        advertiser_id=current.advertiser_id,
        format=current.format,
        review_state=current.review_state,
        creative_id=current.creative_id,
        revision=current.revision,
        number=current.number,
    )
    if changed == current:
        return None
    return msgspec.structs.replace(changed, review_state=ReviewState.PENDING, revision=current.revision + 1)


def _checked_landing(field: str, url: str, errors: Errors) -> str:
    """A landing page. Behind its host it may hold the macro of the click's id, with the braces that no address has."""
    url = url.strip()
    site = _SITE.match(url)
    begins = site.end() if site else 0
    checked_url(field, url[:begins] + url[begins:].replace(CLICK_ID, "CLICK_ID"), errors, required=True)
    return url


def _check_size(field: str, draft: Creative, filmed: bool, errors: Errors) -> None:
    sides = (("width", draft.width), ("height", draft.height))
    if draft.format == Format.PRODUCT_LISTING:
        for name, pixels in sides:
            if pixels:
                errors.append(
                    FieldError(f"{field}.{name}", f"is {pixels}", "leave it 0: a product listing has no size")
                )
    elif draft.format in list(Format):
        # The size of a native ad is its image's; without one, placements that ask for a least size pass it by.
        needed = filmed or draft.format != Format.NATIVE or draft.width or draft.height
        for name, pixels in sides:
            _within(f"{field}.{name}", pixels, 1 if needed else 0, MAX_PIXELS, "pixels", errors)


def _checked_video(field: str, draft: Creative, errors: Errors) -> Creative:
    mime = _checked_mime(f"{field}.mime", draft.mime or VIDEO_MIMES[0], errors)
    protocol = draft.protocol or VAST_PROTOCOLS[-1]
    if protocol not in VAST_PROTOCOLS:
        remedy = "give 7 (VAST 4.0), 11 (4.1) or 13 (4.2), or leave it 0 for 4.2"
        errors.append(FieldError(f"{field}.protocol", f"is {protocol}", remedy))
    files = draft.media_files
    if len(files) > MAX_MEDIA_FILES:
        errors.append(FieldError(f"{field}.media_files", f"has {len(files)} values", f"give at most {MAX_MEDIA_FILES}"))
        files = ()
    checked = tuple(_checked_file(f"{field}.media_files[{at}]", file, errors) for at, file in enumerate(files))
    return msgspec.structs.replace(draft, mime=mime, protocol=protocol, media_files=checked)


def _checked_file(field: str, file: MediaFile, errors: Errors) -> MediaFile:
    _within(f"{field}.width", file.width, 1, MAX_PIXELS, "pixels", errors)
    _within(f"{field}.height", file.height, 1, MAX_PIXELS, "pixels", errors)
    _within(f"{field}.bitrate_kbps", file.bitrate_kbps, 0, MAX_BITRATE_KBPS, "kbit/s", errors)
    url = checked_url(f"{field}.url", file.url, errors, required=True)
    return msgspec.structs.replace(file, url=url, mime=_checked_mime(f"{field}.mime", file.mime, errors))


def _checked_mime(field: str, mime: str, errors: Errors) -> str:
    mime = mime.strip().lower()
    if mime not in VIDEO_MIMES:
        errors.append(FieldError(field, f"is {mime[:60]!r}", f"choose one of {', '.join(VIDEO_MIMES)}"))
    return mime


def _without_video(field: str, draft: Creative, errors: Errors) -> Creative:
    for name, nothing in _NO_VIDEO.items():
        if draft.format in list(Format) and getattr(draft, name) != nothing:
            errors.append(
                FieldError(f"{field}.{name}", "is set", "leave it out: only a video, or a native ad with one, has it")
            )
    return draft


def _checked_attributes(field: str, draft: Creative, errors: Errors) -> tuple[int, ...]:
    if len(draft.attributes) > MAX_ATTRIBUTES:
        errors.append(FieldError(field, f"has {len(draft.attributes)} values", f"give at most {MAX_ATTRIBUTES}"))
        return ()
    for at, attribute in enumerate(draft.attributes):
        if attribute not in _ATTRIBUTES:
            remedy = "give numbers of AdCOM's list of creative attributes: 1 to 18, or a vendor's own from 500 to 999"
            errors.append(FieldError(f"{field}[{at}]", f"is {attribute}", remedy))
    attributes = set(draft.attributes)
    if draft.mime:
        # Publishers block by attributes, so that one says of a video what `skippable` says.
        attributes = attributes - {SKIPPABLE_ATTRIBUTE} | ({SKIPPABLE_ATTRIBUTE} if draft.skippable else set())
    return tuple(sorted(attributes))


def _within(field: str, number: int, least: int, most: int, unit: str, errors: Errors) -> None:
    if not least <= number <= most:
        errors.append(FieldError(field, f"is {number}", f"give {least} to {most} {unit}"))
