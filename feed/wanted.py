"""What would this visitor choose next? The recommender is asked once a page; a source and a scorer read the answer."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import exp

from feed.index import Kind, Shelf
from feed.matching import Weights
from feed.recommender.ports import Recommended
from feed.source_watch import SourceWatch
from feed.view import View
from feed.visitor_history import history_of

NAME = "recommender"
# Beyond so many products the chances are all small.
_MOST = 200
# Some 4 ms for a catalogue of thousands (docs/reports/recommender.md), the slowest one in a hundred twice that.
_BUDGET_MS = 10.0

_log = logging.getLogger(__name__)


def ask(view: View, watch: SourceWatch) -> View:
    """The view with `wanted` filled in; empty while no recommender is trained, for a visitor without a history, and
    where the recommender failed or was too slow lately: a page without it is better than no page.
    """
    if view.recommender is None or not (history := history_of(view)) or not watch.may_ask(NAME, 0):
        return view
    begun_ns = watch.now_ns()
    try:
        (found,) = view.recommender.recommend([history], _MOST, view.query.now_ms)
    except Exception:
        _log.exception("the recommender failed")
        watch.failures[NAME] += 1
        return view
    finally:
        watch.took(NAME, watch.now_ns() - begun_ns, _BUDGET_MS)
    return replace(view, wanted=weights(view.shelf, found))


def weights(shelf: Shelf, found: list[Recommended]) -> Weights:
    """Products that posts tag, by their codes; scores are log-odds, so that a sum over tags stays one of chances."""
    coded = ((shelf.code((Kind.PRODUCT, item_id)), score) for item_id, score in found)
    return {code: 1.0 / (1.0 + exp(-max(score, -30.0))) for code, score in coded if code >= 0}
