"""Is a model file read exactly, and one that cannot be served refused with its reason?"""

from __future__ import annotations

import contextlib

import pytest

from ranking.forest import ModelRefused, Split, Tree, parse_forest

TEXT = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=hour uf0
feature_infos=[0:23] 0:1:2
tree_sizes=1 1

Tree=0
num_leaves=3
num_cat=1
split_feature=1 0
split_gain=1 1
threshold=0 0.10000000000000002
decision_type=1 10
left_child=-1 -2
right_child=1 -3
leaf_value=0.5 -0.25 0.125
cat_boundaries=0 2
cat_threshold=5 1
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
split_feature=
threshold=
decision_type=
left_child=
right_child=
leaf_value=0.0625
is_linear=0
shrinkage=1


end of trees

parameters:
end of parameters
"""


def test_trees_are_read_node_by_node() -> None:
    forest = parse_forest(TEXT)

    assert forest.feature_names == ("hour", "uf0")
    first = Split(1, 0.0, frozenset({0, 2, 32}), "none", False, 0b001)
    second = Split(0, 0.10000000000000002, None, "nan", True, 0b010)
    assert forest.trees == (Tree((first, second), (0.5, -0.25, 0.125)), Tree((), (0.0625,)))


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("version=v4", "version=v9", "version 'v9'"),
        ("num_class=1", "num_class=3", "several classes"),
        ("objective=binary sigmoid:1", "objective=regression", "objective 'regression'"),
        ("objective=binary sigmoid:1", "objective=binary sigmoid:2", "objective"),
        ("label_index=0", "label_index=0\naverage_output", "random forest"),
        ("feature_names=hour uf0", "feature_names=", "names no features"),
        ("end of trees", "end", "cut off"),
        ("num_leaves=3", "num_leaves=65", "65 leaves; at most 64"),
        ("num_leaves=3", "num_leaves=0", "0 leaves"),
        ("num_leaves=3", "num_leaves=three", "tree 0 of model.txt is broken"),
        ("num_leaves=3", "num_leaves=4", "broken"),
        ("split_feature=1 0", "split_feature=1 2", "feature 2 of 2"),
        ("split_feature=1 0", "split_feature=1", "broken"),
        ("decision_type=1 10", "decision_type=1 14", "unknown kind 14"),
        ("decision_type=1 10", "decision_type=1 -1", "unknown kind -1"),
        ("left_child=-1 -2", "left_child=-1 0", "hangs twice"),
        ("left_child=-1 -2", "left_child=-1 -1", "hangs twice"),
        ("left_child=-1 -2", "left_child=-1 -9", "does not exist"),
        ("right_child=1 -3", "right_child=7 -3", "does not exist"),
        ("leaf_value=0.5 -0.25 0.125", "leaf_value=0.5 nan 0.125", "3 finite numbers"),
        ("leaf_value=0.5 -0.25 0.125", "leaf_value=0.5 0.125", "3 finite numbers"),
        ("threshold=0 0.1", "threshold=0 nan ", "threshold is NaN"),
        ("threshold=0 0.1", "threshold=3 0.1", "categorical split 3 of 1"),
        ("cat_threshold=5 1", "cat_threshold=5 " + "0 " * 200 + "1", "broken|category"),
        ("is_linear=0", "is_linear=1", "linear leaves"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(good: str, bad: str, reason: str) -> None:
    assert good in TEXT
    text = TEXT.replace(good, bad, 1)
    if "0 0 0" in bad:
        text = text.replace("cat_boundaries=0 2", "cat_boundaries=0 202")

    with pytest.raises(ModelRefused, match=reason):
        parse_forest(text)


def test_a_file_cut_anywhere_is_refused_and_never_a_crash() -> None:
    end = TEXT.index("end of trees")
    for length in range(0, end, 7):
        with pytest.raises(ModelRefused):
            parse_forest(TEXT[:length])


def test_a_file_with_any_line_lost_reads_or_is_refused() -> None:
    lines = TEXT.splitlines()
    for at in range(len(lines)):
        text = "\n".join(lines[:at] + lines[at + 1 :])
        with contextlib.suppress(ModelRefused):
            assert parse_forest(text).trees
