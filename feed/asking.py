"""What may stand in a request for a page or in a list of actions, and what of it does consent leave?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from common.consent import Permission, decide
from common.errors import FieldError
from feed.actions import OF_PRODUCTS, ActionKind
from feed.post_rules import MAX_URL_CHARS, has_control_characters, is_id, shown
from feed.verdict import Label

MAX_ID_CHARS = 64
MAX_PAGE_SIZE = 50
DEFAULT_PAGE_SIZE = 12
MAX_AD_SLOTS = 8
MAX_EXCLUDED = 1_000
MAX_ACTIONS = 100
MAX_SEGMENTS = 32
MAX_AFFINITIES = 64
MAX_CATEGORIES = 32
MAX_KEYWORDS = 64
MAX_WORD_CHARS = 100
_MAX_CODE_CHARS = 35


class AskedVisitor(msgspec.Struct, frozen=True):
    """Who looks, as far as consent allows; `affinities` are (product id, weight of 0 and more)."""

    permissions: Permission = Permission.NONE
    child_directed: bool = False
    visitor_id: str = ""
    segments: tuple[str, ...] = ()
    affinities: tuple[tuple[str, float], ...] = ()


def visitor_of(
    granted: Sequence[int],
    *,
    global_privacy_control: bool,
    child_directed: bool,
    visitor_id: str,
    segments: Sequence[str],
    affinities: Sequence[tuple[str, float]],
) -> AskedVisitor:
    """What consent leaves of a visitor: the id where it covers remembering, the rest where it covers personalising."""
    permissions = decide(granted, global_privacy_control=global_privacy_control, child_directed=child_directed)
    personalise = bool(permissions & (Permission.PERSONALISE_CONTENT | Permission.PERSONALISE_ADS))
    return AskedVisitor(
        permissions=permissions,
        child_directed=child_directed,
        visitor_id=visitor_id if Permission.REMEMBER in permissions else "",
        segments=tuple(segments) if personalise else (),
        affinities=tuple(affinities) if personalise else (),
    )


def visitor_errors(
    visitor_id: str, segments: Sequence[str], affinities: Sequence[tuple[str, float]]
) -> list[FieldError]:
    """Fields of `visitor` that cannot be taken. Values of personal data are never quoted."""
    errors = []
    if len(visitor_id) > MAX_ID_CHARS or not visitor_id.isprintable():
        remedy = f"give at most {MAX_ID_CHARS} printable characters"
        errors.append(FieldError("visitor.visitor_id", f"{len(visitor_id)} characters", remedy))
    errors += _too_many("visitor.segments", segments, MAX_SEGMENTS)
    errors += [
        FieldError(f"visitor.segments[{at}]", f"{len(one)} characters", "give name=value, at most 100 characters")
        for at, one in enumerate(segments[:MAX_SEGMENTS])
        if not (0 < len(one) <= MAX_WORD_CHARS and one.isprintable())
    ]
    errors += _too_many("visitor.affinities", affinities, MAX_AFFINITIES)
    for at, (product_id, weight) in enumerate(affinities[:MAX_AFFINITIES]):
        if not is_id(product_id):
            remedy = f"give a product id of 1 to {MAX_ID_CHARS} printable characters"
            errors.append(FieldError(f"visitor.affinities[{at}].product_id", f"{len(product_id)} characters", remedy))
        if not (math.isfinite(weight) and 0 <= weight <= 1e6):
            errors.append(FieldError(f"visitor.affinities[{at}].weight", str(weight), "give a number from 0 to 1e6"))
    return errors


def session_errors(session_id: str) -> list[FieldError]:
    """Is there a session id that can be taken?"""
    if is_id(session_id):
        return []
    return [FieldError("session_id", shown(session_id), f"give 1 to {MAX_ID_CHARS} printable characters")]


def page_errors(url: str, categories: Sequence[str], keywords: Sequence[str], product_id: str) -> list[FieldError]:
    """Fields of `page` that cannot be taken."""
    errors = []
    if len(url) > MAX_URL_CHARS or has_control_characters(url):
        errors.append(FieldError("page.url", f"{len(url)} characters", f"give at most {MAX_URL_CHARS} printable ones"))
    for name, words, limit in (("categories", categories, MAX_CATEGORIES), ("keywords", keywords, MAX_KEYWORDS)):
        errors += _too_many(f"page.{name}", words, limit)
        errors += [
            FieldError(f"page.{name}[{at}]", shown(word), f"give 1 to {MAX_WORD_CHARS} printable characters")
            for at, word in enumerate(words[:limit])
            if not (0 < len(word) <= MAX_WORD_CHARS and word.isprintable())
        ]
    if product_id and not is_id(product_id):
        errors.append(FieldError("page.product_id", shown(product_id), f"give at most {MAX_ID_CHARS} characters"))
    return errors


def device_errors(country: str, region: str, language: str) -> list[FieldError]:
    """Fields of `device` that cannot be taken."""
    remedy = f"give a code of at most {_MAX_CODE_CHARS} printable characters"
    return [
        FieldError(f"device.{name}", shown(code), remedy)
        for name, code in (("country", country), ("region", region), ("language", language))
        if len(code) > _MAX_CODE_CHARS or not code.isprintable()
    ]


def size_errors(page_size: int, ad_slots: int, excluded: Sequence[str]) -> list[FieldError]:
    """Numbers of posts, ads and excluded posts that cannot be taken."""
    errors = []
    if page_size > MAX_PAGE_SIZE:
        remedy = f"give 1 to {MAX_PAGE_SIZE}, or 0 for {DEFAULT_PAGE_SIZE}"
        errors.append(FieldError("page_size", str(page_size), remedy))
    if ad_slots > MAX_AD_SLOTS:
        errors.append(FieldError("ad_slots", str(ad_slots), f"give 0 to {MAX_AD_SLOTS}"))
    errors += _too_many("exclude_post_ids", excluded, MAX_EXCLUDED)
    return errors + [
        FieldError(f"exclude_post_ids[{at}]", shown(post_id), "give the id of a post")
        for at, post_id in enumerate(excluded[:MAX_EXCLUDED])
        if not is_id(post_id)
    ]


def action_errors(actions: Sequence[tuple[int, str, str, str]]) -> list[FieldError]:
    """Fields of (kind, subject id, action id, detail) that cannot be taken."""
    errors = _too_many("actions", actions, MAX_ACTIONS)
    if not actions:
        errors.append(FieldError("actions", "no action", f"give 1 to {MAX_ACTIONS}"))
    for at, (kind, subject_id, action_id, detail) in enumerate(actions[:MAX_ACTIONS]):
        if kind not in _KINDS:
            errors.append(FieldError(f"actions[{at}].kind", str(kind), "give a KIND_ that is named, such as KIND_LIKE"))
        if not is_id(subject_id):
            errors.append(FieldError(f"actions[{at}].subject_id", shown(subject_id), "give a post or a creator"))
        if not is_id(action_id):
            remedy = f"give 1 to {MAX_ID_CHARS} printable characters, fresh for each action"
            errors.append(FieldError(f"actions[{at}].action_id", shown(action_id), remedy))
        if detail and (remedy := _wrong_detail(kind, detail)):
            errors.append(FieldError(f"actions[{at}].detail", shown(detail), remedy))
    return errors


_KINDS = frozenset(ActionKind)
# What a person may say of a post; the other labels are what machines find.
REPORT_LABELS = tuple(label.value for label in Label if label not in (Label.VELOCITY, Label.REPORTED))


def _wrong_detail(kind: int, detail: str) -> str:
    """What to give instead, empty when the detail goes with the kind."""
    if kind == ActionKind.REPORT:
        return "" if detail in REPORT_LABELS else f"give one of {', '.join(REPORT_LABELS)}"
    if kind in OF_PRODUCTS:
        return "" if is_id(detail) else "give the id of a product"
    return "leave it out: only reports, purchases and returns have one"


def _too_many(field: str, values: Sequence[object], limit: int) -> list[FieldError]:
    return [FieldError(field, f"{len(values)} entries", f"give at most {limit}")] if len(values) > limit else []
