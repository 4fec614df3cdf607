"""How does a trained recommender lie on disk? A folder a version: arrays, trees, items, and a manifest over them.

`current` names the version that serves. It is replaced in one step after everything else is there, so a reader finds
the old version or the new one, never half of one. Nothing in it is code: arrays, LightGBM's text, JSON.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from common.errors import HaatError
from common.whole_files import replace_file
from feed.recommender.blend import Trees
from feed.recommender.content import Vocabulary
from feed.recommender.features import NAMES
from feed.recommender.hybrid import Hybrid
from feed.recommender.item_to_item import Together
from feed.recommender.items import Item, items_of
from feed.recommender.own_history import Rhythm
from feed.recommender.parts import Parts
from feed.recommender.ports import Neighbours
from feed.recommender.settings import Training
from ranking.forest import ModelRefused

SCHEMA = 1
CURRENT, MANIFEST = "current", "manifest.json"
ARRAYS, TREES, ITEMS, WORDS = "parts.npz", "blend.txt", "items.json", "vocabulary.json"
_FILES = (ARRAYS, TREES, ITEMS, WORDS)
_TABLES = ("ease", "basket", "vectors", "alike")
_VERSION = re.compile(r"[0-9]{1,20}")
_MAX_FILE_BYTES = 4 << 30


class RecommenderRefused(HaatError):
    """A recommender that is missing, damaged, or of another version of the code."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of manifest.json; `sha256` is of each file by its name."""

    schema: int
    version: str
    fitted_at_ms: int
    features: tuple[str, ...]
    items: int
    trees: int
    learned_events: int
    learned_from: str
    training: Training
    sha256: dict[str, str]


class _Words(msgspec.Struct):
    words: dict[str, int]
    categories: dict[str, int]


def save(folder: Path, hybrid: Hybrid, *, version: str, trees: int, learned_events: int, learned_from: str) -> Manifest:
    """Write a version and make it the current one; earlier ones stay. OSError when the disk does not take it."""
    assert _VERSION.fullmatch(version), "a version is a number, so that the newest is the largest"
    into = folder / version
    into.mkdir(parents=True, exist_ok=True)
    content = {
        ARRAYS: _packed(hybrid.parts),
        TREES: hybrid.trees.text.encode(),
        ITEMS: msgspec.json.encode(hybrid.items.all),
        WORDS: msgspec.json.encode(_Words(hybrid.parts.vocabulary.words, hybrid.parts.vocabulary.categories)),
    }
    manifest = Manifest(
        schema=SCHEMA,
        version=version,
        fitted_at_ms=hybrid.parts.fitted_at_ms,
        features=NAMES,
        items=len(hybrid.items),
        trees=trees,
        learned_events=learned_events,
        learned_from=learned_from,
        training=hybrid.training,
        sha256={name: hashlib.sha256(content[name]).hexdigest() for name in _FILES},
    )
    for name in _FILES:
        replace_file(into / name, content[name])
    replace_file(into / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    replace_file(folder / CURRENT, f"{version}\n".encode())
    return manifest


def drop_old(folder: Path, keep: int) -> list[str]:
    """Remove all but the `keep` newest versions, never the current one; which ones went.

    Whoever serves an old one has all of it in memory.
    """
    versions = sorted((path.name for path in folder.iterdir() if _VERSION.fullmatch(path.name)), key=int)
    gone = [version for version in versions[: max(len(versions) - keep, 0)] if version != current(folder)]
    for version in gone:
        shutil.rmtree(folder / version, ignore_errors=True)
    return gone


def current(folder: Path) -> str | None:
    """The version that serves, None when none was trained yet. RecommenderRefused when `current` names no version."""
    try:
        said = (folder / CURRENT).read_bytes()[:64].decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    if not _VERSION.fullmatch(said):
        raise RecommenderRefused(f"{CURRENT} names {said[:30]!r}, which is no version; run `haat train recommender`")
    return said


def load(folder: Path, version: str, neighbours: Neighbours) -> tuple[Hybrid, Manifest]:
    """A version as it was saved. RecommenderRefused says in a sentence what is wrong with a damaged or foreign one."""
    manifest = read_manifest(folder, version)
    content = {name: _read(folder / version / name) for name in _FILES}
    for name in _FILES:
        if hashlib.sha256(content[name]).hexdigest() != manifest.sha256.get(name):
            raise RecommenderRefused(f"{name} of version {version} is not what its manifest says: train again")
    try:
        items = items_of(msgspec.json.decode(content[ITEMS], type=tuple[Item, ...]))
        words = msgspec.json.decode(content[WORDS], type=_Words)
        with np.load(io.BytesIO(content[ARRAYS]), allow_pickle=False) as arrays:
            parts = _unpacked({name: arrays[name] for name in arrays.files}, words, manifest)
        trees = Trees(content[TREES].decode())
    except (ValueError, KeyError, AssertionError, msgspec.MsgspecError, ModelRefused) as trouble:
        raise RecommenderRefused(f"version {version} cannot be read ({str(trouble)[:120]}): train again") from trouble
    if not len(items) == parts.items == manifest.items:
        raise RecommenderRefused(f"version {version} has arrays of another catalogue than its items: train again")
    return Hybrid(items=items, parts=parts, trees=trees, training=manifest.training, neighbours=neighbours), manifest


def read_manifest(folder: Path, version: str) -> Manifest:
    """The manifest of a version, checked against this version of the code."""
    text = _read(folder / version / MANIFEST)
    try:
        schema = msgspec.json.decode(text, type=dict[str, Any]).get("schema")
        if schema != SCHEMA:
            raise RecommenderRefused(f"{MANIFEST} has the schema {schema}, this version reads {SCHEMA}: train again")
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as trouble:
        raise RecommenderRefused(
            f"{MANIFEST} of version {version} cannot be read ({trouble}): train again"
        ) from trouble
    if manifest.features != NAMES:
        other = ", ".join(sorted(set(manifest.features) ^ set(NAMES)))[:120] or "their order"
        raise RecommenderRefused(f"the recommender was trained on other features ({other}): train again")
    return manifest


def _packed(parts: Parts) -> bytes:
    together = parts.together
    arrays: dict[str, NDArray[Any]] = {
        "als": parts.als,
        "als_gram": parts.als_gram,
        "companions": together.companions,
        "counts": together.counts,
        "cosines": together.cosines,
        "own": together.own,
        "shrinkage": np.array(together.shrinkage),
        "idf": parts.vocabulary.idf,
        "popularity": parts.popularity,
        "season": parts.season,
        "since_ms": parts.since_ms,
        "interval_days": parts.rhythm.interval_days,
        "again": parts.rhythm.again,
        "log_price": parts.log_price,
        "category": parts.category,
    }
    for name in _TABLES:
        table: csr_array = getattr(parts, name)
        arrays |= {f"{name}.data": table.data, f"{name}.indices": table.indices, f"{name}.indptr": table.indptr}
        arrays[f"{name}.shape"] = np.array(table.shape)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    return packed.getvalue()


def _unpacked(arrays: dict[str, NDArray[Any]], words: _Words, manifest: Manifest) -> Parts:
    tables = {name: _table(arrays, name) for name in _TABLES}
    return Parts(
        fitted_at_ms=manifest.fitted_at_ms,
        ease=tables["ease"],
        als=arrays["als"],
        als_gram=arrays["als_gram"],
        together=Together(
            arrays["companions"], arrays["counts"], arrays["cosines"], arrays["own"], float(arrays["shrinkage"])
        ),
        basket=tables["basket"],
        vocabulary=Vocabulary(words.words, arrays["idf"], words.categories),
        vectors=tables["vectors"],
        alike=tables["alike"],
        popularity=arrays["popularity"],
        season=arrays["season"],
        since_ms=arrays["since_ms"],
        rhythm=Rhythm(arrays["interval_days"], arrays["again"]),
        log_price=arrays["log_price"],
        category=arrays["category"],
    )


def _table(arrays: dict[str, NDArray[Any]], name: str) -> csr_array:
    columns = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    table = csr_array(columns, shape=tuple(arrays[f"{name}.shape"].tolist()))
    table.check_format()
    return table


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise RecommenderRefused(
                f"{path.name} is larger than {_MAX_FILE_BYTES >> 30} GiB: train on a smaller catalogue"
            )
        return path.read_bytes()
    except OSError as trouble:
        raise RecommenderRefused(
            f"{path.name} of version {path.parent.name} cannot be read: {trouble.strerror}"
        ) from trouble
