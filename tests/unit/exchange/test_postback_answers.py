"""Is a call that is sent again answered as the first time, whatever happened to the process between?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backends.postback_answers_sql import SqlAnswerStore
from backends.pruning_sql import IDEMPOTENCY_KEPT_MS, Pruning
from common.errors import BackendUnavailable
from exchange.postback_answers import Answered, RememberedAnswers
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

DAY_MS = 86_400_000
NOW = 20_000 * DAY_MS


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(tmp_path)
    yield opened
    opened.dispose()


async def done(answers: RememberedAnswers, key: str = "k", at_ms: int = NOW) -> None:
    assert await answers.begin("shop", key, "a" * 64, at_ms) == ("fresh", b"")
    await answers.finish("shop", key, b"first", at_ms)


async def test_the_first_answer_outlives_the_process(engine: Engine) -> None:
    await done(RememberedAnswers(SqlAnswerStore(engine)))

    after = RememberedAnswers(SqlAnswerStore(engine))
    assert await after.begin("shop", "k", "a" * 64, NOW + 1) == ("done", b"first")
    assert await after.begin("shop", "k", "b" * 64, NOW + 1) == ("other", b"")
    # Of another tenant, and under another key, it is another call.
    assert await after.begin("other", "k", "a" * 64, NOW) == ("fresh", b"")
    assert await after.begin("shop", "l", "a" * 64, NOW) == ("fresh", b"")


async def test_what_was_not_finished_is_done_again_after_a_restart(engine: Engine) -> None:
    before = RememberedAnswers(SqlAnswerStore(engine))
    assert await before.begin("shop", "k", "a" * 64, NOW) == ("fresh", b"")
    assert await before.begin("shop", "k", "a" * 64, NOW) == ("busy", b"")

    assert await RememberedAnswers(SqlAnswerStore(engine)).begin("shop", "k", "a" * 64, NOW) == ("fresh", b"")
    before.abandon("shop", "k")
    assert await before.begin("shop", "k", "a" * 64, NOW) == ("fresh", b"")


async def test_two_at_once_are_not_both_the_first(engine: Engine) -> None:
    answers = RememberedAnswers(SqlAnswerStore(engine))

    states = await asyncio.gather(*(answers.begin("shop", "k", "a" * 64, NOW) for _ in range(5)))

    assert sorted(state for state, _ in states) == ["busy"] * 4 + ["fresh"]


@pytest.mark.parametrize("restarted", [False, True])
async def test_after_a_day_the_key_is_free(engine: Engine, restarted: bool) -> None:
    answers = RememberedAnswers(SqlAnswerStore(engine))
    await done(answers)
    if restarted:
        answers = RememberedAnswers(SqlAnswerStore(engine))

    assert (await answers.begin("shop", "k", "a" * 64, NOW + DAY_MS - 1))[0] == "done"
    await done(answers, at_ms=NOW + DAY_MS)
    Pruning(engine).prune(NOW + DAY_MS + IDEMPOTENCY_KEPT_MS + 1)
    assert SqlAnswerStore(engine).find("shop", "k", 0) is None


class Broken:
    """A store that does not answer."""

    def find(self, tenant_id: str, key: str, from_ms: int) -> Answered | None:
        raise BackendUnavailable("the disk does not answer")

    def keep(self, tenant_id: str, key: str, answered: Answered) -> None:
        raise BackendUnavailable("the disk is full")


async def test_a_store_that_does_not_answer_leaves_the_key_free() -> None:
    answers = RememberedAnswers(Broken())

    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            await answers.begin("shop", "k", "a" * 64, NOW)
