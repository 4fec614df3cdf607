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


class Page(msgspec.Struct, frozen=True):
    """The posts of one page, best first. `chain` is where it stands, `next_chain` None when nothing is left.

    `fingerprint` names what the page was made from: the request and the session's revision. `replayed` pages were
    served before.
    """

    page_id: str
    picks: tuple[Pick, ...]
    chain: Chain
    next_chain: Chain | None
    fingerprint: int = 0
    replayed: bool = False
