"""What is on a page of the feed, and why?"""

from __future__ import annotations

import msgspec

from feed.cursor import Chain


class Pick(msgspec.Struct, frozen=True):
    """A post on a page. `row` is its row on the tenant's shelf; `propensity` is the chance it had to be here, to 1.

    `why` begins with the source; the strongest reasons follow.
    """

    post_id: str
    row: int
    score: float
    source: str
    propensity: float
    why: tuple[str, ...]


class Alternative(msgspec.Struct, frozen=True):
    """A post that `place` of the page (from 0) was drawn out of beside the one that stands there, all alike likely."""

    place: int
    post_id: str
    features: tuple[float, ...]


class PageRecord(msgspec.Struct, frozen=True):
    """What training and evaluation need beyond the page itself: the features of each post, row by row.

    Empty where consent does not cover personalising content: then nothing is learned from the page.
    """

    features: tuple[float, ...] = ()
    features_version: str = ""
    alternatives: tuple[Alternative, ...] = ()


class Page(msgspec.Struct, frozen=True):
    """The posts of one page, best first. `chain` is where it stands, `next_chain` None when nothing is left.

    `fingerprint` names what the page was made from: the request and the session's revision. `replayed` pages were
    served before. `ranker` says which ranking decided; `record` is None once the page was told to the event log.
    """

    page_id: str
    picks: tuple[Pick, ...]
    chain: Chain
    next_chain: Chain | None
    fingerprint: int = 0
    replayed: bool = False
    ranker: str = ""
    record: PageRecord | None = None
