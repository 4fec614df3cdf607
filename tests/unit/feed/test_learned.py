"""From pages in the event log to a model that ranks: the feed's whole way of learning, in small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from backends.event_log_lmdb import LmdbEventLog
from common.errors import InvalidInput
from feed import features
from feed.actions import ActionKind
from feed.heads import HEADS
from feed.learned import open_ranking
from feed.timeline import SCORERS
from feed.training_data import read
from ranking import heads
from ranking.forest import ModelRefused
from ranking.head_evaluation import judge, written
from ranking.head_model import PLACE, HeadManifest, load
from ranking.heads import HeadSettings
from ranking.settings import EvaluationSettings, TreeSettings
from streams import schemas
from streams.feed_events import FeedActionTaken, FeedPageServed
from tests.feed_builders import NOW_MS, TENANT, Feed, a_post, ids

NAMES = features.names(SCORERS)
VERSION = features.version(SCORERS)
WIDTH = len(NAMES)
TREES = TreeSettings(
    num_iterations=20, early_stopping_rounds=5, learning_rate=0.1, num_leaves=7, min_data_in_leaf=20,
    min_sum_hessian_in_leaf=0.0, lambda_l2=1.0, feature_fraction=1.0, max_bin=63, min_data_per_group=20,
    cat_smooth=10.0, cat_l2=10.0, seed=1, num_threads=1,
)  # fmt: skip
SETTINGS = HeadSettings(0.6, 0.2, TREES, "platt", EvaluationSettings(200, 1))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    opened = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 26)
    yield opened
    opened.close()


def a_page(number: int, table: NDArray[np.float32], **changes: object) -> FeedPageServed:
    """A page of session `number` at minute `number`, of one post a row of the table."""
    count = len(table)
    page = FeedPageServed(
        served_at_ms=NOW_MS + number * 60_000, tenant_id=TENANT, page_id=f"{number:032x}",
        session_id=f"session-{number}", visitor_id="", post_ids=tuple(ids(range(1, count + 1))),
        scores=(0.0,) * count, sources=("newest",) * count, propensities=(1.0,) * count,
        features=tuple(table.ravel().tolist()), features_version=VERSION,
    )  # fmt: skip
    return msgspec.structs.replace(page, **changes)


def an_action(number: int, kind: ActionKind, post: int, after_ms: int = 1_000) -> FeedActionTaken:
    at_ms = NOW_MS + number * 60_000 + after_ms
    return FeedActionTaken(at_ms, TENANT, f"session-{number}", "", int(kind), ids([post])[0], f"{number}-{post}")


def write(log: LmdbEventLog, *told: FeedPageServed | FeedActionTaken) -> None:
    for topic, kind in (("feed_pages", FeedPageServed), ("feed_actions", FeedActionTaken)):
        log.append(topic, [schemas.encode(one) for one in told if isinstance(one, kind)], NOW_MS)


def a_history(log: LmdbEventLog, pages: int, *, honest: bool = True) -> None:
    """Sessions that click posts with a high price (of which the hand-weighted score knows nothing) or, unless it is
    `honest`, at random; the last post of a page was drawn out of three.
    """
    chance = np.random.default_rng(3)
    price = NAMES.index("log_price")
    hand = NAMES.index("hand_weighted")
    told: list[FeedPageServed | FeedActionTaken] = []
    for number in range(pages):
        table = np.zeros((8, WIDTH), np.float32)
        table[:, price] = chance.uniform(0, 20, 8)
        table[:, hand] = chance.uniform(0, 1, 8)
        shown, beside = table[:6], table[6:]
        told.append(
            a_page(
                number,
                shown,
                alternative_places=(5, 5),
                alternative_ids=tuple(ids([90, 91])),
                alternative_features=tuple(beside.ravel().tolist()),
            )
        )
        for post in range(6):
            likely = 0.02 + 0.9 * (shown[post, price] / 20 if honest else 0.5)
            if chance.random() < likely:
                told.append(an_action(number, ActionKind.CLICK, post + 1))
                if chance.random() < 0.4:
                    told.append(an_action(number, ActionKind.SAVE, post + 1, 2_000))
    write(log, *told)


def test_actions_belong_to_the_latest_page_that_showed_the_post(log: LmdbEventLog) -> None:
    table = np.zeros((3, WIDTH), np.float32)
    second = a_page(0, table[:1], served_at_ms=NOW_MS + 10_000, page_id="f" * 32, post_ids=tuple(ids([1])),
                    scores=(0.0,), sources=("seen",), propensities=(1.0,))  # fmt: skip
    write(
        log, a_page(0, table), second,
        an_action(0, ActionKind.CLICK, 1, 11_000), an_action(0, ActionKind.CLICK, 2, 12_000),
        an_action(0, ActionKind.CLICK, 2, 13_000), an_action(0, ActionKind.HIDE, 3, 3 * 3_600_000),
        an_action(0, ActionKind.LIKE, 3, -1_000), an_action(9, ActionKind.CLICK, 3), an_action(0, ActionKind.SAVE, 50),
        an_action(0, ActionKind.LIKE, 2, 14_000), an_action(0, ActionKind.PURCHASE, 1, 5_000),
    )  # fmt: skip

    found = read(log, NAMES, VERSION).impressions

    assert len(found) == 4
    by_head = dict(zip(found.heads, found.labels.tolist(), strict=True))
    # Post 1 on its second page was clicked; on its first one it was bought, before the second came.
    assert by_head == {"click": [0, 1, 0, 1], "save": [0, 1, 0, 0], "buy": [1, 0, 0, 0], "hide": [0, 0, 0, 0]}
    assert found.place.tolist() == [0, 1, 2, 0]
    assert found.baseline.shape == (4, 4)


def test_pages_of_other_features_and_without_consent_are_not_learned_from(log: LmdbEventLog) -> None:
    table = np.zeros((2, WIDTH), np.float32)
    write(log, a_page(0, table, features_version="older"), a_page(1, table, features=(), features_version=""))

    assert len(read(log, NAMES, VERSION).impressions) == 0
    with pytest.raises(InvalidInput, match="impressions to learn from"):
        heads.split(read(log, NAMES, VERSION).impressions, SETTINGS)


def test_a_model_that_foresees_better_serves_and_is_what_lightgbm_says_bit_by_bit(
    log: LmdbEventLog, tmp_path: Path
) -> None:
    a_history(log, 1_200)
    examples = read(log, NAMES, VERSION)
    parts = heads.split(examples.impressions, SETTINGS)
    model, texts = heads.train(examples.impressions, parts, [head.worth for head in HEADS], VERSION, SETTINGS)
    draws = examples.draws_from(model.manifest.trained_until_ms)
    judged = judge(model, examples.impressions, parts, draws, SETTINGS)

    assert set(texts) == {"click", "save"}, "nobody bought or hid, so there is nothing to learn of it"
    assert judged.heads["click"].difference["log_loss"].high < 0
    assert judged.heads["buy"].model == {}
    assert judged.serving == "model"
    assert judged.snips_gain is not None
    assert judged.snips_gain.low > 0
    assert judged.draws == len(draws) < 1_200

    booster = lightgbm.Booster(model_str=texts["click"])
    columns = examples.impressions.features[:50]
    as_served = np.column_stack([columns, np.zeros(50)]).astype(np.float64)
    expected = model.manifest.heads[0].calibration.apply(np.asarray(booster.predict(as_served, raw_score=True)))
    assert np.array_equal(model.chances(columns)[0], expected)
    # Whatever else is scored with them.
    assert np.array_equal(model.chances(columns[3:4])[:, 0], model.chances(columns)[:, 3])

    manifest = msgspec.structs.replace(model.manifest, serving=judged.serving, sentence=judged.sentence)
    heads.write(tmp_path / "feed", manifest, texts, written(judged))
    ranking, sentence = open_ranking(tmp_path / "feed", SCORERS)
    assert ranking is not None
    assert sentence.startswith("The model serves: it earns more")
    assert open_ranking(tmp_path / "feed", SCORERS, "hand")[0] is None


def test_the_learned_ranking_ranks_pages_and_says_so(log: LmdbEventLog, tmp_path: Path) -> None:
    a_history(log, 400)
    examples = read(log, NAMES, VERSION)
    parts = heads.split(examples.impressions, SETTINGS)
    model, texts = heads.train(examples.impressions, parts, [head.worth for head in HEADS], VERSION, SETTINGS)
    heads.write(tmp_path / "feed", model.manifest, texts, b"{}")
    ranking, _ = open_ranking(tmp_path / "feed", SCORERS, "model")
    assert ranking is not None
    feed = Feed([a_post(number) for number in range(1, 30)], learned=ranking)

    told = feed.timeline.explain(feed.query())

    assert told.ranker == feed.page().ranker == model.version
    assert set(next(iter(told.scores.values()))) == {"click", "save", "buy", "hide", "taste", "reach"}


def test_a_model_that_does_not_beat_the_hand_weighted_ranking_does_not_serve(log: LmdbEventLog, tmp_path: Path) -> None:
    a_history(log, 300, honest=False)
    examples = read(log, NAMES, VERSION)
    parts = heads.split(examples.impressions, SETTINGS)
    model, texts = heads.train(examples.impressions, parts, [head.worth for head in HEADS], VERSION, SETTINGS)
    judged = judge(model, examples.impressions, parts, examples.draws_from(model.manifest.trained_until_ms), SETTINGS)

    assert judged.serving == "hand"
    manifest = msgspec.structs.replace(model.manifest, sentence=judged.sentence)
    heads.write(tmp_path / "feed", manifest, texts, written(judged))
    ranking, sentence = open_ranking(tmp_path / "feed", SCORERS)
    assert ranking is None
    assert sentence == judged.sentence


def test_a_missing_broken_or_foreign_model_is_refused_in_a_sentence_and_the_feed_ranks_without_it(
    log: LmdbEventLog, tmp_path: Path
) -> None:
    folder = tmp_path / "feed"
    assert open_ranking(folder, SCORERS) == (
        None,
        f"there is no {folder / 'manifest.json'} (No such file or directory); `haat train feed` makes one. "
        "The hand-weighted ranking serves without it.",
    )
    a_history(log, 200)
    examples = read(log, NAMES, VERSION)
    model, texts = heads.train(
        examples.impressions, heads.split(examples.impressions, SETTINGS), [1.0, 3.0, 6.0, -4.0], VERSION, SETTINGS
    )
    manifest = msgspec.structs.replace(model.manifest, serving="model")

    def refused(changed: HeadManifest, changed_texts: dict[str, str]) -> str:
        heads.write(folder, changed, changed_texts, b"{}")
        with pytest.raises(ModelRefused) as why:
            load(folder, NAMES, VERSION)
        assert open_ranking(folder, SCORERS)[0] is None
        return str(why.value)

    assert "is not the file" in refused(manifest, {**texts, "click": texts["click"] + "\n"})
    assert "features are not those" in refused(msgspec.structs.replace(manifest, features_version="x"), texts)
    assert "features are not those" in refused(
        msgspec.structs.replace(manifest, features=(*manifest.features[1:], PLACE)), texts
    )
    assert "schema 99" in refused(msgspec.structs.replace(manifest, schema=99), texts)
    (folder / "manifest.json").write_bytes(b"{ not json")
    assert "cannot be read" in open_ranking(folder, SCORERS)[1]
