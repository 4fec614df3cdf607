"""Which features does the click model have? One list and one computation, for training and serving alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.features import context, history, item, visitor
from ranking.features.feature import Attributes, Columns, Feature, FeatureState, Pages, Scope

_PAGE = (*context.PAGE, *visitor.PAGE, *history.PAGE)
_PRODUCT = (*context.PRODUCT, *item.PRODUCT)
# The order of the columns in the model.
FEATURES: tuple[Feature, ...] = (*_PRODUCT, *_PAGE, *context.POSITION, *history.PAIR)
SPELLED = tuple(feature.name for feature in FEATURES if feature.spelled)
CATEGORICAL = tuple(place for place, feature in enumerate(FEATURES) if feature.kind == "categorical")


def places(scope: Scope) -> tuple[int, ...]:
    """Which columns of the model belong to `scope`, in the order in which the functions below return them."""
    return tuple(place for place, feature in enumerate(FEATURES) if feature.scope == scope)


def of_products(product_ids: Sequence[str], attributes: Sequence[Attributes | None], state: FeatureState) -> Columns:
    """Product columns, float64 [products, 6]; `attributes` is None where the catalogue does not know the product."""
    return np.hstack([context.of_products(attributes, state), item.of_products(product_ids, attributes, state)])


def of_pages(pages: Pages, state: FeatureState) -> Columns:
    """Page columns, float64 [pages, 8]."""
    return np.concatenate((context.of_pages(pages), visitor.of_pages(pages, state), history.of_pages(pages)), axis=1)


def of_positions(positions: NDArray[np.int32]) -> Columns:
    """Position columns, float64 [positions, 1]."""
    return context.of_positions(positions)


def of_pairs(affinities: NDArray[np.float32]) -> Columns:
    """Columns of visitor and product together, float64 [pairs, 1]."""
    return history.of_pairs(affinities)


@dataclass(frozen=True, slots=True)
class _ProbePages:
    viewed_at_ms: NDArray[np.int64]
    segments: list[tuple[str, ...]]
    device_type: NDArray[np.int32]
    affinity_sums: NDArray[np.float32]


def fingerprint() -> str:
    """What the feature code does, as 64 hexadecimal digits: changed code means another fingerprint.

    It hashes the list of features and the columns of fixed inputs, not the source: a new comment or a formatter must
    not turn away a good model, and a changed computation must.
    """
    texts = ("", "a", "b", "81ce123c")
    state = FeatureState(dict.fromkeys(SPELLED, texts[1:]), {"p-1": 0.004, "p-2": 0.0625})
    attributes: list[Attributes | None] = [
        None,
        {},
        {"section": "a", "item_feature_0": "-0.5", "item_feature_1": "b", "item_feature_2": "a", "item_feature_3": "x"},
        {"section": "b", "item_feature_0": "nan", "item_feature_1": "81ce123c", "item_feature_2": "b"},
        {"section": "?", "item_feature_0": "1e3", "item_feature_3": "81ce123c"},
        {"section": "81ce123c", "item_feature_0": "seven"},
    ]
    # Every hour of nine days in steps of 37 minutes, across a midnight and a new year.
    at_ms = 1_577_000_000_000 + 37 * 60_000 * np.arange(360, dtype=np.int64)
    count = len(at_ms)
    pages = _ProbePages(
        viewed_at_ms=at_ms,
        segments=[tuple(f"uf{k}={texts[(row >> k) % 4]}" for k in range(row % 6)) for row in range(count)],
        device_type=np.arange(-5, count - 5).astype(np.int32),
        affinity_sums=(np.arange(count) * 0.125 - 1.0).astype(np.float32),
    )
    odd = np.array([0.0, 1.0, 2.5, -1.0, np.nan, np.inf, 1e-30, 1e6], np.float32)
    digest = hashlib.sha256(repr([(f.name, f.kind, f.scope, f.spelled) for f in FEATURES]).encode())
    for columns in (
        of_products([f"p-{row}" for row in range(len(attributes))], attributes, state),
        of_pages(pages, state),
        of_positions(np.arange(-2, 9).astype(np.int32)),
        of_pairs(odd),
    ):
        digest.update(repr(columns.shape).encode())
        # One NaN for all: its sign and payload are the processor's business.
        digest.update(np.where(np.isnan(columns), np.nan, columns).astype("<f8").tobytes())
    return digest.hexdigest()
