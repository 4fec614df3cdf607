"""How is a log of the KuaiRand short-video feed read? CSV through DuckDB, into a log to learn from.

The data: Gao et al., CIKM 2022, CC BY-SA 4.0. A click is a click, a long view counts as a like, "not interested" (label
0) as a hide. The label 1 is not used: which videos are in the log depends on it.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

from backends.duckdb_tables import fetch, open_tables
from feed.recommender.feedback import Kind
from feed.recommender.histories import gather
from feed.recommender.items import Item, items_of
from feed.recommender.log import Log

COLUMNS = ("user_id", "video_id", "time_ms", "is_click", "long_view", "duration_ms", "label")
_VIDEOS = """
    select cast(video_id as varchar) as item, max(cast(duration_ms as bigint)) // 10000 as duration
    from feedback group by video_id order by video_id
"""
_USERS = "select cast(user_id as varchar) as visitor from feedback group by user_id order by user_id"
_EVENTS = """
    select dense_rank() over (order by user_id) - 1 as visitor, dense_rank() over (order by video_id) - 1 as item,
        cast(time_ms as bigint) as at_ms, cast(is_click as int) = 1 as click, cast(long_view as int) = 1 as long_view,
        cast(label as int) = 0 as disliked
    from feedback
"""


def read(file: Path) -> Log:
    """The log of one file with COLUMNS; NotFound or InvalidInput says what is wrong with it."""
    with duckdb.connect(":memory:") as engine:
        open_tables(engine, "feedback", [file], COLUMNS)
        videos, users, events = (fetch(engine, query, file) for query in (_VIDEOS, _USERS, _EVENTS))
    # One event for each thing that was done; all of a showing have its time.
    done = [(events["click"], Kind.CLICK), (events["long_view"], Kind.LIKE), (events["disliked"], Kind.HIDE)]
    where = [np.flatnonzero(np.asarray(flags, np.bool_)) for flags, _ in done]
    rows = np.concatenate(where)
    visitors = tuple(users["visitor"].tolist())
    columns = zip(videos["item"].tolist(), videos["duration"].tolist(), strict=True)
    return Log(
        visitors,
        np.ones(len(visitors), np.bool_),
        # All that is known of a video beforehand is how long it is, in steps of ten seconds.
        items_of([Item(item, "", f"{min(int(tens), 12) * 10} s") for item, tens in columns]),
        gather(
            np.asarray(events["visitor"])[rows],
            np.asarray(events["item"])[rows],
            np.repeat([kind for _, kind in done], [len(at) for at in where]),
            np.asarray(events["at_ms"])[rows],
            count=len(visitors),
        ),
        (Kind.CLICK, Kind.LIKE),
    )
