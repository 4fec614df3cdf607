"""What becomes of a post when it is published or edited? It is checked, and the verdict moves it on."""

from __future__ import annotations

import logging

from msgspec.structs import replace

from feed.media.ports import PostedMedia
from feed.ports import CheckedPicture, PostChecker
from feed.post import Post, PostState
from feed.post_states import CHECKER, Actor, StateStep, check_step, state_of
from feed.verdict import Outcome, Verdict

_log = logging.getLogger(__name__)


class PostChecks:
    """Runs a checker over posts."""

    def __init__(self, checker: PostChecker, media: PostedMedia) -> None:
        self._checker = checker
        self._media = media

    def check(
        self, post: Post, before: Post | None, now_ms: int, *, again: bool = False
    ) -> tuple[Post, list[StateStep]]:
        """The post in the state that its verdict gives it, and the line for its history.

        A check that fails leaves the post CHECKING without a verdict, seen by its author alone, and says nothing: it
        is tried again. What a person has limited or held is not cleared by an edit alone: a person looks again.
        """
        try:
            verdict = self._checker.check(post, self._pictures(post), again=again)
        except Exception:
            _log.exception("a post could not be checked; it is held and tried again")
            return replace(post, state=PostState.CHECKING, verdict=None), []
        by_person = before is not None and _was_restrained_by_a_person(before)
        if by_person and verdict.outcome < Outcome.HELD:
            verdict = replace(verdict, outcome=Outcome.HELD)
        after = state_of(verdict.outcome)
        check_step(PostState.CHECKING, after, Actor.CHECKER)
        why = "changed after a person had limited it: a person looks again" if by_person else sentence(verdict)
        decided_by = before.decided_by if before is not None and by_person else CHECKER
        checked = replace(post, state=after, verdict=verdict, decided_by=decided_by)
        return checked, [
            StateStep(now_ms, Actor.CHECKER, verdict.checked_by[:64], PostState.CHECKING, after, why, post.revision)
        ]

    def _pictures(self, post: Post) -> list[CheckedPicture]:
        found = self._media.find(post.tenant_id, [medium.media_id for medium in post.media])
        return [
            CheckedPicture(f"media[{at}]", media.media_id, media.picture_hash, media.width, media.height)
            for at, media in enumerate(found)
            if media is not None
        ]


def sentence(verdict: Verdict) -> str:
    """The verdict in a few words, for the history."""
    if not verdict.findings:
        return "nothing was found" if verdict.outcome is Outcome.CLEAN else verdict.outcome.name.lower()
    return "; ".join(f"{found.label} in {found.where}" for found in verdict.findings)[:300]


def _was_restrained_by_a_person(post: Post) -> bool:
    return post.decided_by not in ("", CHECKER) and post.state in (PostState.LIMITED, PostState.CHECKING)
