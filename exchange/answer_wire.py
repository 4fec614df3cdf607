"""How does an answer go onto the wire? As the bytes of its message, joined from what was written before.

What an ad always says is serialised once; an impression adds its id, its markup and its price. Building the same by
way of message objects takes five times as long, for every ad of every page. The numbers of fields come from the stubs.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor

from exchange.answer import Answer, PlacementAnswer
from exchange.by_identity import ByIdentity
from exchange.creatives.ad_facts import AdFacts
from protos import exchange_pb2 as pb

_TEMPLATES: Final = 100_000
_VARINT, _BYTES = 0, 2


def _varint(number: int) -> bytes:
    """Protocol Buffers' variable-length integer; `number` is not below 0."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def _tag(message: Descriptor, name: str, wire_type: int) -> bytes:
    return _varint(message.fields_by_name[name].number << 3 | wire_type)


_LENGTHS: Final = [_varint(size) for size in range(1 << 13)]

_ANSWER, _PLACEMENT, _AD = pb.Answer.DESCRIPTOR, pb.PlacementAnswer.DESCRIPTOR, pb.Ad.DESCRIPTOR
_AUCTION_ID: Final = _tag(_ANSWER, "auction_id", _BYTES)
_REQUEST_ID: Final = _tag(_ANSWER, "request_id", _BYTES)
_PLACEMENTS: Final = _tag(_ANSWER, "placements", _BYTES)
_KEPT: Final = _tag(_ANSWER, "kept", _VARINT) + b"\x01"
_PLACEMENT_ID: Final = _tag(_PLACEMENT, "placement_id", _BYTES)
_AN_AD: Final = _tag(_PLACEMENT, "ad", _BYTES)
_NO_AD_REASON: Final = _tag(_PLACEMENT, "no_ad_reason", _VARINT)
_IMPRESSION_ID: Final = _tag(_AD, "impression_id", _BYTES)
_MARKUP: Final = _tag(_AD, "markup", _BYTES)
_PRICE: Final = _tag(_AD, "price_micros", _VARINT)
_BIDDER: Final = _tag(_AD, "bidder", _BYTES)
_CURRENCY: Final = _tag(_AD, "currency", _BYTES)
_DEAL_ID: Final = _tag(_AD, "deal_id", _BYTES)
_RESULT_ANSWER: Final = _tag(pb.AuctionResult.DESCRIPTOR, "answer", _BYTES)
_RESULTS: Final = _tag(pb.AnswerBatch.DESCRIPTOR, "results", _BYTES)


class AnswerWriter:
    """Writes haat.exchange.v1.Answer, in which an ad without a currency of its own has the exchange's, `currency`."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._templates: ByIdentity[AdFacts, bytes] = ByIdentity(self._template, most=_TEMPLATES)
        # Placements and bidders go by few names.
        self._named: dict[tuple[bytes, str], bytes] = {}

    def answer(self, answer: Answer) -> bytes:
        """The message."""
        parts = [_text(_AUCTION_ID, answer.auction_id)]
        if answer.request_id:
            parts.append(_text(_REQUEST_ID, answer.request_id))
        for placement in answer.placements:
            data = self._placement(placement)
            parts += (_PLACEMENTS, _length(len(data)), data)
        if answer.kept:
            parts.append(_KEPT)
        if answer.pods:
            parts.append(
                pb.Answer(
                    pods=[
                        pb.Pod(
                            pod_id=pod.pod_id,
                            placement_ids=pod.placement_ids,
                            duration_s=pod.duration_s,
                            markup=pod.markup,
                        )
                        for pod in answer.pods
                    ]
                ).SerializeToString()
            )
        return b"".join(parts)

    def result(self, answer: Answer) -> bytes:
        """The same as an entry of an AnswerBatch's `results`, to be joined to its other fields."""
        data = self.answer(answer)
        length = _length(len(data))
        head = _RESULT_ANSWER + length
        return b"".join((_RESULTS, _length(len(head) + len(data)), head, data))

    def _placement(self, placement: PlacementAnswer) -> bytes:
        named = self._name(_PLACEMENT_ID, placement.placement_id) if placement.placement_id else b""
        ad = placement.ad
        if ad is None:
            reason = placement.no_ad_reason
            return named + _NO_AD_REASON + _varint(reason) if reason else named
        markup = ad.markup.encode()
        parts = [
            self._templates.of(ad.facts),
            _text(_IMPRESSION_ID, ad.impression_id),
            _MARKUP,
            _length(len(markup)),
            markup,
            _PRICE,
            _varint(ad.price_micros),
            self._name(_BIDDER, ad.bidder),
        ]
        if ad.currency and ad.currency != self._currency:
            # The last of two is the one that counts.
            parts.append(_text(_CURRENCY, ad.currency))
        if ad.deal_id:
            parts.append(_text(_DEAL_ID, ad.deal_id))
        data = b"".join(parts)
        return b"".join((named, _AN_AD, _length(len(data)), data))

    def _name(self, tag: bytes, name: str) -> bytes:
        known = self._named.get((tag, name))
        if known is None:
            if len(self._named) >= _TEMPLATES:
                self._named.clear()
            known = self._named[tag, name] = _text(tag, name)
        return known

    def _template(self, facts: AdFacts) -> bytes:
        template: bytes = pb.Ad(
            line_item_id=facts.line_item_id,
            creative_id=facts.creative_id,
            advertiser_id=facts.advertiser_id,
            advertiser_domain=facts.advertiser_domain,
            product_id=facts.product_id,
            format=facts.format,  # type: ignore[arg-type]  # an int of the enum's own numbers
            width=facts.width,
            height=facts.height,
            pricing_model=facts.pricing_model,  # type: ignore[arg-type]
            currency=self._currency,
            mtype=facts.mtype,
            duration_s=facts.duration_s,
        ).SerializeToString()
        return template


def _length(size: int) -> bytes:
    return _LENGTHS[size] if size < len(_LENGTHS) else _varint(size)


def _text(tag: bytes, text: str) -> bytes:
    data = text.encode()
    return b"".join((tag, _length(len(data)), data))
