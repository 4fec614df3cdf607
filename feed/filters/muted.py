"""Which posts hold words that the visitor does not want to read?"""

from __future__ import annotations

import numpy as np

from feed.index import Rows
from feed.muting import muted
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows whose caption, hashtags, partner or description of a picture hold a muted word)."""
    words = view.relation.muted_words
    if not words:
        return rows, rows[:0]
    text_of = view.shelf.text
    gone = np.array([muted(words, text_of(row)) for row in rows.tolist()], np.bool_)
    return rows[~gone], rows[gone]
