"""How well do posts match a set of weighted terms, and which match best?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Kind, Rows, Shelf, Term

# Codes of a shelf's terms, and what each counts.
Weights = dict[int, float]

# The source looks no further: the strongest terms, and of each the newest posts.
_MAX_TERMS = 24
_MAX_POSTS_OF_A_TERM = 150


def match(weights: Weights, shelf: Shelf, rows: Rows) -> NDArray[np.float64]:
    """The sum of the weights of each row's terms; shape (rows,). A row's sum does not depend on the other rows."""
    if not weights or not len(rows):
        return np.zeros(len(rows))
    by_code = np.zeros(len(shelf.term_of))
    by_code[list(weights)] = list(weights.values())
    codes, begins = shelf.codes_of(rows)
    return np.add.reduceat(by_code[codes], begins)


def strongest(weights: Weights, shelf: Shelf, row: int) -> Term | None:
    """The term of a row that counts most, None when none counts for it."""
    if not weights:
        return None
    best, most = None, 0.0
    for code in shelf.term_codes(row):
        weight = weights.get(code, 0.0)
        if weight > most:
            best, most = code, weight
    return None if best is None else shelf.term_of[best]


def shown_term(term: Term) -> str:
    """A term as a person reads it: `#boots`, `category shoes`."""
    kind, name = term
    return f"#{name}" if kind is Kind.HASHTAG else f"{kind.name.lower()} {name}"


def best_matching(weights: Weights, shelf: Shelf, limit: int, depth: int) -> list[int]:
    """At most `limit` live rows that share the strongest terms, best first and the newest first among equals.

    Of each term the newest `depth` posts (at least 150) are looked at.
    """
    wanted = sorted((code for code in weights if weights[code] > 0), key=lambda code: (-weights[code], code))
    found: list[int] = []
    counts: list[int] = []
    for code in wanted[:_MAX_TERMS]:
        before = len(found)
        found += shelf.having(code, max(depth, _MAX_POSTS_OF_A_TERM))
        counts.append(len(found) - before)
    if not found:
        return []
    worth = np.repeat([weights[code] for code in wanted[:_MAX_TERMS]], counts)
    total = np.bincount(np.array(found), weights=worth)
    rows = np.flatnonzero(total)
    best: list[int] = rows[np.lexsort((rows, -shelf.published_at_ms[rows], -total[rows]))][:limit].tolist()
    return best
