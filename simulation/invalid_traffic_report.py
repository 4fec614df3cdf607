"""How much of what no person did is caught, and how much of what people did is lost? From a seed to a report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import sqrt
from typing import Final

import msgspec
import numpy as np

from exchange.billing import Decision, Kind, Known, Notice, Verdict, decide
from exchange.holds import Hold, Terms
from exchange.invalid_traffic import Agents, Limits, TrafficEvent, Validity, verdict
from exchange.networks import Networks
from exchange.request import PricingModel
from exchange.traffic_memory import TrafficMemory
from simulation.chart import line_chart
from simulation.invalid_traffic import LINE_ITEMS, LISTED, PEOPLE, PLANTED, Said, Traffic

SHARES: Final = (0.05, 0.15, 0.30)
_PRICE_MICROS: Final = 300_000
_WANTED_CAUGHT, _WANTED_LOST = 0.95, 0.01


class Group(msgspec.Struct, frozen=True):
    """What became of notices of one kind: `marked` as invalid, `repeated` (known, and so worth nothing), `counted`.

    `clicks` are how many of them were clicks, `clicks_rate` is of those alone, `clicks_billed` counts what cost. `rate`
    is the share that was not counted (planted) or was marked (people), with its 95 % interval (Wilson 1927).
    """

    who: str
    notices: int
    marked: int
    repeated: int
    counted: int
    clicks: int
    clicks_rate: float
    clicks_billed: int
    rate: float
    low: float
    high: float
    why: str


class Mix(msgspec.Struct, frozen=True):
    """One run: the share of planted notices, and all groups; `caught` and `lost` over all of either."""

    invalid_share: float
    planted: list[Group]
    people: list[Group]
    caught: Group
    lost: Group
    caught_clicks: Group
    lost_clicks: Group


class InvalidTrafficReport(msgspec.Struct, frozen=True):
    """Conditions and runs."""

    seed: int
    hours: float
    page_views: int
    mixes: list[Mix]


def simulate(*, seed: int, page_views: int, hours: float = 2.0) -> tuple[InvalidTrafficReport, str]:
    """The report, and an SVG of what is caught by share of planted traffic."""
    mixes = [judge(Traffic(seed=seed, hours=hours, people=page_views, invalid_share=share), share) for share in SHARES]
    report = InvalidTrafficReport(seed, hours, page_views, mixes)
    lines = {
        "caught": np.array([mix.caught.rate for mix in mixes]),
        "caught, clicks": np.array([mix.caught_clicks.rate for mix in mixes]),
        "lost": np.array([mix.lost.rate for mix in mixes]),
    }
    return report, line_chart(
        "Caught of what was planted, lost of people's", lines, top=1.0, across="5 to 30 % planted"
    )


def judge(traffic: Traffic, share: float) -> Mix:
    """Let everything be said to the code that serves, in order of time, and count what it made of it by who said it."""
    heard = _hear(traffic.said)
    planted = [_group(who, heard[who], people=False) for who in PLANTED]
    people = [_group(who, heard[who], people=True) for who in PEOPLE]

    def over(names: Sequence[str], *, of_people: bool, clicks: bool = False) -> Group:
        every = [said for name in names for said in heard[name] if not clicks or said[0] == Kind.CLICK]
        return _group("people" if of_people else "planted", every, people=of_people)

    return Mix(
        share,
        planted,
        people,
        caught=over(tuple(PLANTED), of_people=False),
        lost=over(tuple(PEOPLE), of_people=True),
        caught_clicks=over(tuple(PLANTED), of_people=False, clicks=True),
        lost_clicks=over(tuple(PEOPLE), of_people=True, clicks=True),
    )


# (kind, verdict, why invalid, micros billed)
_Heard = tuple[int, Verdict, Validity, int]


def _hear(said: Sequence[Said]) -> dict[str, list[_Heard]]:
    memory, agents, listed, limits = TrafficMemory(), Agents(), Networks(LISTED), Limits()
    ads: dict[str, Hold] = {}
    carried: dict[int | str, int] = {}
    invalid: set[tuple[str, int]] = set()
    heard: defaultdict[str, list[_Heard]] = defaultdict(list)
    terms = Terms(unseen_ms=1 << 40, seen_ms=1 << 40)
    for one in said:
        impression_id = f"{one.ad:032x}.0"
        hold = ads.get(impression_id) or _an_ad(impression_id, one)
        ads[impression_id] = hold
        event = TrafficEvent(one.kind, one.at_ms, one.agent, one.address in listed, one.prefetch)
        found = verdict(event, memory.around(one.kind, hold, one.address, one.agent, one.at_ms), agents, limits)
        if found == Validity.VALID and one.kind == Kind.IMPRESSION:
            memory.shown(impression_id, one.address, one.at_ms)
        if one.kind == Kind.CLICK and found in (Validity.VALID, Validity.CLICKS_TOO_OFTEN):
            memory.clicked(one.address, one.at_ms)
        known = Known(ads.get, terms, carried, lambda _: 1 << 50, invalid)
        decision: Decision = decide(
            [Notice(one.kind, impression_id, validity=found)], known, now_ms=one.at_ms, taken_at_ms=one.at_ms
        )
        ads.update(decision.holds)
        invalid |= decision.invalid
        (outcome,) = decision.outcomes
        heard[one.who].append((one.kind, outcome.verdict, found, outcome.billed_micros))
    return heard


def _an_ad(impression_id: str, one: Said) -> Hold:
    return Hold(
        impression_id, one.at_ms, one.line_item + 1, 1, 1, LINE_ITEMS + 2, PricingModel.CPC, _PRICE_MICROS, 0, "EUR",
        "", "", "brand_campaign", "",
    )  # fmt: skip


def _group(who: str, heard: Sequence[_Heard], *, people: bool) -> Group:
    marked = sum(verdict_ == Verdict.INVALID for _, verdict_, _, _ in heard)
    repeated = sum(verdict_ == Verdict.DUPLICATE for _, verdict_, _, _ in heard)
    counted = len(heard) - marked - repeated
    # What people say twice counts once, as it should; planted traffic that is known already is worth nothing either.
    hits, of = (marked, marked + counted) if people else (marked + repeated, len(heard))
    why = Counter(found for _, verdict_, found, _ in heard if verdict_ == Verdict.INVALID)
    rate, low, high = _wilson(hits, of)
    clicks = [verdict_ for kind, verdict_, _, _ in heard if kind == Kind.CLICK]
    first = [verdict_ for verdict_ in clicks if verdict_ != Verdict.DUPLICATE] if people else clicks
    gone = (Verdict.INVALID,) if people else (Verdict.INVALID, Verdict.DUPLICATE)
    return Group(
        who,
        len(heard),
        marked,
        repeated,
        counted,
        len(clicks),
        sum(verdict_ in gone for verdict_ in first) / max(len(first), 1),
        sum(kind == Kind.CLICK and billed > 0 for kind, _, _, billed in heard),
        rate,
        low,
        high,
        ", ".join(found.name.lower().replace("_", " ") for found, _ in why.most_common(3)),
    )


def _wilson(hits: int, of: int) -> tuple[float, float, float]:
    if not of:
        return 0.0, 0.0, 1.0
    z, share = 1.96, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return share, max(middle - half, 0.0), min(middle + half, 1.0)


def text(report: InvalidTrafficReport) -> str:
    """The report as Markdown."""
    lines = [
        "# Invalid traffic, simulated",
        "",
        f"Written by `haat simulate invalid-traffic --seed {report.seed} --page-views {report.page_views}`. "
        f"{report.page_views:,} page views of people in {report.hours:g} hours, three ads each, of which 1.2 % are "
        "clicked; among them planted traffic whose every notice is known for what it is, the same number of notices of "
        "each kind. Everything is said, in order of time, to `exchange/invalid_traffic.py`, its memory and "
        "`exchange/billing.py`, the very code that serves, with its usual limits; ads cost by the click.",
        "",
        "*Caught*: the share of planted notices that did not count, marked or known already, with the 95 % interval. "
        "*Lost*: the share of people's notices that were marked; what they say twice counts once and is not lost.",
        "",
        "## All of it",
        "",
        "| planted, of all notices | caught | caught, clicks | lost | lost, clicks |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {mix.invalid_share:.0%} | {_rate(mix.caught)} | {_rate(mix.caught_clicks)} | {_rate(mix.lost)} | "
        f"{_rate(mix.lost_clicks)} |"
        for mix in report.mixes
    ]
    for mix in report.mixes:
        lines += ["", f"## {mix.invalid_share:.0%} planted"]
        for heading, verb, groups in (("planted", "caught", mix.planted), ("people", "lost", mix.people)):
            lines += [
                "",
                f"| {heading} | notices | {verb} | clicks | {verb}, clicks | clicks billed | marked as |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [
                f"| {group.who} | {group.notices:,} | {_rate(group)} | {group.clicks:,} | {_of_clicks(group)} | "
                f"{group.clicks_billed:,} | {group.why or '–'} |"
                for group in groups
            ]
    worst = report.mixes[-1]
    clicking = [group for group in worst.planted if group.clicks]
    met = [group.who for group in clicking if group.clicks_rate >= _WANTED_CAUGHT]
    missed = [group.who for group in clicking if group.clicks_rate < _WANTED_CAUGHT]
    kept = max(worst.lost.rate, worst.lost_clicks.rate) <= _WANTED_LOST
    lines += [
        "",
        "## Against the aim",
        "",
        "The aim is 95 % of invalid clicks caught at no more than 1 % of people's lost. "
        f"At {worst.invalid_share:.0%} planted, {worst.caught_clicks.rate:.1%} are caught; people lose "
        f"{worst.lost.rate:.2%} of their notices and {worst.lost_clicks.rate:.2%} of their clicks: that part is "
        f"{'kept' if kept else 'not kept'}. Kinds whose clicks are caught at 95 % and more: {', '.join(met) or 'none'}."
        f" Below: {', '.join(missed) or 'none'}.",
        "",
        "![Caught and lost by share of planted traffic](invalid-traffic.svg)",
        "",
        "What looks like people one notice at a time, and comes from networks that do too, cannot be told here. What "
        "is found out later, by whatever means, is taken back by a correction (`TakeBack`), which refunds it. Ads that "
        "nobody can see are never in view: line items under vCPM do not pay for them. How people and machines behave "
        "is guessed; the rates by kind mean more than the sums.",
    ]
    return "\n".join(lines) + "\n"


def _of_clicks(group: Group) -> str:
    return f"{group.clicks_rate:.1%}" if group.clicks else "–"


def _rate(group: Group) -> str:
    return f"{group.rate:.1%} [{group.low:.1%}–{group.high:.1%}]"
