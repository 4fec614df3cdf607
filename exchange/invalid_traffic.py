"""Was there a person? What a notice from a browser is marked with before it is counted and billed.

Pure: `verdict` sees the event and what is known around it, in the order of MRC's Invalid Traffic Guidelines: first what
can be told from the event alone (general invalid traffic), then what only others tell (repetition, rates, order in
time). Marked notices are recorded with their code, and neither counted nor billed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

from exchange.billing import Kind


class Validity(IntEnum):
    """Why a notice does not count; 0 when it does. Numbers of NoticeTaken.validity."""

    VALID = 0
    BOT_AGENT = 1
    DATA_CENTRE = 2
    PREFETCHED = 3
    RATE_LIMITED = 4
    CLICK_BEFORE_IMPRESSION = 5
    CLICK_TOO_FAST = 6
    REPEATED_CLICK = 7
    COPIED_ID = 8
    CLICKS_TOO_OFTEN = 9
    # Found out later, and taken back by a correction.
    FOUND_LATER = 20
    BILLED_TOO_LATE = 21


MEANINGS: dict[Validity, str] = {
    Validity.VALID: "it counts",
    Validity.BOT_AGENT: "its user agent is that of a bot or a spider, or there is none",
    Validity.DATA_CENTRE: "it came from a data centre, where no people are",
    Validity.PREFETCHED: "a browser fetched it in advance, and nobody saw it yet",
    Validity.RATE_LIMITED: "more came from its network than people could do",
    Validity.CLICK_BEFORE_IMPRESSION: "the ad was clicked before it was shown",
    Validity.CLICK_TOO_FAST: "the ad was clicked sooner after it was shown than a person could",
    Validity.REPEATED_CLICK: "the same browser and network clicked the same line item again and again",
    Validity.COPIED_ID: "the impression came from another network than the one that it was shown to",
    Validity.CLICKS_TOO_OFTEN: "its network clicks a far larger part of what it is shown than people do",
    Validity.FOUND_LATER: "it was found to be invalid after it was billed, and was taken back",
    Validity.BILLED_TOO_LATE: "its node was away for so long that its budgets were given to others; nothing is billed",
}


class TrafficEvent(msgspec.Struct, frozen=True, gc=False):
    """One notice from a browser: what it is, when it came, and what it said of itself.

    `agent` is its user agent; `prefetch` is whether it said that it fetches in advance.
    """

    kind: int
    at_ms: int
    agent: str
    in_data_centre: bool = False
    prefetch: bool = False


class Around(msgspec.Struct, frozen=True, gc=False):
    """What is known around an event. `seen_at_ms` 0: the ad was not shown yet.

    `of_network` counts the notices of its network within a minute, `clicks_on_item` the clicks of its network and agent
    on its line item within ten minutes, both without this one. `shown_elsewhere`: another network said it was shown.
    `network_shown` and `network_clicked` count what its network was shown and clicked within six hours.
    """

    seen_at_ms: int = 0
    of_network: int = 0
    clicks_on_item: int = 0
    shown_elsewhere: bool = False
    network_shown: int = 0
    network_clicked: int = 0
    # Another node sold the ad: whether and when it was shown, that one looks at.
    sold_elsewhere: bool = False


class Limits(msgspec.Struct, frozen=True):
    """Where people end. `network_per_minute` is for a whole /24 or /48, which may be an office behind one address.

    A network that has clicked `network_clicks` times, and more than `click_share` of what it was shown, is no people's.
    """

    network_per_minute: int = 600
    clicks_on_item: int = 3
    click_after_ms: int = 100
    network_clicks: int = 4
    click_share: float = 0.3


class Agents:
    """Which user agents are no people's: our own short list, and more words from a file."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        words = [line.partition("#")[0].strip() for line in more]
        self._pattern = re.compile("|".join([_BOTS, *(re.escape(word) for word in words if word)]), re.IGNORECASE)

    def is_bot(self, agent: str) -> bool:
        """Is it none, or that of a program? A browser's own begins with Mozilla/ or Opera/, and so do many bots'."""
        return not agent.strip() or self._pattern.search(agent[:512]) is not None


def verdict(event: TrafficEvent, around: Around, agents: Agents, limits: Limits = Limits()) -> Validity:  # noqa: B008
    """The first rule that the event breaks, or VALID."""
    if agents.is_bot(event.agent):
        return Validity.BOT_AGENT
    if event.in_data_centre:
        return Validity.DATA_CENTRE
    if event.prefetch:
        return Validity.PREFETCHED
    if around.of_network >= limits.network_per_minute:
        return Validity.RATE_LIMITED
    if around.shown_elsewhere:
        return Validity.COPIED_ID
    if event.kind == Kind.CLICK and not around.sold_elsewhere:
        if not around.seen_at_ms:
            return Validity.CLICK_BEFORE_IMPRESSION
        if event.at_ms - around.seen_at_ms < limits.click_after_ms:
            return Validity.CLICK_TOO_FAST
        if around.clicks_on_item >= limits.clicks_on_item:
            return Validity.REPEATED_CLICK
        # Where fewer were shown than clicked, pages do not say here what they show: there is no share to judge by.
        clicked, shown = around.network_clicked, around.network_shown
        if limits.network_clicks <= clicked <= shown and clicked > limits.click_share * shown:
            return Validity.CLICKS_TOO_OFTEN
    return Validity.VALID


# Words of programs that say what they are. Whole words where a shorter one hides in a browser's or a maker's name
# (Cubot makes telephones).
_BOTS: Final = (
    r"(?<!cu)bot\b|(?<!cu)bot[/;)\-_ ]|spider|crawl|slurp|scrap(?:er|y)|fetcher|archiver|headless|phantomjs|puppeteer"
    r"|playwright|selenium|webdriver|lighthouse|pingdom|uptime|monitor(?:ing)?\b|preview|validator|facebookexternalhit"
    r"|mediapartners-google|adsbot|bingpreview|^curl|^wget|libwww|python-|python/|aiohttp|httpx|go-http-client|java/"
    r"|okhttp/|apache-httpclient|axios|node-fetch|undici|^ruby|^perl|^php|guzzle|postman|insomnia|httpie|^\W*$"
)
