"""Which words name a group of people, in a neutral way? Before features are made, each becomes one and the same sign.

So no classifier can learn to treat one group worse than another: "I am a deaf woman" and "I am a Dutch man" look alike
to it. Slurs are not here: they are no neutral words, and the classifiers keep seeing them. The lists are of our own
making, in English, and not complete; the fairness report measures terms that are missing here on purpose.
"""

from __future__ import annotations

import re
from typing import Final

SIGN: Final = "\ue002"

# Stems, of which plurals are made below; "|" is a blank.
TERMS: Final[dict[str, str]] = {
    "sexuality": (
        "gay lesbian bisexual homosexual heterosexual straight|people asexual pansexual queer lgbt lgbtq lgbtqia"
    ),
    "gender": (
        "transgender trans trans|woman trans|man trans|women trans|men transsexual nonbinary non-binary intersex "
        "cisgender woman women man men girl boy female male lady ladies feminist"
    ),
    "religion": (
        "muslim jew jewish christian hindu buddhist sikh jain catholic protestant orthodox evangelical mormon atheist "
        "islamic islam judaism christianity hinduism buddhism quaker bahai amish jehovah's|witness"
    ),
    "origin": (
        "black white brown asian african african|american arab arabic latino latina latinx hispanic mexican indian "
        "pakistani bangladeshi chinese japanese korean vietnamese filipino turkish turk kurdish kurd iranian persian "
        "iraqi syrian afghan lebanese egyptian moroccan algerian nigerian kenyan somali ethiopian ghanaian russian "
        "ukrainian polish pole romanian bulgarian serb serbian albanian greek italian spanish french german dutch "
        "british irish scottish swedish norwegian danish finnish american canadian brazilian colombian venezuelan "
        "cuban puerto|rican haitian jamaican european israeli palestinian native|american indigenous aboriginal maori "
        "caucasian roma romani traveller immigrant migrant refugee foreigner asylum|seeker"
    ),
    "disability": (
        "disabled deaf blind autistic paralysed wheelchair|user dyslexic epileptic bipolar schizophrenic "
        "hard|of|hearing neurodivergent amputee"
    ),
    "age": "old|people elderly senior pensioner young|people teenager teenage millennial boomer",
    "body": "fat thin short|people tall|people overweight obese skinny bald",
    "class": "poor homeless unemployed working-class rural|people farmer",
}


def _forms() -> list[str]:
    stems = [term.replace("|", " ") for terms in TERMS.values() for term in terms.split()]
    forms = {form for stem in stems for form in (stem, stem + "s", stem + "es" if stem.endswith("s") else stem)}
    # The longest first, so that "african american" is one term and not two.
    return sorted(forms, key=lambda form: (-len(form), form))


KNOWN: Final[frozenset[str]] = frozenset(_forms())
_PATTERN: Final = re.compile(r"(?<![\w'])(?:" + "|".join(map(re.escape, _forms())) + r")(?![\w])")


def neutralised(text: str) -> str:
    """The normalised text with SIGN for each term; several in a row are one."""
    return _RUN.sub(SIGN, _PATTERN.sub(SIGN, text))


_RUN: Final = re.compile(rf"{SIGN}(?:[\s-]+{SIGN})+")
