"""What do people write under pictures of things that they like or sell? Sentences of our own, without any harm.

`ORDINARY` is trained on, since none of the labelled collections comes from a shop; `ORDINARY_TEST` has other sentences
and measures how many of them are blocked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

_THINGS: Final[tuple[str, ...]] = (
    *("linen shirt", "scarf", "ceramic mug", "oak table", "running shoes", "rain jacket", "notebook", "lamp", "ring"),
    *("backpack", "cotton dress", "wool socks", "teapot", "plant pot", "cushion", "phone case", "bicycle bell", "soap"),
    *("leather belt", "sunglasses", "candle", "poster", "quilt", "headphones", "hat", "earrings", "cutting board"),
)
_QUALITIES: Final[tuple[str, ...]] = (
    *("soft", "blue", "warm", "light", "sturdy", "handmade", "green", "small", "elegant", "simple", "red", "cosy"),
)
ORDINARY: Final[tuple[str, ...]] = (
    "Loving this {q} {t}, perfect for autumn walks.",
    "Just arrived: our {q} {t} in three colours.",
    "My new {t} is so {q}, I wear it every day!",
    "Made a {t} this weekend, what do you think?",
    "The {q} {t} is back in stock from Monday.",
    "Which {t} would you choose, the {q} one or the other?",
    "A {q} {t} for 24 euro, link in my profile.",
    "Thanks to everybody who came to the market and bought a {t}.",
    "How I style my {q} {t} with old jeans.",
    "Gift idea for your mother: a {q} {t}.",
    "Morning light and my {q} {t}.",
    "Does anybody know where to buy a {q} {t} like this?",
    "I have used this {t} for two years and it still looks {q}.",
    "New in the shop: {t}, {q} and made in Portugal.",
    "This {t} comes with free shipping until Friday.",
    "Size M fits me well, the {t} is {q} and not too long.",
    "Advertisement: {q} {t} by a brand I trust.",
    "Packing my {t} for the holidays.",
    "20 % off every {t} this week in our shop.",
    "Unboxing the {q} {t} that my sister sent me.",
    "The colour of this {t} is even better in real life.",
    "so in love with my {t} omg",
    "Can I wash this {t} at 40 degrees?",
    "I would not buy this {t} again, it broke after a week.",
    "We plant a tree for each {t} sold.",
    "This {t} is to die for!",
    "You are killing it in that {q} {t}.",
    "I hate that the {q} {t} is sold out.",
    "Stupidly {q} and I love it: my new {t}.",
    "Sick of my old {t}, so I bought a {q} one.",
    "My dog stole the {t} again, silly boy.",
    "The white {t} or the black one?",
    "For men and women: the {q} {t} from our spring line.",
    "A {q} {t} for girls who love the sea.",
    "Black {t}, white {t}, brown {t}, I want them all.",
    "Where did you get this?",
    "So cute!!",
    "Love it, how much is it?",
    "That colour looks great on you.",
    "Is it still available?",
    "Do you ship to Spain?",
    "Wow, beautiful work.",
    "Thank you all for the kind words!",
    "Not my taste, but nice photo.",
    "I have the same one at home.",
    "What size are you wearing?",
    "When will it be back in stock?",
    "Too expensive for me.",
    "Happy Friday everybody!",
    "Good morning from the seaside.",
    "This made my day.",
    "I ordered two weeks ago and it has not arrived.",
    "The seller answered quickly, all good.",
    "Follow the tag to see more of my work.",
    "See you on Sunday at the market hall.",
    "Could you please send me the measurements?",
    "My parcel came today, I am very happy.",
    "Ordered, thanks!",
    "Which camera do you use?",
    "It looks smaller than in the picture.",
    "Great quality, would buy again.",
    "I like the second picture best.",
    "Coffee first.",
    "New post on Thursday.",
    "Please write to me about custom orders.",
)
ORDINARY_TEST: Final[tuple[str, ...]] = (
    "Found this {q} {t} at a flea market and could not leave it there.",
    "Our {t} is made by hand from recycled material, each one is a bit different.",
    "Outfit of the day: black trousers and a {q} {t}.",
    "Finally got the {q} {t} I was saving for!",
    "What do you wear with a {q} {t}?",
    "Last chance to get the {q} {t} before summer.",
    "It rained all day, so I stayed home with my {t}.",
    "The {t} costs 35 euro and ships within two days.",
    "Tell me your favourite {t} in the comments.",
    "Honest review of this {t} after one month: {q}, but the seam is loose.",
    "My daughter picked the {q} {t} herself.",
    "Sale in our little shop, every {t} at half price on Saturday.",
    "Behind the scenes: how we photograph a {q} {t}.",
    "Bad day, but this {t} made it better.",
    "Restock of the {q} {t} tomorrow at noon.",
    "The print on this {t} was drawn by my brother.",
    "Killer look with a {q} {t}, I am dying to wear it.",
    "Wild colours, damn good quality: my {q} {t}.",
    "Swipe to see the {t} from the back.",
    "Do you prefer the {t} in {q} or in yellow?",
)


# What a seller adds, which the labelled collections know from spam alone.
_EXTRAS: Final[tuple[str, ...]] = (
    *(" https://www.{d}/{t}", " www.{d}", " {d}/shop", " More on http://{d}", " https://{d}/p/{n}", " Only {n} EUR."),
    *(" Now £{n}.00", " ${n} plus shipping", " {n} € each", " Call 0{n} 555 {n}.", " #{q} #handmade", " @{q}studio"),
    *(" Available at {d} and in our shop.", " Price: {n}.90 euro", " WhatsApp +49 {n}{n} {n}00", " 😍😍", "!!!", " 🍂"),
)
_EXTRAS_TEST: Final[tuple[str, ...]] = (
    *(" See https://{d}/items/{n}", " {d}", " Order here: www.{d}/order", " £{n}.50 a piece", " Costs {n} dollars"),
    *(" Phone 0{n}1 234 {n}", " #slowfashion #{q}", " with @{q}andco", " ❤️", " ... "),
)
_DOMAINS: Final[tuple[str, ...]] = (
    *("lindenweaving.com", "potteryhouse.co.uk", "oakandash.shop", "mariaknits.de", "bellsandbikes.nl", "atelier9.fr"),
    *("northlamp.com", "soapstories.org", "quiltroom.shop", "ridgeleather.co", "paperfold.io", "greenpots.eu"),
)
_DOMAINS_TEST: Final[tuple[str, ...]] = (
    *("harbourhats.com", "tinytable.shop", "wovenwest.co.uk", "lumenlab.de", "stitchandco.net", "cupandsaucer.store"),
)


def ordinary(templates: tuple[str, ...], seed: int, each: int) -> Iterator[str]:
    """`each` sentences of every template, the same for the same seed; half of them with what a seller adds."""
    chance = random.Random(seed)
    test = templates is ORDINARY_TEST
    for template in templates:
        for number in range(each):
            text = template + (chance.choice(_EXTRAS_TEST if test else _EXTRAS) if number % 2 else "")
            thing = chance.choice(_THINGS)
            yield text.replace("/{t}", "/" + thing.replace(" ", "-")).format(
                t=thing,
                q=chance.choice(_QUALITIES),
                d=chance.choice(_DOMAINS_TEST if test else _DOMAINS),
                n=chance.randint(5, 95),
            )
