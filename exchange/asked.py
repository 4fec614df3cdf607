"""What did a session ask? All that the decision depends on, so that the same question gets the same answer."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from exchange.request import PageView

# Processes of different versions must not take one question for another.
_FORM: Final = b"1"
_DIGEST_BYTES: Final = 16
_ENCODER = msgspec.msgpack.Encoder()


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a session asked: all that its answer depends on, and the hash of it, which is taken once.

    The hash holds within this process; `digest` names the question for every process.
    """

    parameters: tuple[object, ...]
    key: int

    def digest(self) -> bytes:
        """16 bytes of a hash over the parameters, out of which nobody reads the session again."""
        return blake2b(_ENCODER.encode(self.parameters), digest_size=_DIGEST_BYTES, person=_FORM).digest()


def question_of(view: PageView) -> Asked:
    """All that may change the decision: a changed price, product, consent or placement asks anew."""
    parameters = (
        view.session_id, view.publisher_id, view.visitor_id, view.permissions, view.url, view.product_id,
        view.placements, view.price_rule, view.categories, view.keywords, view.country, view.device_type, view.language,
        view.segments, view.affinities, view.allowed_seats, view.blocked_seats, view.allowed_languages,
        view.allowed_categories, view.test, view.currency, view.currencies, view.page_rules,
    )  # fmt: skip
    return Asked(parameters, hash(parameters))
