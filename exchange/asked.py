"""What did a session ask? All that the decision depends on, so that the same question gets the same answer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NewType

import msgspec

from exchange.request import PageView, Placement

# A question, by the digest of all that its answer depends on: the same for every process, and nobody reads the session
# out of it again.
Asked = NewType("Asked", bytes)

_DIGEST_BYTES: Final = 16
# Processes of different versions must not take one question for another.
_FORM: Final = b"2"
_ENCODER = msgspec.msgpack.Encoder()
_REMEMBERED: Final = 10_000
# Pages share their placements (exchange.shared_parts_wire). By identity; they are kept beside, so that no other object
# can take the identity over.
_PLACEMENTS: Final[dict[int, tuple[tuple[Placement, ...], bytes]]] = {}


def question_of(view: PageView) -> Asked:
    """All that may change the decision: a changed price, product, consent or placement asks anew."""
    parameters = (
        view.session_id, view.publisher_id, view.visitor_id, view.permissions, view.url, view.product_id,
        _digest_of(view.placements), view.price_rule, view.categories, view.keywords, view.country, view.device_type,
        view.language, view.segments, view.affinities, view.allowed_seats, view.blocked_seats, view.allowed_languages,
        view.allowed_categories, view.test, view.currency, view.currencies, view.page_rules,
    )  # fmt: skip
    return Asked(_digest(parameters))


def _digest_of(placements: tuple[Placement, ...]) -> bytes:
    known = _PLACEMENTS.get(id(placements))
    if known is None or known[0] is not placements:
        if len(_PLACEMENTS) >= _REMEMBERED:
            _PLACEMENTS.clear()
        known = _PLACEMENTS[id(placements)] = (placements, _digest(placements))
    return known[1]


def _digest(parameters: object) -> bytes:
    return blake2b(_ENCODER.encode(parameters), digest_size=_DIGEST_BYTES, person=_FORM).digest()
