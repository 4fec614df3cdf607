"""How does a page view come off the wire?

Every field is checked, and all that cannot be taken is named at once. What cannot be used (an unknown device type, a
word longer than any line item's) is tolerated where OpenRTB 2.6 §2.6 asks for it.

Who looks and when is read each time; all else is looked up by its bytes (exchange.shared_parts_wire).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

from common.consent import Permission
from common.errors import FieldError, InvalidInput
from exchange.context_wire import WORD_LIMIT, Remembered
from exchange.placement_wire import ID_LIMIT, Errors, too_long, too_many
from exchange.request import PageView
from exchange.shared_parts_wire import SharedPartsReader
from protos import exchange_pb2 as pb
from protos.unread_pb2 import PageViewer

_LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01
_REMEMBER: Final = int(Permission.REMEMBER)
_PERSONALISE: Final = int(Permission.PERSONALISE_ADS)
# Of what is remembered of a page view: that of several placements is longer than each of its parts.
_MOST_BYTES: Final = 4_096

_Affinities = tuple[tuple[str, float], ...]


class PageViewReader:
    """Turns `haat.exchange.v1.PageView` into our own PageView; raises InvalidInput with every field that is wrong."""

    def __init__(self, *, currency: str, tmax_ms: int, knows_currency: Callable[[str], bool] = lambda _: False) -> None:
        self._currency = currency
        self._knows_currency = knows_currency
        self._parts = Remembered(SharedPartsReader(tmax_ms).read, most_bytes=_MOST_BYTES)

    def read(self, message: pb.PageView, now_ms: int, publisher_id: str = "") -> PageView:
        """A page view of the tenant `publisher_id` from its message."""
        return self.from_bytes(message.SerializeToString(), now_ms, publisher_id)

    def from_bytes(self, data: bytes, now_ms: int, publisher_id: str = "") -> PageView:
        """A page view of the tenant `publisher_id` from its serialised form."""
        try:
            viewer = PageViewer.FromString(data)
        except DecodeError:
            raise _no_message(len(data)) from None
        errors: Errors = []
        visitor = viewer.visitor
        segments = tuple(visitor.segments)
        affinities = tuple([(affinity.product_id, affinity.weight) for affinity in visitor.affinities])
        request_id, session_id, visitor_id = viewer.request_id, viewer.session_id, visitor.visitor_id
        if len(request_id) > ID_LIMIT or len(session_id) > ID_LIMIT or len(visitor_id) > ID_LIMIT:
            too_long(errors, "request_id", request_id, ID_LIMIT)
            too_long(errors, "session_id", session_id, ID_LIMIT)
            too_long(errors, "visitor.visitor_id", visitor_id, ID_LIMIT)
        if segments or affinities:
            _check_visitor(errors, segments, affinities)
        said_ms = viewer.viewed_at_ms
        viewed_at_ms = said_ms or now_ms
        if not 0 < viewed_at_ms < _LATEST_MS:
            errors.append(FieldError("viewed_at_ms", str(viewed_at_ms), "give ms since 1970, or 0 for now"))
        hides = viewer.HasField("visitor") or bool(session_id)
        # What is left are the fields that a PageViewer does not know.
        for name in ("request_id", "visitor", "session_id", "viewed_at_ms"):
            viewer.ClearField(name)
        left = viewer.SerializeToString()
        try:
            parts = self._parts.of_bytes(left, pb.PageView.FromString, errors)
        except DecodeError:
            raise _no_message(len(data)) from None
        currency = parts.currency
        if currency == self._currency:
            currency = ""
        elif currency and not self._knows_currency(currency):
            # Asked each time: rates come and go.
            errors.append(FieldError("currency", repr(currency[:20]), self._other_currency()))
        if errors:
            raise InvalidInput(errors)
        permissions, wire = parts.permissions, data
        if permissions & _REMEMBER:
            if parts.wire is not None or ((segments or affinities) and not permissions & _PERSONALISE):
                wire = _remembered(data, permissions) + (left if parts.wire is None else parts.wire)
        elif hides or parts.wire is not None:
            # Messages joined are one message with the fields of all.
            who = PageViewer(request_id=request_id, viewed_at_ms=said_ms)
            wire = who.SerializeToString() + (left if parts.wire is None else parts.wire)
        # In the order of the fields: by their names they are read eight times as long.
        fields: tuple[Any, ...] = (
            request_id, session_id, visitor_id, segments, affinities, permissions, *parts.asked, viewed_at_ms, wire,
            publisher_id, *parts.limits, b"", (), (), currency, parts.currencies, parts.page_rules,
        )  # fmt: skip
        return PageView(*fields)

    def _other_currency(self) -> str:
        return f"this exchange sells in {self._currency} and has no rate for that: give another or none"


def _check_visitor(errors: Errors, segments: tuple[str, ...], affinities: _Affinities) -> None:
    if len(segments) > 32 or len(affinities) > 64:
        too_many(errors, "visitor.segments", len(segments), 32)
        too_many(errors, "visitor.affinities", len(affinities), 64)
    for index, word in enumerate(segments):
        if len(word) > WORD_LIMIT:
            too_long(errors, f"visitor.segments[{index}]", word, WORD_LIMIT)
    for index, (product, weight) in enumerate(affinities):
        if len(product) > ID_LIMIT:
            too_long(errors, f"visitor.affinities[{index}].product_id", product, ID_LIMIT)
        if not 0.0 <= weight < math.inf:
            errors.append(
                FieldError(f"visitor.affinities[{index}].weight", str(weight), "give a finite number from 0 on")
            )


def _remembered(data: bytes, permissions: int) -> bytes:
    """Who looks, as the log may know it who remembers the visitor: without consent to personalise by the id alone."""
    who = PageViewer.FromString(data)
    who.DiscardUnknownFields()
    if not permissions & _PERSONALISE:
        who.visitor.ClearField("segments")
        who.visitor.ClearField("affinities")
    return who.SerializeToString()


def _no_message(size: int) -> InvalidInput:
    return InvalidInput(
        [FieldError("PageView", f"{size} bytes that are no such message", "send haat.exchange.v1.PageView")]
    )
