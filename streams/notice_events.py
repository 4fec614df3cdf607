"""What is written to the log of notices: what became of ads, and what waits for the node that sold them?"""

from __future__ import annotations

import msgspec


class NoticeTaken(msgspec.Struct, frozen=True, gc=False):
    """What became of one ad, and what was billed; fields as in protos/events.proto."""

    kind: int
    impression_id: str
    verdict: int
    order_id: str = ""
    line_item_number: int = 0
    campaign_number: int = 0
    billed_micros: int = 0
    currency: str = ""
    bidder: str = ""
    advertiser_domain: str = ""
    carried_thousandths: int = 0
    visitor_id: str = ""
    product_id: str = ""
    creative_number: int = 0
    placement_id: str = ""
    publisher_id: str = ""
    validity: int = 0
    test: bool = False
    billing_url: str = ""
    corrects_kind: int = 0
    corrects_taken_at_ms: int = 0


class NoticesTaken(msgspec.Struct, frozen=True):
    """Topic `notices`: a batch of notices, taken or refused."""

    taken_at_ms: int
    notices: tuple[NoticeTaken, ...]


class NoticeForwarded(msgspec.Struct, frozen=True, gc=False):
    """What was said of an ad that another node sold; fields as in protos/events.proto."""

    kind: int
    impression_id: str
    order_id: str = ""
    validity: int = 0
    from_browser: bool = False
    publisher_id: str = ""


class NoticesForwarded(msgspec.Struct, frozen=True):
    """Topic `forwarded_notices`: what waits for the node with number `owner`."""

    said_at_ms: int
    owner: int
    notices: tuple[NoticeForwarded, ...]
