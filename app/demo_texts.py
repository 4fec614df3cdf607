"""What do the demo's creators write? Sentences of our own, put together by chance; and what may not stay."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

_FIRST_NAMES = (
    "Ada", "Amal", "Bruno", "Chidi", "Dina", "Elif", "Emil", "Farah", "Goran", "Hana", "Ines", "Ivo", "Jana", "Kofi",
    "Lena", "Luca", "Mara", "Mateo", "Nadia", "Noor", "Olga", "Pavel", "Rana", "Rosa", "Sami", "Tomas", "Uma", "Vera",
    "Wanda", "Yusuf",
)  # fmt: skip
_PURSUITS = ("stitches", "walks", "wardrobe", "cycles", "thrifts", "packs light", "layers", "mends", "travels", "draws")
_OPENINGS = (
    "I wore the {thing} to the {place} on {day} and it did well.",
    "{day} at the {place}, in the {thing}.",
    "The {thing} came with me to the {place} this week.",
    "After a month with the {thing} I can say that the {part} holds up.",
    "We walked to the {place} early, so the {thing} was the right choice.",
    "My sister borrowed the {thing} for the {place} and has not given it back.",
    "A quiet {day}: coffee, a book, and the {thing}.",
    "Trying the {thing} with what I already had in the cupboard.",
    "The {part} of the {thing} is better in daylight than on the hanger.",
    "Packed the {thing} for two days near the {place}.",
    "It rained at the {place} on {day}, and the {thing} stayed dry inside.",
    "Second season with the {thing}; the {part} has softened nicely.",
)
_MIDDLES = (
    "The {colour} goes with most of what I own.",
    "I sized up and had room for a jumper underneath.",
    "The {part} sits a little lower than in the picture.",
    "It needed one wash before it felt like mine.",
    "I would iron it next time.",
    "The pockets are deep enough for a phone and keys.",
    "The fabric is heavier than I expected, in a good way.",
    "I mended a loose thread at the {part} in five minutes.",
    "It looks calm with {colour} shoes.",
    "The {part} is stitched twice, which I like.",
    "Next to it is what I carried.",
    "It creases when I sit, and I do not mind.",
)
_ENDINGS = (
    "Measurements are in the comments for whoever asks.",
    "Next week I will try it with boots.",
    "What do you wear when the weather cannot decide?",
    "I marked where each piece is on the picture.",
    "Both are still in my cupboard a year later.",
    "Thanks to the neighbour who took the photo.",
    "More of this walk on Sunday.",
    "I will wear it again on {day}.",
    "",
    "",
)
_PLACES = (
    "market", "harbour", "office", "library", "botanical garden", "ferry", "old town", "climbing hall", "gallery",
    "allotment", "river path", "station", "school fair", "bakery", "lake", "open-air cinema",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PARTS = ("collar", "hem", "lining", "strap", "cuff", "seam", "buckle", "sleeve", "waistband", "sole", "stitching")
_COLOURS = ("amber", "bone", "clay", "fern", "ink", "moss", "rose", "slate", "teal")
_HASHTAGS = (
    "outfit", "slowfashion", "capsule", "mended", "rainyday", "weekend", "officewear", "travellight", "layers",
    "secondseason", "colourstudy", "daylight",
)  # fmt: skip
_SEEN = (
    "{thing}, laid out on a wooden table", "a person in {thing}, seen from the side, at the {place}",
    "{thing} on a hanger before a plain wall", "close view of the {part} of {thing}",
)  # fmt: skip

# What may not stay: written for this, mild on purpose, and of every kind that the check knows.
_BAD = {
    "spam": (
        "FREE FREE FREE!!! Win a voucher now, click now, subscribe and check out my channel http://win.example/{n}",
        "Earn 500 a day from home, no work, text WIN to 80{n} now!!! Limited offer, call now to claim your prize",
        "check out my channel please subscribe subscribe subscribe, free gift cards for the first {n} people",
    ),
    "scam_link": (
        "Your account will be closed. Verify your password now at http://paypa1-secure-login.example/{n}",
        "You have won! Claim your prize of {n} EUR: confirm your card at http://xn--pypal-4ve.com/claim/{n}",
        "Urgent: your parcel is on hold, pay the fee at http://amaz0n-parcel.example/{n} and enter your bank details",
    ),
    "hate": (
        "People from over there are all vermin and should be thrown out of the {place}, number {n} on my list",
        "Those foreigners are filth and do not belong here, send them all away, says number {n}",
        "I hate these people, they are all animals and should not be allowed in the {place} ({n})",
    ),
    "clickbait": (
        "You won't believe what happened when she wore the {thing} ({n})",
        "{n} shocking reasons why everybody is throwing away the {thing}, number 7 will blow your mind",
        "What this {thing} did next will leave you speechless {n}",
    ),
}  # fmt: skip
BAD_KINDS: Sequence[str] = tuple(_BAD)


class Written(NamedTuple):
    """A caption with its hashtags, and what is to be seen for who does not see it."""

    caption: str
    hashtags: tuple[str, ...]
    alt_text: str


def name_of(number: int) -> tuple[str, str]:
    """The display name and the handle of a creator, another one for each number."""
    first, pursuit = _FIRST_NAMES[number % len(_FIRST_NAMES)], _PURSUITS[number // 7 % len(_PURSUITS)]
    return f"{first} {pursuit}", f"{first.lower()}_{pursuit.replace(' ', '_')}_{number}"


def written(thing: str, category: str, chance: Random) -> Written:
    """What somebody writes of a thing, named as in "striped skirt in moss"."""
    facts = _facts(thing, chance)
    caption = " ".join(
        sentence.format(**facts)
        for sentence in (
            chance.choice(_OPENINGS),
            *chance.sample(_MIDDLES, chance.randrange(1, 3)),
            chance.choice(_ENDINGS),
        )
        if sentence
    )
    own = category.replace(" ", "_").replace("&", "and").lower()
    hashtags = dict.fromkeys((*([own] if own else []), *chance.sample(_HASHTAGS, chance.randrange(1, 3))))
    return Written(caption, tuple(hashtags), chance.choice(_SEEN).format(**facts))


def written_badly(kind: str, thing: str, number: int, chance: Random) -> Written:
    """What the check should find: `kind` is one of BAD_KINDS."""
    text = chance.choice(_BAD[kind]).format(**_facts(thing, chance), n=100 + number)
    return Written(text, (chance.choice(_HASHTAGS),), "")


def _facts(thing: str, chance: Random) -> dict[str, str]:
    return {
        "thing": thing,
        "place": chance.choice(_PLACES),
        "day": chance.choice(_DAYS),
        "part": chance.choice(_PARTS),
        "colour": chance.choice(_COLOURS),
    }
