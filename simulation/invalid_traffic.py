"""Who says that an ad was seen and clicked? People of several habits, and planted traffic of which each kind is known.

Made up, and a guess in every number: how people share networks, how soon they click, what those do who are no people.
Every kind of planted traffic has the same number of notices, so that none hides behind another in the sum. What is
judged is not this file but exchange/invalid_traffic.py and its memory, the very code that serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Final, NamedTuple

import numpy as np

from exchange.billing import Kind

HOUR_MS: Final = 3_600_000
LINE_ITEMS: Final = 200
# Of data centres as they are known: what `data_centres_file` would list. One in five is too new to be in it.
LISTED: Final = ("45.0.0.0/12",)

_SYSTEMS: Final = (
    "Windows NT 10.0; Win64; x64",
    "Linux; Android 14; K",
    "X11; Linux x86_64",
    "Macintosh; Intel Mac OS X",
)
_BROWSERS: Final = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 {rest}Safari/537.36"
    for system in _SYSTEMS
    for version in range(128, 138)
    for rest in ("", "Mobile ")
)
_CRAWLERS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
)
_TOOLS: Final = (
    "python-requests/2.32.3",
    "curl/8.9.1",
    "Go-http-client/2.0",
    "",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/136.0.0.0 Safari/537.36",
)


class Said(NamedTuple):
    """One notice: when, by whom (the kind that it was planted as, or a group of people), of which ad, from where."""

    at_ms: int
    who: str
    ad: int
    line_item: int
    kind: int
    address: IPv4Address
    agent: str
    prefetch: bool = False


class Traffic:
    """Notices of some hours, in order of time; the same seed makes the same."""

    def __init__(self, *, seed: int, hours: float, people: int, invalid_share: float) -> None:
        """`people` are page views of people, three ads each; of all notices `invalid_share` are planted."""
        self._rng = np.random.default_rng(seed)
        self._hours = hours
        self._ads = 0
        said: list[Said] = []
        for who, share in PEOPLE.items():
            for _ in range(round(people * share)):
                said += self._person(who)
        each = round(len(said) * invalid_share / (1.0 - invalid_share) / len(PLANTED))
        for make in PLANTED.values():
            planted: list[Said] = []
            while len(planted) < each:
                planted += make(self)
            said += planted[:each]
        said.sort(key=lambda one: one.at_ms)
        self.said = said

    def _person(self, who: str) -> Iterator[Said]:
        rng = self._rng
        at_ms, address, agent = self._moment(), self._home(who), self._agent(who)
        for _ in range(3):
            ad, item = self._ad()
            shown = at_ms + int(rng.integers(0, 1500))
            yield Said(shown, who, ad, item, Kind.IMPRESSION, address, agent)
            if rng.random() < 0.6:
                yield Said(shown + 1100, who, ad, item, Kind.VIEWABLE, address, agent)
            if rng.random() < 0.012:
                # Eight seconds at the median; a few hit what appears under their finger.
                wait = rng.integers(20, 400) if rng.random() < 0.01 else rng.lognormal(np.log(8000), 1.1)
                for again in range(2 if rng.random() < 0.1 else 1):
                    yield Said(shown + int(wait) + again * 350, who, ad, item, Kind.CLICK, address, agent)

    def _moment(self) -> int:
        return int(self._rng.uniform(0, self._hours * HOUR_MS)) + 40 * 24 * HOUR_MS

    def _ad(self, line_item: int = -1) -> tuple[int, int]:
        self._ads += 1
        return self._ads, int(self._rng.integers(LINE_ITEMS)) if line_item < 0 else line_item

    def _home(self, who: str) -> IPv4Address:
        rng = self._rng
        if who == "people behind a carrier":
            # Thousands behind a handful of addresses.
            return IPv4Address(0x0B000000 + int(rng.integers(4)) * 256 + int(rng.integers(8)))
        if who == "people in offices":
            return IPv4Address(0x0C000000 + int(rng.integers(30)) * 256 + 1)
        return self._residential()

    def _residential(self) -> IPv4Address:
        return IPv4Address(0x50000000 + int(self._rng.integers(20_000)) * 256 + int(self._rng.integers(256)))

    def _agent(self, who: str) -> str:
        # An office buys its machines and its browser at once.
        return _BROWSERS[0 if who == "people in offices" else int(self._rng.integers(len(_BROWSERS)))]

    def _machine(
        self,
        who: str,
        address: IPv4Address,
        agent: str,
        *,
        ads: int = 3,
        clicks: float = 0.3,
        line_item: int = -1,
        after_ms: tuple[int, int] = (1_000, 6_000),
        viewable: bool = True,
        prefetch: bool = False,
    ) -> Iterator[Said]:
        """What most machines do: show, say that it was in view, click a part."""
        rng, at_ms = self._rng, self._moment()
        for _ in range(ads):
            ad, item = self._ad(line_item)
            yield Said(at_ms, who, ad, item, Kind.IMPRESSION, address, agent, prefetch)
            if viewable:
                yield Said(at_ms + 1050, who, ad, item, Kind.VIEWABLE, address, agent, prefetch)
            if rng.random() < clicks:
                wait = int(rng.integers(*after_ms))
                yield Said(at_ms + wait, who, ad, item, Kind.CLICK, address, agent, prefetch)

    def crawlers(self) -> Iterator[Said]:
        """They say who they are."""
        agent = _CRAWLERS[int(self._rng.integers(len(_CRAWLERS)))]
        return self._machine("crawlers", self._residential(), agent, clicks=0.05)

    def tools(self) -> Iterator[Said]:
        """Scripts and headless browsers, as they come."""
        return self._machine("scripts and tools", self._residential(), _TOOLS[int(self._rng.integers(len(_TOOLS)))])

    def data_centres(self) -> Iterator[Said]:
        """Browsers by their agents, in data centres, of which one in five is in no list yet."""
        rng = self._rng
        base = 0x2D000000 if rng.random() < 0.8 else 0x2F000000
        address = IPv4Address(base + int(rng.integers(4_000)) * 256 + int(rng.integers(256)))
        return self._machine("data centres", address, self._agent(""))

    def prefetched(self) -> Iterator[Said]:
        """A browser of somebody fetched the page in advance, and said so; nobody saw it."""
        return self._machine("prefetched pages", self._residential(), self._agent(""), clicks=0.0, prefetch=True)

    def fast_clicks(self) -> Iterator[Said]:
        """Scripts in homes' browsers that click as the ad appears."""
        return self._machine(
            "clicks without a pause", self._residential(), self._agent(""), clicks=1.0, after_ms=(1, 80), viewable=False
        )

    def unseen_clicks(self) -> Iterator[Said]:
        """Clicks on ads that were never shown: stuffed into a page as addresses alone."""
        address, agent, at_ms = self._residential(), self._agent(""), self._moment()
        for _ in range(4):
            ad, item = self._ad()
            yield Said(at_ms, "clicks on what was not shown", ad, item, Kind.CLICK, address, agent)

    def copied(self) -> Iterator[Said]:
        """Ads that somebody was shown, said to be in view and clicked from elsewhere."""
        ad, item = self._ad()
        at_ms, agent = self._moment(), self._agent("")
        # The one who was shown it is a person, and is not counted with this kind.
        yield Said(at_ms, "", ad, item, Kind.IMPRESSION, self._residential(), agent)
        for _ in range(4):
            kind = Kind.CLICK if self._rng.random() < 0.5 else Kind.VIEWABLE
            later = at_ms + int(self._rng.integers(2_000, 20_000))
            yield Said(later, "copied ids", ad, item, kind, self._residential(), self._agent(""))

    def repeated(self) -> Iterator[Said]:
        """One machine that clicks a rival's ads, one after the other."""
        target, address, agent = int(self._rng.integers(5)), IPv4Address(0x51000000 + 7), _BROWSERS[3]
        return self._machine("clicks on one rival", address, agent, ads=4, clicks=0.9, line_item=target)

    def farm(self) -> Iterator[Said]:
        """Telephones on a few networks, each with its own browser, set on a few line items, with people's pauses."""
        rng = self._rng
        address = IPv4Address(0x52000000 + int(rng.integers(4)) * 256 + int(rng.integers(25)))
        agent = _BROWSERS[20 + int(rng.integers(12))]
        target = int(rng.integers(3))
        return self._machine("click farm", address, agent, clicks=0.6, line_item=target, after_ms=(2_000, 12_000))

    def stuffed(self) -> Iterator[Said]:
        """Ads of one pixel, a dozen in a page that a person has open: shown, and never in view."""
        return self._machine(
            "ads that nobody can see", self._residential(), self._agent(""), ads=12, clicks=0.0, viewable=False
        )

    def slow_network(self) -> Iterator[Said]:
        """Infected machines in many homes that do as people do, only more often."""
        return self._machine(
            "slow network of bots", self._residential(), self._agent(""), clicks=0.06, after_ms=(2_000, 30_000)
        )


PEOPLE: Final = {"people at home": 0.7, "people behind a carrier": 0.2, "people in offices": 0.1}
PLANTED: Final[dict[str, Callable[[Traffic], Iterator[Said]]]] = {
    "crawlers": Traffic.crawlers,
    "scripts and tools": Traffic.tools,
    "data centres": Traffic.data_centres,
    "prefetched pages": Traffic.prefetched,
    "clicks without a pause": Traffic.fast_clicks,
    "clicks on what was not shown": Traffic.unseen_clicks,
    "copied ids": Traffic.copied,
    "clicks on one rival": Traffic.repeated,
    "click farm": Traffic.farm,
    "ads that nobody can see": Traffic.stuffed,
    "slow network of bots": Traffic.slow_network,
}
