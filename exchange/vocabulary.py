"""Which numbers stand for which words? Targeting, shapes, traits and time zones; it only ever grows."""

from __future__ import annotations

from exchange.order_book import ANY_TERM
from exchange.traits import Trait

# Under which of its targeted dimensions a line item is found: the rarest first.
RAREST_FIRST = (
    "seen_product",
    "near_product",
    "segment",
    "keyword",
    "placement",
    "category",
    "country",
    "language",
    "device",
)
# The dimension of deals: they open runs like targeted words, and are no clause that must match.
DEAL = "deal"


class Vocabulary:
    """Numbers for words; only ever grows."""

    def __init__(self) -> None:
        self.terms: dict[str, dict[str, int]] = {dimension: {} for dimension in (*RAREST_FIRST, DEAL)}
        self.shapes: dict[tuple[int, int, int], int] = {}
        self.traits: dict[Trait, int] = {}
        self.brands: dict[str, int] = {}
        self.zones: dict[str, int] = {}
        self.term_count = ANY_TERM + 1

    def copy(self) -> Vocabulary:
        """As it stands now; a snapshot keeps one, so a word it does not know can never reach its arrays."""
        other = Vocabulary()
        other.terms = {dimension: dict(values) for dimension, values in self.terms.items()}
        other.shapes = dict(self.shapes)
        other.traits = dict(self.traits)
        other.brands = dict(self.brands)
        other.zones = dict(self.zones)
        other.term_count = self.term_count
        return other

    def term(self, dimension: str, value: str) -> int:
        """The number of a targeting value, given now when it is new."""
        values = self.terms[dimension]
        number = values.get(value)
        if number is None:
            number = values[value] = self.term_count
            self.term_count += 1
        return number
