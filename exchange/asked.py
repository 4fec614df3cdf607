"""What did a session ask? All that the decision depends on, so that the same question gets the same answer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NewType

import msgspec

from exchange.by_identity import ByIdentity
from exchange.request import PageView, Placement

# A question, by the digest of all that its answer depends on: the same for every process, and nobody reads the session
# out of it again.
Asked = NewType("Asked", bytes)

_DIGEST_BYTES: Final = 16
# Processes of different versions must not take one question for another.
_FORM: Final = b"2"
_ENCODER = msgspec.msgpack.Encoder()


def question_of(view: PageView) -> Asked:
    """All that may change the decision: a changed price, product, consent or placement asks anew."""
    parameters = (
        view.session_id, view.publisher_id, view.visitor_id, view.permissions, view.url, view.product_id,
        _PLACEMENTS.of(view.placements), view.price_rule, view.categories, view.keywords, view.country,
        view.device_type, view.language, view.segments, view.affinities, view.allowed_seats, view.blocked_seats,
        view.allowed_languages, view.allowed_categories, view.test, view.currency, view.currencies, view.page_rules,
    )  # fmt: skip
    return Asked(_digest(parameters))


def _digest(parameters: object) -> bytes:
    return blake2b(_ENCODER.encode(parameters), digest_size=_DIGEST_BYTES, person=_FORM).digest()


# Pages share their placements (exchange.shared_parts_wire).
_PLACEMENTS: Final[ByIdentity[tuple[Placement, ...], bytes]] = ByIdentity(_digest)
