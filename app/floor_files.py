"""Where do floors stand? Rules in floors.json of the data folder, learned ones in models/floors; read and written."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import msgspec

from app.settings import Settings
from common.errors import BackendUnavailable, FieldError, InvalidInput
from common.whole_files import replace_file
from exchange.floor_log import Trained
from exchange.floor_rules import MAX_FILE_BYTES, FloorRules, read_rules, write_rules
from exchange.floors import NO_RULES
from exchange.learned_floors import LearnedFloors

RULES_FILE = "floors.json"
_log = logging.getLogger(__name__)
_KIND = "haat floors"
_FORMAT = 1
_MOST_SEGMENTS = 100_000


class FloorManifest(msgspec.Struct, frozen=True):
    """What must fit before learned floors are served; `serve` is False where the lift was not positive for sure."""

    kind: str
    format: int
    version: str
    currency: str
    serve: bool
    trained_from_ms: int
    trained_to_ms: int
    placements: int
    floors_sha256: str


def load_rules(data_dir: Path, currency: str) -> FloorRules:
    """The rules of a data folder, none where there is no file; InvalidInput."""
    path = data_dir / RULES_FILE
    if not path.exists():
        return NO_RULES
    return read_rules(_bytes(path), currency)


def save_rules(data_dir: Path, rules: FloorRules, currency: str) -> None:
    """Put rules in use: a running server takes them over within a second or two."""
    data_dir.mkdir(parents=True, exist_ok=True)
    _replace(data_dir / RULES_FILE, write_rules(rules, currency))


class FloorFile:
    """FloorStore over floors.json of a data folder."""

    def __init__(self, data_dir: Path, currency: str) -> None:
        self._data_dir = data_dir
        self._currency = currency

    def read(self) -> FloorRules:
        """See FloorStore."""
        return load_rules(self._data_dir, self._currency)

    def write(self, rules: FloorRules) -> None:
        """See FloorStore."""
        save_rules(self._data_dir, rules, self._currency)


def load_learned(models_dir: Path, currency: str) -> tuple[LearnedFloors | None, str]:
    """Learned floors that may be served, and a sentence; None with the reason otherwise. Nothing is raised."""
    folder = models_dir / "floors"
    if not (folder / "manifest.json").exists():
        return None, "no floors were learned: run `haat train floors`"
    try:
        manifest = msgspec.json.decode(_bytes(folder / "manifest.json"), type=FloorManifest)
        data = _bytes(folder / "floors.json")
        floors = msgspec.json.decode(data, type=LearnedFloors)
    except (msgspec.DecodeError, InvalidInput) as error:
        return None, f"the learned floors cannot be read: {error}"
    if (manifest.kind, manifest.format, manifest.currency) != (_KIND, _FORMAT, currency):
        return None, f"the learned floors are of another form or currency ({manifest.currency[:3]})"
    if hashlib.sha256(data).hexdigest() != manifest.floors_sha256:
        return None, "the learned floors are not those of their manifest"
    if len(floors.floors) > _MOST_SEGMENTS or not 0.0 <= floors.holdout <= 1.0:
        return None, "the learned floors are out of bounds"
    if any(floor.floor_micros < 0 for floor in floors.floors.values()):
        return None, "a learned floor is below zero"
    if not manifest.serve:
        return None, "the learned floors are not served: their lift was not above zero for sure"
    return floors, f"{len(floors.floors)} learned floors of version {floors.version}"


def load_before(models_dir: Path) -> LearnedFloors | None:
    """The floors that were learned last, whether they are served or not."""
    path = models_dir / "floors" / "floors.json"
    try:
        return msgspec.json.decode(_bytes(path), type=LearnedFloors) if path.exists() else None
    except (msgspec.DecodeError, InvalidInput):
        return None


def save_learned(models_dir: Path, trained: Trained, currency: str, from_ms: int, to_ms: int) -> FloorManifest:
    """Write floors.json, manifest.json and evaluation.json; they are served only where the lift is above zero."""
    folder = models_dir / "floors"
    folder.mkdir(parents=True, exist_ok=True)
    data = _json(trained.floors)
    manifest = FloorManifest(
        kind=_KIND,
        format=_FORMAT,
        version=trained.floors.version,
        currency=currency,
        serve=bool(trained.floors.floors) and trained.lift.low > 0.0,
        trained_from_ms=from_ms,
        trained_to_ms=to_ms,
        placements=trained.placements,
        floors_sha256=hashlib.sha256(data).hexdigest(),
    )
    _replace(folder / "floors.json", data)
    _replace(
        folder / "evaluation.json",
        _json(
            {
                "lift": trained.lift,
                "by_segment": trained.by_segment,
                "measured_against_holdout": trained.measured,
                "withdrawn": trained.withdrawn,
            }
        ),
    )
    _replace(folder / "manifest.json", _json(manifest))
    return manifest


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n"


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(8 * MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidInput([FieldError(str(path), f"cannot be read ({error.strerror})", "name another file")]) from None
    if len(data) > 8 * MAX_FILE_BYTES:
        raise InvalidInput([FieldError(str(path), f"more than {8 * MAX_FILE_BYTES} bytes", "make it smaller")])
    return data


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all, whoever reads meanwhile."""
    try:
        replace_file(path, data)
    except OSError as error:
        raise BackendUnavailable(f"{path} cannot be written: {error.strerror}") from None


def learned_floors_of(settings: Settings) -> LearnedFloors | None:
    """Learned floors where they are switched on and may be served."""
    if settings.learned_floors != "on":
        return None
    floors, why = load_learned(settings.models_dir, settings.currency)
    if floors is None:
        _log.warning("%s", why)
        return None
    return LearnedFloors(floors.version, settings.floor_holdout, floors.floors)
