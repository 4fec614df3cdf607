"""May this be shown? Text, links, pictures and pace together come to one verdict; nothing here waits for anything.

The only things that change are the counters of velocity. Without classifiers everything is held: what nobody checked
reaches its author alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from common.clock import Clock
from feed.moderation import features, links, policy, text
from feed.moderation.check_ports import HashedPicture, Reputations
from feed.moderation.classifiers import TextClassifiers
from feed.moderation.followed_links import FollowedLinks
from feed.moderation.image_hash import read_stored
from feed.moderation.pictures import KnownPictures, Picture
from feed.moderation.text import NormalisedText
from feed.moderation.training_data import asks_for_contact
from feed.moderation.velocity import Act, Exceeded, Velocity
from feed.post import Post
from feed.verdict import Finding, Label, Outcome, Verdict

RULES_VERSION: Final = 1
_MOST_FIELDS: Final = 50
_SURE: Final = 0.5
_MENTION: Final = re.compile(r"(?<!\w)@\w")
# Hidden characters are a trick when there are some and they are many for the text.
_LEAST_HIDDEN, _HIDDEN_SHARE = 4, 0.1


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote it, and how far they are trusted, 0 to 1."""

    tenant_id: str
    person_id: str
    reputation: float


@dataclass(frozen=True, slots=True)
class NoClassifiers:
    """Why there are none: the sentence that each verdict carries until there are."""

    because: str


class Checker:
    """Checks posts, comments and profiles of all tenants; may be called from several threads."""

    def __init__(
        self,
        *,
        classifiers: TextClassifiers | NoClassifiers,
        pictures: KnownPictures,
        velocity: Velocity,
        reputations: Reputations,
        clock: Clock,
        link_rules: links.LinkRules = links.DEFAULT_RULES,
        followed: FollowedLinks | None = None,
    ) -> None:
        self._followed = followed
        self._classifiers = classifiers
        self._pictures = pictures
        self._velocity = velocity
        self._reputations = reputations
        self._clock = clock
        self._link_rules = link_rules

    def check(self, post: Post, pictures: Sequence[HashedPicture] = (), *, again: bool = False) -> Verdict:
        """The verdict on a post, which counts as one of its creator's unless it is checked `again`; pictures without a
        hash are not compared.
        """
        author = self.author(post.tenant_id, post.creator_id)
        # An edit is no post of its own.
        too_many = [] if post.verdict is not None else self._too_many(author)
        fields = {"caption": post.caption, "hashtags": " ".join(post.hashtags), "partner": post.partner}
        fields |= {f"media[{at}].alt_text": medium.alt_text for at, medium in enumerate(post.media)}
        fields = {name: said for name, said in fields.items() if said}
        hashed = [
            Picture(one.where, one.media_id, read_stored(one.picture_hash)) for one in pictures if one.picture_hash
        ]
        act = None if again else Act.POST
        waits = (post.tenant_id, post.post_id)
        return self.check_text(fields, author=author, act=act, pictures=hashed, found=too_many, waits=waits)

    def author(self, tenant_id: str, person_id: str) -> Author:
        """A person with what is known of their reputation."""
        return Author(tenant_id, person_id, self._reputations.of(tenant_id, person_id))

    def check_text(
        self,
        fields: Mapping[str, str],
        given_links: Sequence[str] = (),
        *,
        author: Author,
        act: Act | None,
        pictures: Sequence[Picture] = (),
        resolved: Mapping[str, links.Resolution] | None = None,
        found: Sequence[Finding] = (),
        waits: tuple[str, str] | None = None,
    ) -> Verdict:
        """The verdict on some fields of text by name, links beside them and pictures; never raises.

        `act` counts for velocity; None checks again what was counted before. `resolved` says where links are known to
        lead; a short link that is not among them is held for a person. `found` was found before;
        the post that `waits`, (tenant, id), is to be checked again when links of it are followed.
        """
        read = _read(fields)
        found_links = _links(read, given_links)
        if self._followed is not None:
            resolved = {**self._followed.known(found_links), **(resolved or {})}
            if waits is not None:
                self._followed.want(found_links, resolved, waits)
        findings = [
            *found,
            *_of_form(read),
            *_of_links(found_links, self._link_rules, resolved),
            *self._of_pictures(author, pictures),
            *self._of_velocity(read, found_links, author, act),
        ]
        if isinstance(self._classifiers, NoClassifiers):
            risk = max(_SURE, policy.risk_of(_chances(findings)))
            outcome = max(Outcome.HELD, policy.outcome_of(findings))
            return Verdict(outcome, risk, tuple(findings), self._classifiers.because)
        suspected, chances = _of_words(self._classifiers, read)
        findings += suspected
        for label, chance in _chances(findings).items():
            chances[label] = max(chances.get(label, 0.0), chance)
        version = f"text {self._classifiers.version}, rules {RULES_VERSION}"
        return Verdict(policy.outcome_of(findings), policy.risk_of(chances), tuple(findings), version)

    def _of_pictures(self, author: Author, pictures: Sequence[Picture]) -> Iterable[Finding]:
        for picture in pictures:
            if finding := self._pictures.finding(author.tenant_id, author.person_id, picture):
                yield finding

    def _too_many(self, author: Author) -> list[Finding]:
        allowed = self._reputations.posts_a_day(author.tenant_id, author.person_id)
        now_ms = self._clock.now_ms()
        return [_too_fast(one) for one in self._velocity.take_post(author.tenant_id, author.person_id, allowed, now_ms)]

    def _of_velocity(
        self, read: Mapping[str, NormalisedText], found_links: Sequence[str], author: Author, act: Act | None
    ) -> Iterable[Finding]:
        if act is None:
            return
        now_ms = self._clock.now_ms()
        mentions = sum(len(_MENTION.findall(one.plain.text)) for one in read.values())
        acts = {act: 1, Act.LINK: len(found_links), Act.MENTION: mentions}
        exceeded = [
            *self._velocity.take(author.tenant_id, author.person_id, acts, author.reputation, now_ms),
            *self._velocity.take_text(
                author.tenant_id, "\n".join(one.folded.text for one in read.values()).strip(), now_ms
            ),
        ]
        yield from map(_too_fast, exceeded)


def _read(fields: Mapping[str, str]) -> dict[str, NormalisedText]:
    """Every field normalised, as far as the characters for all of them go; beyond _MOST_FIELDS they are one."""
    names = list(fields)
    texts = {name: fields[name] for name in names[:_MOST_FIELDS] if fields[name]}
    if rest := "\n".join(fields[name][: text.MOST_CHARACTERS] for name in names[_MOST_FIELDS : 2 * _MOST_FIELDS]):
        texts["other fields"] = rest
    left = text.MOST_CHARACTERS
    read = {}
    for name, words in texts.items():
        read[name] = text.normalise(words, left)
        left -= len(read[name].original)
    return read


def _links(read: Mapping[str, NormalisedText], given: Sequence[str]) -> list[str]:
    found = dict.fromkeys(given[: links.MOST_LINKS + 1])
    for one in read.values():
        found.update(dict.fromkeys(links.extract(text.spelled(one.original))))
    return list(found)


def _of_form(read: Mapping[str, NormalisedText]) -> Iterable[Finding]:
    """What a text is before it says anything: too long to be read, or made to be read differently than it looks."""
    for name, one in read.items():
        if one.length > len(one.original):
            said = f"{one.length} characters, of which {len(one.original)} were read"
            yield Finding(Label.SPAM, 0.9, _SURE, name, said)
        if one.hidden >= max(_LEAST_HIDDEN, _HIDDEN_SHARE * len(one.original)):
            yield Finding(Label.SPAM, 0.7, _SURE, name, f"{one.hidden} characters that nobody sees")
        if one.turned:
            yield Finding(Label.SPAM, 0.7, _SURE, name, "characters that turn the direction of reading round")


def _of_links(
    found: Sequence[str], rules: links.LinkRules, resolved: Mapping[str, links.Resolution] | None
) -> Iterable[Finding]:
    return (finding for _, finding in links.check(found, rules, resolved))


def _of_words(
    classifiers: TextClassifiers, read: Mapping[str, NormalisedText]
) -> tuple[list[Finding], dict[Label, float]]:
    """What the classifiers find in each field, and in all of them together: a sentence may be cut in two."""
    findings: dict[Label, Finding] = {}
    most: dict[Label, float] = {}
    shaped = {name: features.shaped(one.folded.text) for name, one in read.items()}
    contacts = {name: asks_for_contact(one.plain.text) for name, one in read.items()}
    for name, words in [*shaped.items(), *([("", " ".join(shaped.values()))] if len(shaped) > 1 else [])]:
        contact = contacts[name] if name else any(contacts.values())
        for label, chance, threshold in zip(
            classifiers.labels, classifiers.of_shaped(words).tolist(), classifiers.thresholds, strict=True
        ):
            if label == Label.SCAM_LINK and not contact:
                continue
            most[label] = max(most.get(label, 0.0), chance)
            if chance >= threshold and (label not in findings or (name and findings[label].probability < chance)):
                where, evidence = (name, classifiers.evidence(read[name], label)) if name else _anywhere(read)
                findings[label] = Finding(label, chance, threshold, where, evidence)
    return list(findings.values()), most


def _anywhere(read: Mapping[str, NormalisedText]) -> tuple[str, str]:
    return ", ".join(read)[:80], "the fields read as one text"


def _too_fast(exceeded: Exceeded) -> Finding:
    said = f"more than {exceeded.allowed:.0f} {exceeded.act} in {exceeded.per_s // 60} minutes"
    chance = min(0.99, 0.5 + 0.1 * exceeded.fullness)
    return Finding(Label.VELOCITY, chance, _SURE, "pace", said)


def _chances(findings: Iterable[Finding]) -> dict[Label, float]:
    chances: dict[Label, float] = {}
    for finding in findings:
        chances[finding.label] = max(chances.get(finding.label, 0.0), finding.probability)
    return chances
