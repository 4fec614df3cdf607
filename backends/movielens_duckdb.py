"""How are MovieLens ratings read? The folder's CSV files through DuckDB, into a log to learn from.

The data: GroupLens, research use. 4 stars and more are a like, 2 and less a hide, what lies between a view.
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

RATINGS, FILMS = "ratings.csv.gz", "movies.csv.gz"
_FILMS = """
    select cast(f.movieId as varchar) as item, coalesce(f.title, '') as title, coalesce(f.genres, '') as genres
    from films f where f.movieId in (select movieId from ratings) order by f.movieId
"""
_USERS = """
    select cast(userId as varchar) as visitor from ratings where movieId in (select movieId from films)
    group by userId order by userId
"""
_EVENTS = """
    select dense_rank() over (order by r.userId) - 1 as visitor, dense_rank() over (order by r.movieId) - 1 as item,
        cast(r.rating as double) as rating, cast(r.timestamp as bigint) * 1000 as at_ms
    from ratings r where r.movieId in (select movieId from films)
"""


def read(folder: Path) -> Log:
    """The ratings and films of a folder; NotFound or InvalidInput says what is wrong with a file."""
    ratings, films = folder / RATINGS, folder / FILMS
    with duckdb.connect(":memory:") as engine:
        open_tables(engine, "ratings", [ratings], ("userId", "movieId", "rating", "timestamp"))
        open_tables(engine, "films", [films], ("movieId", "title", "genres"))
        found, users, events = (
            fetch(engine, _FILMS, films), fetch(engine, _USERS, ratings), fetch(engine, _EVENTS, ratings),
        )  # fmt: skip
    stars = np.asarray(events["rating"])
    visitors = tuple(users["visitor"].tolist())
    columns = zip(found["item"].tolist(), found["title"].tolist(), found["genres"].tolist(), strict=True)
    return Log(
        visitors,
        np.ones(len(visitors), np.bool_),
        items_of([
            Item(item, f"{title} {genres.replace('|', ' ')}", genres.partition("|")[0])
            for item, title, genres in columns
        ]),
        gather(
            events["visitor"],
            events["item"],
            np.where(stars >= 4.0, Kind.LIKE, np.where(stars <= 2.0, Kind.HIDE, Kind.VIEW)),
            events["at_ms"],
            count=len(visitors),
        ),
        (Kind.LIKE,),
    )  # fmt: skip
