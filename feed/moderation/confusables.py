"""Which letters are taken for Latin ones? A table of our own of those that are used to slip past a filter.

NFKC alone turns fullwidth, circled and mathematical letters into plain ones. What is here has no such decomposition:
letters of other scripts that look the same (Cyrillic, Greek, Armenian, Cherokee), Latin letters with strokes and of
phonetic alphabets, small capitals, and letters that are sold as emoji. It was written by looking at the letters, and
is far smaller than Unicode's confusables.txt on purpose: a letter that merely resembles another is left alone.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Script letters: folded only where they stand among Latin letters, so that Russian and Greek stay what they are.
_CYRILLIC: Final = dict(
    zip(
        "авеёзіїјкмнопрсԁуүхһԛԝѕҽьгԍӏѵԏ",
        "abee3iijkmhonpcdyyxhqwsebrglvt",
        strict=True,
    )
)
# н looks like h, п like n, ь like b and г like r to those who write so; these four only count in mixed words.
_GREEK: Final = dict(zip("αβγεηικνοπρςσστυφχωϲϳ", "abyenikvonpccctufxwcj", strict=True))
_ARMENIAN: Final = dict(zip("հոսցօրզւ", "hnugopqi", strict=True))
_CHEROKEE: Final = dict(
    zip(
        "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᏔᎩᏃ".lower(),
        "abcdeghijklmprstvwyz",
        strict=True,
    )
)

# Forms of Latin letters: folded everywhere.
_LATIN: Final = dict(
    zip(
        "ıȷɑɡɩʟɴʀʏᴀʙᴄᴅᴇꜰɢʜɪᴊᴋᴌᴍᴏᴘꞯꜱᴛᴜᴠᴡᴢøłđħŧƀɨʉɇɍɏƶȼɓɗɠƙɲƥƭƈɦɱʂʐɘəɐɔɹɥɯʇʌʍʎ",
        "ijagilnryabcdefghijklmopqstuvwzoldhtbiueryzcbdgknptchmszeeacrhmtvwy",
        strict=True,
    )
)


def _emoji_letters() -> dict[str, str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    # Negative circled, negative squared, and regional indicators, each an alphabet in order.
    starts = (0x1F150, 0x1F170, 0x1F1E6)
    return {chr(start + at): letter for start in starts for at, letter in enumerate(letters)}


ANYWHERE: Final[dict[str, str]] = {**_LATIN, **_emoji_letters()}
AMONG_LATIN: Final[dict[str, str]] = {**_CYRILLIC, **_GREEK, **_ARMENIAN, **_CHEROKEE}

# Digits and signs that stand for letters. Some stand for two; the second is tried when the first makes no word.
LEET: Final[dict[str, str]] = {
    "0": "o",
    "1": "i",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "g",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "l",
    "+": "t",
    "€": "e",
    "£": "l",
    "¡": "i",
    "(": "c",
    "ß": "b",
}
LEET_SECOND: Final[dict[str, str]] = {"1": "l", "!": "l", "|": "i", "7": "l", "0": "u", "9": "q"}


def skeleton(word: str) -> str:
    """The word as it looks in Latin letters: for comparing names of domains, never for showing."""
    bare = (letter for letter in unicodedata.normalize("NFKD", word.casefold()) if unicodedata.category(letter) != "Mn")
    folded = "".join(ANYWHERE.get(letter) or AMONG_LATIN.get(letter, letter) for letter in bare)
    for looks, plain in (("rn", "m"), ("vv", "w"), ("cl", "d")):
        folded = folded.replace(looks, plain)
    return folded.translate(str.maketrans("0135i|", "olesll"))
