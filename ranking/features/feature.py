"""What is a feature? A name, how its numbers are to be read, and what must be known to compute it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["numeric", "categorical"]
# Known once a product exists, once a page view begins, by the place on the page, or only for a visitor and a product.
Scope = Literal["product", "page", "position", "pair"]
SCOPES: tuple[Scope, ...] = ("product", "page", "position", "pair")

Columns = NDArray[np.float64]
Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the model. Missing and unknown values are NaN; codes of categories count from 0.

    `spelled`: its categories are texts, kept in a vocabulary; otherwise they are small whole numbers already.
    """

    name: str
    kind: Kind
    scope: Scope
    spelled: bool = False


class Pages(Protocol):
    """What is known of n page views; each entry belongs to one.

    `segments` are texts "name=value"; `device_type` is 0 where unknown; `affinity_sums` is the sum of all of the
    visitor's affinities, whatever the products, 0 without consent.
    """

    @property
    def viewed_at_ms(self) -> NDArray[np.int64]:
        """Milliseconds since 1970 UTC, int64 [n]."""

    @property
    def segments(self) -> list[tuple[str, ...]]:
        """The visitor's segments."""

    @property
    def device_type(self) -> NDArray[np.int32]:
        """AdCOM device type, int32 [n]."""

    @property
    def affinity_sums(self) -> NDArray[np.float32]:
        """Sums of weights, float32 [n]."""


@dataclass(frozen=True)
class FeatureState:
    """What features remember of the training part: categories by feature (code = place), click rates by product id."""

    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    item_rates: Mapping[str, float] = field(default_factory=dict)

    def codes(self, name: str) -> dict[str, float]:
        """Code of each text of the feature `name`."""
        return self._codes.get(name, {})

    @cached_property
    def segments(self) -> dict[str, tuple[str, float]]:
        """Feature and code of each segment text "name=value" that was seen in training."""
        return {f"{name}={text}": (name, code) for name, codes in self._codes.items() for text, code in codes.items()}

    @cached_property
    def _codes(self) -> dict[str, dict[str, float]]:
        return {
            name: {text: float(code) for code, text in enumerate(texts)} for name, texts in self.vocabularies.items()
        }


def coded(codes: Mapping[str, float], attributes: Attributes | None, name: str) -> float:
    """The code of an attribute; NaN when it is missing or was never seen in training."""
    return codes.get(attributes.get(name, ""), np.nan) if attributes is not None else np.nan
