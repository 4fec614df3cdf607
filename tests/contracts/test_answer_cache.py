"""Does every cache of answers keep the promises of exchange.ports.AnswerCache?"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest
from msgspec.structs import replace

from backends.answers_lmdb import LmdbAnswers
from backends.answers_memory import MemoryAnswers
from backends.answers_redis import RedisAnswers
from backends.redis_connection import RedisConnection
from common.errors import BackendUnavailable
from exchange.answer import Ad, Answer, PlacementAnswer, Pod
from exchange.asked import Asked, question_of
from exchange.creatives import ad_facts, outside_facts
from exchange.kept_answer import KeptAnswer, kept_answer
from exchange.ports import AnswerCache
from exchange.request import Deal, FlexSize, NativeTerms, VideoTerms
from tests.builders import a_line_item, a_page_view, a_placement, an_outside_bid

Open = Callable[[Path], AnswerCache]

ANSWER_CACHES: dict[str, Open] = {"memory": lambda _: MemoryAnswers(), "lmdb": LmdbAnswers}
NOW_MS = 1_700_000_000_000


@pytest.fixture(params=[*ANSWER_CACHES, pytest.param("redis", marks=pytest.mark.services)])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnswerCache]:
    opened: AnswerCache
    if request.param == "redis":
        redis: RedisConnection = request.getfixturevalue("redis")
        opened = RedisAnswers(redis, redis)
    else:
        opened = ANSWER_CACHES[request.param](tmp_path / "answers")
    yield opened
    opened.close()


def a_question(session_id: str = "s", **changes: Any) -> Asked:
    return question_of(a_page_view(session_id=session_id, **changes))


def a_kept_answer(auction_id: str = "a" * 32, expires_at_ms: int = NOW_MS + 30_000) -> KeptAnswer:
    item, bid = a_line_item(1), an_outside_bid(auction_id, product_id="p")
    placements = (
        PlacementAnswer("top", Ad(f"{auction_id}.0", ad_facts(item, item.creatives[0]), "<b>é</b>", 7, "own", 9, "d")),
        PlacementAnswer("side", Ad(f"{auction_id}.1", outside_facts(bid), bid.markup, 5, "acme", currency="USD")),
        PlacementAnswer("foot", None, 100),
    )
    answer = Answer(auction_id, "request-1", placements, pods=(Pod("pod", ("top",), 15, "<VAST/>"),))
    return kept_answer(answer, (item, None, None), expires_at_ms, 7)


def test_an_answer_comes_back_whole_to_the_question_it_was_kept_by(cache: AnswerCache) -> None:
    asked, kept = a_question(), a_kept_answer()
    cache.keep([(asked, kept)], NOW_MS)
    cache.flush()

    assert cache.recall([a_question()], NOW_MS) == [kept]


def test_a_batch_is_answered_in_its_order_with_none_for_what_is_unknown(cache: AnswerCache) -> None:
    first, second = a_kept_answer("a" * 32), a_kept_answer("b" * 32)
    cache.keep([(a_question("s"), first), (a_question("t"), second)], NOW_MS)
    cache.flush()

    asked = [a_question("t"), a_question("u"), a_question("s"), a_question("t")]
    assert cache.recall(asked, NOW_MS) == [second, None, first, second]
    assert cache.recall([], NOW_MS) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"permissions": 1}, {"visitor_id": "other"}, {"url": "https://shop.example/2"}, {"segments": ("a=b",)},
        {"placements": (a_placement(floor_micros=500_001),)}, {"placements": (a_placement(deals=(Deal("d"),)),)},
        {"placements": (a_placement(video=VideoTerms(skippable=1)),)},
        {"placements": (a_placement(native=NativeTerms(((1, "title", 0, True, 9, 0, 0),))),)},
        {"placements": (a_placement(flex_sizes=(FlexSize(1, 2, 3),)),)}, {"affinities": (("p", 0.5),)},
        {"currencies": ("EUR", "USD")},
    ],
    ids=str,
)  # fmt: skip
def test_another_question_gets_nothing(cache: AnswerCache, changes: dict[str, Any]) -> None:
    cache.keep([(a_question(), a_kept_answer())], NOW_MS)
    cache.flush()

    assert cache.recall([a_question(**changes), a_question()], NOW_MS)[0] is None


def test_an_answer_ends_with_its_time(cache: AnswerCache) -> None:
    cache.keep([(a_question(), a_kept_answer(expires_at_ms=NOW_MS + 5))], NOW_MS)
    cache.flush()

    assert cache.recall([a_question()], NOW_MS + 4) != [None]
    assert cache.recall([a_question()], NOW_MS + 5) == [None]


def test_the_newest_answer_of_a_question_counts_and_outlives_the_end_of_the_one_before(cache: AnswerCache) -> None:
    newer = a_kept_answer("b" * 32, NOW_MS + 60_000)
    cache.keep([(a_question(), a_kept_answer(expires_at_ms=NOW_MS + 10))], NOW_MS)
    cache.keep([(a_question(), newer)], NOW_MS + 5)
    cache.flush()
    cache.keep([(a_question("t"), a_kept_answer())], NOW_MS + 20)
    cache.flush()

    assert cache.recall([a_question()], NOW_MS + 20) == [newer]


def test_a_cache_that_is_full_forgets_and_goes_on(tmp_path: Path) -> None:
    memory, small = MemoryAnswers(most=3), LmdbAnswers(tmp_path / "small", map_size_bytes=256 << 10)
    for cache in (memory, small):
        for number in range(200):
            cache.keep([(a_question(f"s{number}"), a_kept_answer())], NOW_MS)
            cache.flush()
        found = cache.recall([a_question(f"s{number}") for number in range(200)], NOW_MS)
        assert found[-1] is not None
        assert found.count(None) > 0
        cache.close()
    assert small.counts["cleared"] > 0
    assert small.counts["kept"] == 200


def test_of_a_process_the_oldest_answers_leave_and_one_that_was_given_anew_is_none_of_them() -> None:
    memory, anew = MemoryAnswers(most=3), a_kept_answer("b" * 32)
    for session_id, kept in (("s", a_kept_answer()), ("t", a_kept_answer()), ("s", anew), ("u", a_kept_answer())):
        memory.keep([(a_question(session_id), kept)], NOW_MS)

    assert memory.recall([a_question("s")], NOW_MS) == [anew]
    memory.keep([(a_question(session_id), a_kept_answer()) for session_id in ("v", "w")], NOW_MS)

    found = memory.recall([a_question(session_id) for session_id in "stuvw"], NOW_MS)
    assert [kept is not None for kept in found] == [False, False, True, True, True]


def test_what_has_ended_makes_room(tmp_path: Path) -> None:
    cache = LmdbAnswers(tmp_path / "answers", map_size_bytes=1 << 20)
    for turn in range(40):
        now_ms = NOW_MS + turn * 1_000
        cache.keep([(a_question(f"{turn}-{n}"), a_kept_answer(expires_at_ms=now_ms + 500)) for n in range(20)], now_ms)
        cache.flush()
    cache.close()

    assert (cache.counts["kept"], cache.counts["cleared"]) == (800, 0)


_OTHER_PROCESS = """
import sys
from backends.answers_lmdb import LmdbAnswers
from tests.contracts.test_answer_cache import NOW_MS, a_kept_answer, a_question
cache = LmdbAnswers(sys.argv[1])
assert cache.recall([a_question("ours")], NOW_MS) == [a_kept_answer("c" * 32)]
cache.keep([(a_question("theirs"), a_kept_answer("d" * 32))], NOW_MS)
cache.flush()
print("kept", flush=True)
number = 0
while True:
    number += 1
    cache.keep([(a_question(f"x{number % 50}"), a_kept_answer())], NOW_MS)
    cache.flush()
"""


def test_processes_share_what_they_keep_also_with_one_that_was_killed(tmp_path: Path) -> None:
    cache = LmdbAnswers(tmp_path / "answers")
    cache.keep([(a_question("ours"), a_kept_answer("c" * 32))], NOW_MS)
    cache.flush()
    command = [sys.executable, "-c", _OTHER_PROCESS, str(tmp_path / "answers")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "kept\n"
        other.kill()

    assert cache.recall([a_question("theirs")], NOW_MS) == [a_kept_answer("d" * 32)]
    cache.keep([(a_question("after"), a_kept_answer("e" * 32))], NOW_MS)
    cache.flush()
    assert cache.recall([a_question("after")], NOW_MS) == [a_kept_answer("e" * 32)]
    assert cache.counts == {"kept": 2}
    cache.close()


def test_nobody_waits_for_a_writer_that_hangs(tmp_path: Path) -> None:
    cache = LmdbAnswers(tmp_path / "answers", most_waiting=2)
    cache.keep([(a_question("before"), a_kept_answer())], NOW_MS)
    cache.flush()
    hangs, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        with cache._env.begin(write=True):
            hangs.set()
            go_on.wait()

    stuck = threading.Thread(target=hang)
    stuck.start()
    hangs.wait()
    for number in range(20):
        cache.keep([(a_question(f"s{number}"), a_kept_answer())], NOW_MS)
    assert cache.recall([a_question("before")], NOW_MS) == [a_kept_answer()]
    go_on.set()
    stuck.join()
    cache.close()

    # One may have been taken by the writer and two wait; the rest is dropped.
    assert cache.counts["dropped"] >= 17
    assert cache.counts["kept"] + cache.counts["dropped"] == 21


def test_a_file_of_another_start_of_the_machine_or_none_of_lmdb_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    for spoilt, content in (("boot", b"x" * 16), ("data.mdb", b"no LMDB " * 4_096)):
        cache = LmdbAnswers(folder)
        cache.keep([(a_question(), a_kept_answer())], NOW_MS)
        cache.close()
        (folder / spoilt).write_bytes(content)

        cache = LmdbAnswers(folder)
        assert cache.recall([a_question()], NOW_MS) == [None]
        cache.keep([(a_question(), a_kept_answer())], NOW_MS)
        cache.flush()
        assert cache.recall([a_question()], NOW_MS) != [None]
        cache.close()


def test_a_value_of_another_form_is_unknown(tmp_path: Path) -> None:
    cache = LmdbAnswers(tmp_path / "answers")
    cache.keep([(a_question(), a_kept_answer())], NOW_MS)
    cache.flush()
    digest = a_question()
    for value in (b"", b"\x09" + b"x" * 40, b"\x02" + (NOW_MS * 2).to_bytes(8, "big") + b"\xc1no answer"):
        with cache._env.begin(write=True, db=cache._answers) as transaction:
            transaction.put(digest, value)
        assert cache.recall([a_question()], NOW_MS) == [None]
    cache.close()


def test_a_folder_that_cannot_be_opened_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendUnavailable, match="shared answers"):
        LmdbAnswers(tmp_path / "file")


def test_a_file_that_fails_forgets_and_raises_nothing(tmp_path: Path) -> None:
    cache = LmdbAnswers(tmp_path / "answers")
    env, cache._env = cache._env, lmdb.open(str(tmp_path / "other"), max_dbs=0)
    cache._env.close()

    assert cache.recall([a_question()], NOW_MS) == [None]
    cache.keep([(a_question(), a_kept_answer())], NOW_MS)
    cache.flush()
    assert cache.counts["failed"] == 2
    cache._env = env
    cache.close()


def test_questions_are_digests_of_what_is_asked_and_of_nothing_else() -> None:
    view = a_page_view(session_id="s")
    assert question_of(view) == question_of(replace(view, request_id="other", wire=b"x"))
    assert len({a_question("s"), a_question("t"), a_question("", url="s")}) == 3
