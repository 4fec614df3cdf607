"""Which labelled texts are learned from? Four collections with a licence, read from a folder beside the project.

Parts are cut by a digest of the normalised text, so that a text and its copies lie in one part, on every machine.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import html
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.errors import FieldError, InvalidInput
from feed.moderation.text import normalise
from feed.verdict import Label

LABELS: Final = (Label.HATE, Label.OFFENSIVE, Label.SPAM, Label.SCAM_LINK, Label.CLICKBAIT)
_MOST_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Example:
    """A text with what is known of it, 1 or 0 by label; a label that is missing was not judged. `page`: of a video."""

    text: str
    is_: Mapping[Label, int]
    page: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """A data set: its folder, the columns that must be there, how a row is read, and whom to thank for it."""

    name: str
    columns: frozenset[str]
    read: Callable[[Mapping[str, str]], Example | None]
    licence: str
    credit: str


def _tweet(row: Mapping[str, str]) -> Example | None:
    # 0 hate, 1 offensive, 2 neither; what is hateful is offensive too.
    kind = row["class"]
    if kind not in ("0", "1", "2"):
        return None
    return Example(html.unescape(row["tweet"]), {Label.HATE: int(kind == "0"), Label.OFFENSIVE: int(kind != "2")})


def _message(row: Mapping[str, str]) -> Example | None:
    if row["label"] not in ("ham", "spam"):
        return None
    return _unasked(row["text"], row["label"] == "spam")


def _comment(row: Mapping[str, str]) -> Example | None:
    if row["CLASS"] not in ("0", "1"):
        return None
    return _unasked(html.unescape(row["CONTENT"]), row["CLASS"] == "1", row.get("video", ""))


def _unasked(text: str, spam: bool, page: str = "") -> Example:
    return Example(text, {Label.SPAM: int(spam), Label.SCAM_LINK: int(spam and asks_for_contact(text))}, page)


def _headline(row: Mapping[str, str]) -> Example | None:
    if row["clickbait"] not in ("0", "1"):
        return None
    return Example(row["headline"], {Label.CLICKBAIT: int(row["clickbait"])})


def asks_for_contact(text: str) -> bool:
    """Does it hold a link, a telephone number or a short code? With the label spam this stands in for a scam's bait."""
    digits = sum(map(str.isdigit, text))
    lowered = text.lower()
    return digits >= 5 or any(sign in lowered for sign in ("http", "www.", ".com", ".net", ".org", ".co.uk", "watch?v"))


COLLECTIONS: Final = (
    Collection(
        "moderation_davidson",
        frozenset({"class", "tweet"}),
        _tweet,
        "MIT",
        "T. Davidson, D. Warmsley, M. Macy, I. Weber, Automated Hate Speech Detection and the Problem of Offensive "
        "Language, ICWSM 2017",
    ),
    Collection(
        "moderation_sms_spam",
        frozenset({"label", "text"}),
        _message,
        "CC BY 4.0",
        "T. A. Almeida, J. M. Gómez Hidalgo, SMS Spam Collection v.1, UCI Machine Learning Repository",
    ),
    Collection(
        "moderation_youtube_spam",
        frozenset({"CONTENT", "CLASS"}),
        _comment,
        "CC BY 4.0",
        "T. C. Alberto, J. V. Lochter, T. A. Almeida, YouTube Spam Collection, UCI Machine Learning Repository",
    ),
    Collection(
        "moderation_clickbait",
        frozenset({"headline", "clickbait"}),
        _headline,
        "MIT",
        "A. Chakraborty, B. Paranjape, S. Kakarla, N. Ganguly, Stop Clickbait, ASONAM 2016",
    ),
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """All examples by collection, and the SHA-256 of every file that was read, by collection/file."""

    examples: Mapping[str, tuple[Example, ...]]
    sha256: Mapping[str, str]


def read(folder: Path) -> Corpus:
    """Read `folder`/<collection>/*.csv.gz; InvalidInput names what is missing or cannot be read."""
    examples: dict[str, tuple[Example, ...]] = {}
    digests: dict[str, str] = {}
    wrong: list[FieldError] = []
    for collection in COLLECTIONS:
        files = sorted((folder / collection.name).glob("*.csv.gz"))
        if not files:
            remedy = f"put {collection.name}/*.csv.gz there: {collection.credit} ({collection.licence})"
            wrong.append(FieldError("--data", f"{folder} has no {collection.name}", remedy))
            continue
        found: list[Example] = []
        for file in files:
            digests[f"{collection.name}/{file.name}"], rows = _rows(file, collection)
            found += rows
        examples[collection.name] = tuple(found)
    if wrong:
        raise InvalidInput(wrong)
    return Corpus(examples, digests)


def _rows(file: Path, collection: Collection) -> tuple[str, list[Example]]:
    try:
        packed = file.read_bytes()
        with gzip.open(io.BytesIO(packed)) as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InvalidInput([FieldError(file.name, f"over {_MOST_BYTES} bytes", "give a smaller file")])
        csv.field_size_limit(min(sys.maxsize, 1 << 24))
        table = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        if not collection.columns <= set(table.fieldnames or ()):
            remedy = f"the columns {', '.join(sorted(collection.columns))} are needed"
            raise InvalidInput([FieldError(file.name, f"columns {table.fieldnames}"[:200], remedy)])
        rows = [example for row in table if (example := collection.read(row)) is not None]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as trouble:
        raise InvalidInput([FieldError(file.name, str(trouble)[:200], "give a gzipped CSV file in UTF-8")]) from trouble
    return hashlib.sha256(packed).hexdigest(), rows


def part_of(text: str, shares: tuple[float, float]) -> str:
    """`training`, `validation` or `test`, by a digest of the normalised text; `shares` are those of the first two."""
    key = " ".join(normalise(text).folded.text.split())
    place = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return "training" if place < shares[0] else "validation" if place < sum(shares) else "test"
