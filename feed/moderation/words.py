"""Which words are coarse in most mouths? One feature among many: what they mean here is for the classifiers to say.

The list does two things. It lets normalisation recognise what was disguised ("b1tch", "f*ck"), which a guess without a
list would do to harmless words too; and the number of listed words is a feature, whose weight is learned from English
and is all that reaches the other languages here, for which there is no licensed data. No listed word blocks anything.
Slurs against groups are not listed: the classifiers know them from their training data.
"""

from __future__ import annotations

import unicodedata
from typing import Final


def plain_word(word: str) -> str:
    """A word as normalisation leaves it: without accents."""
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", word.casefold()) if unicodedata.category(part) != "Mn"
    )
    return unicodedata.normalize("NFC", bare)


_BY_LANGUAGE: Final[dict[str, str]] = {
    "en": (
        "arse arsehole ass asses asshole assholes bastard bastards bitch bitches bitching bollocks bullshit "
        "clusterfuck cock cocks cocksucker crap cunt cunts damn dick dickhead dicks dipshit dumbass fuck fucked "
        "fucker fuckers fuckin fucking fucks fuk goddamn hoe hoes horseshit jackass jerkoff motherfucker "
        "motherfuckers motherfucking piss pissed prick pricks pussy pussies shit shithead shits shitty skank slut "
        "sluts sucker tits tosser twat twats wanker wankers whore whores idiot idiots moron morons stupid retard "
        "retards scum loser losers trash kill hate die dumb ugly pathetic"
    ),
    "de": "arsch arschloch arschlöcher fick ficken fotze hure hurensohn missgeburt scheiße scheisse schlampe wichser",
    "es": ("cabron cabrones coño gilipollas hijoputa imbecil joder maricon mierda pendejo pendejos puta putas puto"),
    "fr": "batard connard connasse conne enculé encule merde nique pute putain salaud salope",
    "hi": "bhenchod behenchod bhosdike chutiya chutiye gaand harami haramkhor kamina kutta kutiya madarchod randi",
    "it": "bastardo cazzo coglione coglioni merda puttana stronza stronzo troia vaffanculo",
    "nl": "eikel hoer kankerhoer klootzak kut kutwijf lul mongool",
    "pl": "chuj dziwka jebać kurwa kurwy pierdol pizda skurwysyn suka",
    "pt": "arrombado babaca buceta caralho cuzão foda foder merda porra puta viado",
    "ru": "бля блядь гандон дебил ебать мразь мудак пизда пидор сука тварь хуй шлюха ублюдок",
    "tr": "amcık gerizekali orospu piç şerefsiz siktir yarrak",
}

# English comes first: what a mask leaves open is taken for English.
IN_ORDER: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(plain_word(word) for words in _BY_LANGUAGE.values() for word in words.split())
)
COARSE: Final[frozenset[str]] = frozenset(IN_ORDER)
LONGEST: Final = max(map(len, COARSE))


def count(words: list[str]) -> int:
    """How many of `words`, normalised, are listed."""
    return sum(word in COARSE for word in words)
