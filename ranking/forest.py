"""What does LightGBM's text say? The trees of a model file, read without LightGBM and checked node by node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from common.errors import HaatError

MAX_LEAVES = 64
MAX_TREES = 5_000
# Categories are codes of a vocabulary: a larger one is a mistake, and each costs a row of masks.
MAX_CATEGORY = 4_095

Missing = Literal["none", "zero", "nan"]
_MISSING: dict[int, Missing] = {0: "none", 1: "zero", 2: "nan"}
_CATEGORICAL_BIT, _DEFAULT_LEFT_BIT = 1, 2
_OBJECTIVE = "binary sigmoid:1"
_WHOLE_NUMBERS = {"num_leaves", "num_cat", "split_feature", "decision_type", "left_child", "right_child"}
_KEYS = (*_WHOLE_NUMBERS, "threshold", "leaf_value", "cat_boundaries", "cat_threshold", "is_linear")


class ModelRefused(HaatError):
    """A model file that is missing, broken, of another kind or not the one of its manifest."""


@dataclass(frozen=True, slots=True)
class Split:
    """One inner node. Leaves are counted from the left; `left_leaves` is the bit set of those below its left child.

    Numeric: left when value <= threshold. Categorical: left when the code is among `categories`, right when it is
    missing or unknown.
    """

    feature: int
    threshold: float
    categories: frozenset[int] | None
    missing: Missing
    default_left: bool
    left_leaves: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree by its splits and by the values of its leaves, from the left."""

    splits: tuple[Split, ...]
    leaf_values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees in the order in which their values are added."""

    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]


def parse_forest(text: str) -> Forest:
    """Read a model of LightGBM 3 or 4 (binary objective, at most 64 leaves a tree); ModelRefused says what is wrong."""
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    if "\nend of trees" not in text:
        raise ModelRefused("model.txt is cut off: it has no `end of trees`; train again")
    header = _fields(head)
    _check_header(header, head)
    names = tuple(header.get("feature_names", "").split())
    if not names:
        raise ModelRefused("model.txt names no features; train again")
    if not 1 <= len(blocks) <= MAX_TREES:
        raise ModelRefused(f"model.txt has {len(blocks)} trees; 1 to {MAX_TREES} are served")
    return Forest(names, tuple(_read_tree(number, block, len(names)) for number, block in enumerate(blocks)))


def _check_header(header: dict[str, str], head: str) -> None:
    if header.get("version") not in ("v3", "v4"):
        raise ModelRefused(f"model.txt has the version {header.get('version', '(none)')!r}; v3 and v4 are read")
    if header.get("num_class") != "1" or header.get("num_tree_per_iteration") != "1":
        raise ModelRefused("model.txt has several classes; a click model has one")
    if header.get("objective") != _OBJECTIVE:
        raise ModelRefused(f"model.txt has the objective {header.get('objective', '(none)')!r}, not {_OBJECTIVE!r}")
    if "average_output" in head.splitlines():
        raise ModelRefused("model.txt averages its trees (random forest); boosted trees are served")


def _read_tree(number: int, block: str, features: int) -> Tree:
    try:
        fields = _fields(block)
        if fields.get("is_linear", "0") != "0":
            raise ModelRefused(f"tree {number} has linear leaves, which are not served; train with linear_tree=false")
        values = {key: _numbers(key, fields.get(key, "")) for key in _KEYS}
        leaves = int(values["num_leaves"][0])
        if not 1 <= leaves <= MAX_LEAVES:
            raise ModelRefused(f"tree {number} has {leaves} leaves; at most {MAX_LEAVES} are served")
        return _Reader(number, values, leaves, features).tree()
    except (ValueError, IndexError, OverflowError) as trouble:
        raise ModelRefused(f"tree {number} of model.txt is broken ({trouble}); train again") from trouble


class _Reader:
    """Walks one tree from its root and counts the leaves from the left."""

    def __init__(self, number: int, values: dict[str, list[float]], leaves: int, features: int) -> None:
        self._number, self._values, self._leaves, self._features = number, values, leaves, features
        self._splits: dict[int, Split] = {}
        self._order: list[int] = []

    def tree(self) -> Tree:
        leaf_values = self._values["leaf_value"]
        if len(leaf_values) != self._leaves or not all(map(math.isfinite, leaf_values)):
            raise ValueError(f"leaf_value does not have {self._leaves} finite numbers")
        if self._leaves == 1:
            return Tree((), (leaf_values[0],))
        self._visit(0)
        if len(self._order) != self._leaves or len(self._splits) != self._leaves - 1:
            raise ValueError("its nodes do not form one tree")
        return Tree(tuple(self._splits.values()), tuple(leaf_values[leaf] for leaf in self._order))

    def _visit(self, node: int) -> int:
        """The bit set of the leaves below `node`; negative nodes are leaves, ~node is their number."""
        if node < 0:
            if ~node >= self._leaves or ~node in self._order:
                raise ValueError(f"leaf {~node} does not exist or hangs twice")
            self._order.append(~node)
            return 1 << (len(self._order) - 1)
        if node >= self._leaves - 1 or node in self._splits:
            raise ValueError(f"node {node} does not exist or hangs twice")
        self._splits[node] = split = self._split(node)
        left = self._visit(int(self._values["left_child"][node]))
        right = self._visit(int(self._values["right_child"][node]))
        self._splits[node] = Split(
            split.feature, split.threshold, split.categories, split.missing, split.default_left, left
        )
        return left | right

    def _split(self, node: int) -> Split:
        feature = int(self._values["split_feature"][node])
        if not 0 <= feature < self._features:
            raise ValueError(f"feature {feature} of {self._features}")
        kind = int(self._values["decision_type"][node])
        missing = _MISSING.get(kind >> 2)
        if kind < 0 or missing is None:
            raise ModelRefused(f"tree {self._number} has a split of the unknown kind {kind}")
        threshold = self._values["threshold"][node]
        if math.isnan(threshold):
            raise ValueError("a threshold is NaN")
        categories = self._categories(int(threshold)) if kind & _CATEGORICAL_BIT else None
        return Split(feature, threshold, categories, missing, bool(kind & _DEFAULT_LEFT_BIT), 0)

    def _categories(self, place: int) -> frozenset[int]:
        boundaries = self._values["cat_boundaries"]
        if not 0 <= place < len(boundaries) - 1:
            raise ValueError(f"categorical split {place} of {len(boundaries) - 1}")
        words = [
            int(word) for word in self._values["cat_threshold"][int(boundaries[place]) : int(boundaries[place + 1])]
        ]
        found = frozenset(32 * at + bit for at, word in enumerate(words) for bit in range(32) if word >> bit & 1)
        if found and max(found) > MAX_CATEGORY:
            raise ModelRefused(f"tree {self._number} splits on category {max(found)}; at most {MAX_CATEGORY} is served")
        return found


def _fields(block: str) -> dict[str, str]:
    return {key: value for key, equals, value in (line.partition("=") for line in block.splitlines()) if equals}


def _numbers(key: str, text: str) -> list[float]:
    read: Sequence[float] = (
        [int(word) for word in text.split()] if key in _WHOLE_NUMBERS else [float(word) for word in text.split()]
    )
    return list(read)
