"""Why can something be limited or removed, and on what ground? The table of reasons that decisions are given with.

Article 17 of the Digital Services Act (Regulation (EU) 2022/2065) asks for the legal ground where something is taken to
be illegal (3 d), and for the contractual ground where it breaks the terms (3 e), each with an explanation.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from feed.verdict import Label


class Ground(StrEnum):
    """What a decision rests on."""

    LAW = "law"
    TERMS = "terms"
    # Nothing is wrong.
    NONE = "none"


class Reason(msgspec.Struct, frozen=True):
    """One line of the table: `rule` is the law or the paragraph of the terms, `explanation` why it applies."""

    code: str
    ground: Ground
    rule: str
    explanation: str


def _table(*reasons: Reason) -> dict[str, Reason]:
    return {reason.code: reason for reason in reasons}


REASONS = _table(
    Reason("illegal_hate", Ground.LAW, "the law against public incitement to hatred",
           "it incites hatred or violence against people for what they are"),
    Reason("illegal_fraud", Ground.LAW, "the law against fraud",
           "it leads people to pay or to give away data under false pretences"),
    Reason("illegal_product", Ground.LAW, "the law on products that may not be sold",
           "it offers a product that may not be sold"),
    Reason("illegal_infringement", Ground.LAW, "the law on copyright and trade marks",
           "it uses a work or a mark without its owner's leave"),
    Reason("illegal_privacy", Ground.LAW, "the law on the protection of personal data",
           "it shows data of a person who did not agree to it"),
    Reason("terms_hate", Ground.TERMS, "the terms: respect for people",
           "it degrades people for what they are"),
    Reason("terms_offensive", Ground.TERMS, "the terms: respect for people",
           "it insults or harasses somebody"),
    Reason("terms_spam", Ground.TERMS, "the terms: no spam",
           "it repeats or advertises in a way that nobody asked for"),
    Reason("terms_scam_link", Ground.TERMS, "the terms: safe links",
           "it links to an address that pretends to be another or is known for fraud"),
    Reason("terms_clickbait", Ground.TERMS, "the terms: honest posts",
           "it promises what it does not show"),
    Reason("terms_undisclosed_ad", Ground.TERMS, "the terms: advertising is named",
           "it advertises without saying so"),
    Reason("terms_adult", Ground.TERMS, "the terms: nothing for adults only",
           "it shows what is for adults only"),
    Reason("terms_copied", Ground.TERMS, "the terms: your own pictures",
           "it uses a picture that somebody else posted before"),
    Reason("terms_banned_image", Ground.TERMS, "the terms: pictures that may not be shown",
           "it shows a picture that was banned before"),
    Reason("terms_velocity", Ground.TERMS, "the terms: how much may be posted",
           "more was posted than a new account may post in so short a time"),
    Reason("terms_reported", Ground.TERMS, "the terms: reports are looked at",
           "several people whose reports were right before reported it, and nobody has looked at it yet"),
    Reason("no_violation", Ground.NONE, "", "nothing is wrong with it"),
    Reason("context_allows", Ground.NONE, "", "read in its context, nothing is wrong with it"),
    Reason("mended", Ground.NONE, "", "its author has mended what was wrong"),
)  # fmt: skip

# What a finding of the checker is called where no person has looked yet.
REASON_OF_LABEL: dict[Label, str] = {
    Label.HATE: "terms_hate",
    Label.OFFENSIVE: "terms_offensive",
    Label.SPAM: "terms_spam",
    Label.SCAM_LINK: "terms_scam_link",
    Label.CLICKBAIT: "terms_clickbait",
    Label.BANNED_IMAGE: "terms_banned_image",
    Label.COPIED_IMAGE: "terms_copied",
    Label.VELOCITY: "terms_velocity",
    Label.REPORTED: "terms_reported",
}
