"""What does a log of a feed with several kinds of feedback say? KuaiRand's columns, with features of the past alone.

KuaiRand (Gao et al. 2022, CC BY-SA 4.0) logs a video feed: clicks, long views, follows, likes and "not interested".
What happens after an impression is no feature of it; what the same user and video did before is.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import FieldError, InvalidInput, NotFound
from ranking.heads import HeadExamples

_MAX_FILE_BYTES = 256 << 20
_MAX_ROWS = 5_000_000
_COLUMNS = ("user_id", "video_id", "time_ms", "hourmin", "duration_ms", "is_click", "long_view", "is_follow", "label")
# A user or video without a past is taken for an average one of so many impressions.
_PRIOR = 10.0
# Of the video's past nothing is known to the head "hide": which videos are in the file depends on their likes, so how
# often one occurs gives the label away.
WITH_VIDEOS, USERS_ALONE = ("click", "long_view", "follow"), ("hide",)


def read(path: Path) -> tuple[HeadExamples, HeadExamples]:
    """(impressions with the heads click, long_view and follow, the same with the head hide), in the order of time.

    NotFound without such a file; InvalidInput names what in it cannot be read. `baseline` is the log-odds of the user's
    own past rate, and with videos of the video's too.
    """
    rows = _rows(path)
    # Milliseconds alone do not order what came in the same one.
    rows.sort(key=lambda row: (row["time_ms"], row["user_id"], row["video_id"]))
    heads = np.array(
        [[row["is_click"], row["long_view"], row["is_follow"], 1 - row["label"]] for row in rows], np.int8
    ).T
    users, videos = (np.unique([row[name] for row in rows], return_inverse=True)[1] for name in ("user_id", "video_id"))
    at_ms = np.array([row["time_ms"] for row in rows], np.int64)
    by_user = [_past_rates(users, labels) for labels in heads]
    by_video = [_past_rates(videos, labels) for labels in heads[:3]]
    own = [
        *by_user,
        _since_last(users, at_ms),
        np.array([row["hourmin"] // 100 for row in rows], np.float64),
        np.log1p([row["duration_ms"] for row in rows]),
    ]
    names = ("user_click", "user_long_view", "user_follow", "user_hide", "log_since_last_s", "hour", "log_duration")
    both = np.column_stack([*own, *by_video]).astype(np.float32)
    place, group = np.zeros(len(rows), np.int32), users.astype(np.int64)
    odds = [_log_odds(rates) for rates in by_user]
    with_videos = HeadExamples(
        names=(*names, "video_click", "video_long_view", "video_follow"),
        heads=WITH_VIDEOS,
        features=both,
        labels=heads[:3],
        place=place,
        at_ms=at_ms,
        group=group,
        baseline=np.array([odds[at] + _log_odds(by_video[at]) for at in range(3)]),
    )
    users_alone = HeadExamples(
        names=names,
        heads=USERS_ALONE,
        features=np.column_stack(own).astype(np.float32),
        labels=heads[3:],
        place=place,
        at_ms=at_ms,
        group=group,
        baseline=odds[3][None, :],
    )
    return with_videos, users_alone


def _past_rates(who: NDArray[np.intp], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """The smoothed rate of each one's impressions before this one; the overall rate so far is what it starts from."""
    seen: defaultdict[int, float] = defaultdict(float)
    done: defaultdict[int, float] = defaultdict(float)
    rates = np.empty(len(labels))
    total = 0.0
    for at, (one, label) in enumerate(zip(who.tolist(), labels.tolist(), strict=True)):
        overall = (total + 1.0) / (at + 2.0)
        rates[at] = (done[one] + _PRIOR * overall) / (seen[one] + _PRIOR)
        seen[one] += 1.0
        done[one] += label
        total += label
    return rates


def _since_last(who: NDArray[np.intp], at_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """log(1 + seconds) since the user's impression before this one; a day where there was none."""
    last: dict[int, int] = {}
    seconds = np.empty(len(who))
    for at, (one, now) in enumerate(zip(who.tolist(), at_ms.tolist(), strict=True)):
        seconds[at] = (now - last[one]) / 1000 if one in last else 86_400.0
        last[one] = now
    return np.log1p(seconds)


def _log_odds(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(rates, 1e-6, 1 - 1e-6)
    return np.log(kept / (1 - kept))


def _rows(path: Path) -> list[dict[str, int]]:
    if not path.is_file():
        raise NotFound(f"no log at {path}; give KuaiRand's log as CSV, gzipped or not")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise InvalidInput([FieldError(path.name, "too large", f"at most {_MAX_FILE_BYTES >> 20} MiB are read")])
    rows: list[dict[str, int]] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as source:
            reader = csv.DictReader(source)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidInput([FieldError(f"column {name}", "missing", "give KuaiRand's log") for name in missing])
            for row in reader:
                if len(rows) >= _MAX_ROWS:
                    raise InvalidInput([FieldError(path.name, "too long", f"at most {_MAX_ROWS} rows are read")])
                try:
                    # Some exports write whole numbers as 1.0.
                    rows.append({name: int(float(row[name])) for name in _COLUMNS})
                except (TypeError, ValueError, OverflowError):
                    raise InvalidInput(
                        [FieldError(f"line {reader.line_num}", "not a number in each column", "fetch the log again")]
                    ) from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as trouble:
        raise InvalidInput([FieldError(path.name, str(trouble)[:80], "fetch the log again")]) from trouble
    if not rows:
        raise InvalidInput([FieldError(path.name, "no impressions", "fetch the log again")])
    return rows
