"""How are posts, products and people found by words? Search over SQLite's FTS5, in a file of its own.

The file holds nothing that the records do not: it may be deleted and is made again. Scripts that write no blanks
between words (Chinese, Japanese, Thai) are found by the beginning of a run of letters only.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from common.errors import BackendUnavailable
from feed.social.marking import excerpt, marked
from feed.social.words import MARK_BEGIN, MARK_END, Document, Found, Query, SearchKind

# So many hits, by relevance, are ranked by recency too; nobody looks further.
MOST_RANKED: Final = 500
# A thing of this age is worth half of what recency can add.
HALF_LIFE_MS: Final = 30 * 86_400_000
# How much more a new thing is worth than an ageless one that is met as well.
RECENCY: Final = 0.5
# A word in the title counts for so much more than one in the body; hashtags stand between.
_WEIGHTS: Final = "0.0, 4.0, 1.0, 2.0"
_LAYOUT: Final = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    tenant TEXT NOT NULL, kind INTEGER NOT NULL, id TEXT NOT NULL, person TEXT NOT NULL, at_ms INTEGER NOT NULL,
    number INTEGER PRIMARY KEY, UNIQUE (tenant, kind, id)
);
CREATE INDEX IF NOT EXISTS keys_person ON keys (tenant, person);
CREATE VIRTUAL TABLE IF NOT EXISTS docs USING fts5(
    scope, title, body, tags, prefix = '2 3', tokenize = "unicode61 remove_diacritics 2 categories 'L* N* M*'"
);
"""


class FtsSearch:
    """Search over one SQLite file; safe to use from several threads, one at a time goes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turn = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # What is removed is overwritten, and a lost file is made again: it need not be synced.
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = OFF")
            if self._db.execute("PRAGMA user_version").fetchone()[0] not in (0, _LAYOUT):
                self._db.executescript("DROP TABLE IF EXISTS keys; DROP TABLE IF EXISTS docs;")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {_LAYOUT}")
        except sqlite3.Error as error:
            raise BackendUnavailable(
                f"the search index {path} cannot be opened ({error}): delete it, it is made again at the next start"
            ) from error

    def put(self, documents: Sequence[Document]) -> None:
        """Add or replace documents."""
        with self._writing() as db:
            for one in documents:
                numbers = _numbers(db, one.tenant_id, one.kind, [one.id])
                # A product whose price or stock changed is found by the same words as before.
                if numbers and _says(db, numbers[0]) == _said(one):
                    continue
                _remove(db, numbers)
                cursor = db.execute(
                    "INSERT INTO keys (tenant, kind, id, person, at_ms) VALUES (?, ?, ?, ?, ?)",
                    (one.tenant_id, int(one.kind), one.id, one.person_id, one.at_ms),
                )
                db.execute(
                    "INSERT INTO docs (rowid, scope, title, body, tags) VALUES (?, ?, ?, ?, ?)",
                    (cursor.lastrowid, *_said(one)[:-1]),
                )

    def forget(self, tenant_id: str, kind: SearchKind, ids: Sequence[str]) -> int:
        """Remove documents."""
        with self._writing() as db:
            numbers = _numbers(db, tenant_id, kind, ids)
            _remove(db, numbers)
        return len(numbers)

    def forget_person(self, tenant_id: str, person_id: str) -> int:
        """Remove all documents of a person, their words too."""
        with self._writing() as db:
            rows = db.execute("SELECT number FROM keys WHERE tenant = ? AND person = ?", (tenant_id, person_id))
            numbers = [row[0] for row in rows.fetchall()]
            _remove(db, numbers)
        if numbers:
            with self._writing() as db:
                # Removed words stay in the lists of words until these are merged.
                db.execute("INSERT INTO docs (docs) VALUES ('optimize')")
        return len(numbers)

    def find(self, query: Query) -> list[Found]:
        """Documents that hold all words."""
        if not query.words or not query.kinds:
            return []
        recency = f"1.0 + {RECENCY} * CASE WHEN k.at_ms = 0 THEN 0.0 ELSE :half / (:half + max(:now - k.at_ms, 0)) END"
        ranked = f"""
            SELECT k.number AS number, k.kind AS kind, k.id AS id, -r.rank_ * ({recency}) AS score
            FROM (SELECT rowid AS number, bm25(docs, {_WEIGHTS}) AS rank_ FROM docs
                  WHERE docs MATCH :match ORDER BY rank_ LIMIT {MOST_RANKED}) AS r
            JOIN keys AS k ON k.number = r.number
            WHERE k.at_ms <= :now
            ORDER BY score DESC, k.kind, k.id LIMIT :limit OFFSET :offset"""
        asked = {
            "match": _match(query), "half": float(HALF_LIFE_MS), "now": query.now_ms, "limit": query.limit,
            "offset": query.offset,
        }  # fmt: skip
        found = []
        with self._asking() as db:
            for number, kind, id_, score in db.execute(ranked, asked).fetchall():
                title, body = db.execute("SELECT title, body FROM docs WHERE rowid = ?", (number,)).fetchone()
                shown = marked(title, query.words), excerpt(marked(body, query.words))
                found.append(Found(SearchKind(kind), id_, title=shown[0], snippet=shown[1], score=score))
        return found

    def count(self) -> int:
        """How many documents there are."""
        with self._asking() as db:
            return int(db.execute("SELECT count(*) FROM keys").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._db.close()

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise BackendUnavailable(f"the search index does not answer: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._asking() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _numbers(db: sqlite3.Connection, tenant_id: str, kind: SearchKind, ids: Sequence[str]) -> list[int]:
    found = []
    for one in ids:
        key = (tenant_id, int(kind), one)
        row = db.execute("SELECT number FROM keys WHERE tenant = ? AND kind = ? AND id = ?", key).fetchone()
        found += [] if row is None else [row[0]]
    return found


def _remove(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    for number in numbers:
        db.execute("DELETE FROM docs WHERE rowid = ?", (number,))
        db.execute("DELETE FROM keys WHERE number = ?", (number,))


def _said(one: Document) -> tuple[str, str, str, str, int]:
    tags = _plain(" ".join(one.tags))
    return _scope(one), _plain(one.title), _plain(one.body), tags, one.at_ms


def _says(db: sqlite3.Connection, number: int) -> tuple[object, ...] | None:
    joined = "SELECT scope, title, body, tags, at_ms FROM docs JOIN keys ON number = docs.rowid WHERE docs.rowid = ?"
    row: tuple[object, ...] | None = db.execute(joined, (number,)).fetchone()
    return row


def _plain(text: str) -> str:
    return text.replace(MARK_BEGIN, "").replace(MARK_END, "")


def _token(what: str, *parts: str) -> str:
    """A word that stands for a tenant, a kind, a person or a tag, and that nobody writes: letters and digits alone."""
    return what + blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=10).hexdigest()


def _scope(one: Document) -> str:
    tokens = [_token("t", one.tenant_id), _token("k", str(int(one.kind)))]
    tokens += [_token("p", one.person_id)] if one.person_id else []
    return " ".join(tokens + [_token("g", tag) for tag in one.tags])


def _words(query: Query) -> str:
    # Quoted, so that nothing in a word is an operator of the query language.
    quoted = ['"' + word.replace('"', '""').replace("\0", " ") + '"' for word in query.words]
    return "{title body tags} : (" + " AND ".join([*quoted[:-1], quoted[-1] + " *"]) + ")"


def _match(query: Query) -> str:
    scope = [_token("t", query.tenant_id)]
    scope += [_token("p", query.person_id)] if query.person_id else []
    scope += [_token("g", query.tag)] if query.tag else []
    kinds = set(query.kinds)
    if kinds != set(SearchKind):
        scope.append("(" + " OR ".join(_token("k", str(int(kind))) for kind in sorted(kinds)) + ")")
    return f"scope : ({' AND '.join(scope)}) AND {_words(query)}"
