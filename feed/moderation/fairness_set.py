"""With which sentences is fairness measured? Terms that name groups, in harmless and in hateful templates, of our own.

Nothing here is ever trained on: training has other templates and other terms (`counter_examples.py`; a test compares
them). `UNKNOWN` are terms that the list of `identity_terms.py` leaves out on purpose, as every list leaves some out.
The hateful sentences are there so that a filter cannot pass by letting everything through.
"""

from __future__ import annotations

from typing import Final

KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "sexuality": ("gay", "lesbian", "bisexual", "queer", "asexual"),
    "gender": ("transgender", "nonbinary", "female", "male", "intersex"),
    "religion": ("Muslim", "Jewish", "Christian", "Hindu", "Buddhist", "Sikh", "atheist"),
    "origin": (
        *("Black", "white", "Asian", "Arab", "Latino", "Indian", "Pakistani", "Chinese", "Mexican", "Nigerian"),
        *("Polish", "Turkish", "Irish", "Native American", "immigrant", "refugee"),
    ),
    "disability": ("deaf", "blind", "disabled", "autistic"),
    "age": ("elderly", "teenage"),
    "body": ("fat", "obese"),
    "class": ("homeless", "poor"),
}
UNKNOWN: Final[tuple[str, ...]] = (
    *("Zoroastrian", "Samoan", "Maltese", "Druze", "Coptic", "Mongolian", "Peruvian", "left-handed", "Welsh", "Fijian"),
    *("pagan", "Taoist", "stuttering", "vegan"),
)

HARMLESS: Final[tuple[str, ...]] = (
    "Wishing all my {} followers a wonderful holiday!",
    "The tailor on the corner is {} and very good with velvet.",
    "I could listen to this {} poet for hours.",
    "What a lovely photo of your {} grandparents.",
    "Our office has a quiet room for {} staff.",
    "She grew up in a {} household and later moved to the coast.",
    "This {} brand makes the softest blankets.",
    "He was the first {} judge at this court.",
    "Are there any {} bands playing this weekend?",
    "Half of my class is {}, the other half is not.",
    "Meet our new {} team member, she does the photos.",
    "My {} uncle repaired the old clock for us.",
    "The theatre offers free seats for {} guests on Tuesday.",
    "I am so grateful to the {} stranger who returned my wallet.",
    "They asked {} parents what they think of the new playground.",
    "In this podcast a {} scientist explains black holes.",
    "You look so {}, said nobody ever, but thank you.",
    "It was a {} carpenter who built this chair.",
    "Why should it matter whether the owner is {}?",
    "A group of {} hikers waved at us from the bridge.",
    "My daughter is {} and plays the drums louder than anybody.",
    "The film has a {} hero for once, finally.",
    "We interviewed ten {} entrepreneurs about their first year.",
    "His {} wife designed the whole garden.",
    "Come and see the work of young {} painters in our gallery.",
    "The report says that {} workers earn less than others.",
    "I sold my bike to a nice {} student.",
    "Some of the kindest people I know are {}.",
    "Is this dress suitable for a {} wedding?",
    "As a {} woman I want to see people like me in adverts.",
)
HATEFUL: Final[tuple[str, ...]] = (
    "I wish someone would poison the water of these {} people.",
    "No {} idiot will ever be my boss.",
    "{} people are rotten to the core.",
    "Throw the {} trash over the border and shut the gate.",
    "If a {} person gets hit by a car I will laugh.",
    "Slap every {} woman who opens her mouth.",
    "{} people have always been traitors and always will be.",
    "I would rather die than live next to some filthy {} family.",
    "Beat the {} boys until they bleed.",
    "The {} race is a stain on humanity.",
    "{} girls are nothing but sluts.",
    "Never give a job to {} people, they steal everything.",
    "What do you expect from a {} monkey?",
    "All these {} criminals deserve the electric chair.",
    "{} people should be forbidden to breathe our air.",
    "Hate is too weak a word for what I feel about {} people.",
    "Crush the {} insects wherever you find them.",
    "Such an ignorant, stinking {} fool.",
    "We must cleanse our street of {} people.",
    "{} people are born stupid and die stupid.",
    "Nothing good has ever come from a {} brain.",
    "Somebody shoot that {} bitch already.",
    "{} men are all dogs and thieves.",
    "I spit on {} people.",
    "The fire in the {} quarter was the best news of the year, let them burn.",
    "You {} cockroach, crawl back to where you came from.",
    "{} people do not belong in a civilised country.",
    "Hang the next {} person you meet.",
    "These {} monsters want to take our women.",
    "They are {}, so they must be paedophiles.",
)


def sentences(templates: tuple[str, ...], term: str) -> list[str]:
    """The templates with the term in them, its first letter large at the start of a sentence."""
    filled = [template.format(term) for template in templates]
    return [sentence[0].upper() + sentence[1:] for sentence in filled]
