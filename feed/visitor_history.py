"""What has this visitor done with products? Session and known affinities, as the recommender reads them."""

from __future__ import annotations

from collections.abc import Iterable

from feed.index import Kind, Shelf
from feed.recommender.feedback import Kind as Feedback
from feed.recommender.ports import Happened
from feed.sessions import Session
from feed.view import View

_MAX_AFFINITIES = 100
_MAX_POSTS = 100
# An affinity does not tell when; it counts as of a week ago. From two clicks' worth on it is a like.
_AFFINITY_AGE_MS = 7 * 86_400_000
_LIKED = 2.0
# Steps of a session are told apart by a second each, the newest is now.
_STEP_MS = 1_000


def history_of(view: View) -> list[Happened]:
    """Oldest first. Consent and `learn` hold: what they do not cover is not in the view, or not read here."""
    history = [*_of_affinities(view)]
    if view.query.personal:
        history += of_session(view.session, view.shelf, view.query.now_ms)
    return sorted(history, key=lambda happened: happened.at_ms)


def of_session(session: Session, shelf: Shelf, now_ms: int, but: str = "") -> list[Happened]:
    """What a session did with the products of posts, oldest first within each kind; without the post `but`."""
    history: list[Happened] = []
    for posts, kind in (
        (session.clicked, Feedback.CLICK),
        (session.liked, Feedback.LIKE),
        (session.saved, Feedback.SAVE),
        (session.purchased, Feedback.BUY),
        (session.hidden, Feedback.HIDE),
    ):
        history += _of_posts(shelf, now_ms, [post_id for post_id in posts if post_id != but], kind)
    return history


def touched(view: View) -> list[str]:
    """Products of the page and of the posts that this session chose last, the newest first; each once."""
    found = [view.query.product_id] if view.query.product_id else []
    if view.query.personal:
        for posts in (view.session.saved, view.session.liked, view.session.clicked):
            found += [
                happened.item_id
                for happened in reversed(_of_posts(view.shelf, view.query.now_ms, posts, Feedback.CLICK))
            ]
    return list(dict.fromkeys(found))


def _of_affinities(view: View) -> Iterable[Happened]:
    shelf, at_ms = view.shelf, view.query.now_ms - _AFFINITY_AGE_MS
    products = [code for code in view.affinities if shelf.term_of[code][0] is Kind.PRODUCT]
    strongest = sorted(products, key=lambda code: (-abs(view.affinities[code]), code))[:_MAX_AFFINITIES]
    for code in strongest:
        weight = view.affinities[code]
        kind = Feedback.HIDE if weight < 0 else Feedback.LIKE if weight >= _LIKED else Feedback.CLICK
        yield Happened(shelf.term_of[code][1], kind, at_ms)


def _of_posts(shelf: Shelf, now_ms: int, post_ids: Iterable[str], kind: Feedback) -> list[Happened]:
    rows = [row for post_id in post_ids if (row := shelf.row_of.get(post_id)) is not None][-_MAX_POSTS:]
    return [
        Happened(tag.product_id, kind, now_ms - (len(rows) - 1 - step) * _STEP_MS)
        for step, row in enumerate(rows)
        for tag in shelf.posts[row].product_tags
    ]
