"""Who checks posts where nobody does? Nobody looks, in tests and where every post is of the operator's own."""

from __future__ import annotations

from collections.abc import Sequence

from feed.ports import CheckedPicture
from feed.post import Post
from feed.verdict import Outcome, Verdict


class FindsAllClean:
    """PostChecker that finds nothing in anything. For tests, and where every post was written by its operator."""

    def check(self, post: Post, pictures: Sequence[CheckedPicture], *, again: bool = False) -> Verdict:
        """Clean."""
        return Verdict(Outcome.CLEAN, risk=0.0, checked_by="nobody")
