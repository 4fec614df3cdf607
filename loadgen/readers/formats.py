"""Which format is this log in? Told, or seen by what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.errors import FieldError, InvalidInput, NotFound
from loadgen.readers import open_bandit, openrtb_json, rtb_2012
from loadgen.readers.lines import numbered_lines, parse_object
from loadgen.views import BadLine, Reader

_LINES_LOOKED_AT = 100


def _open_bandit(path: Path, currency: str, seed: int) -> Reader:
    shop = open_bandit.ShopPage(currency=currency) if currency else open_bandit.ShopPage()
    return open_bandit.OpenBanditLog(path, seed=seed, shop=shop)


# What is added here can be replayed: the format's name and how a log of it is opened (path, currency, seed).
FORMATS: dict[str, Callable[[Path, str, int], Reader]] = {
    "open-bandit": _open_bandit,
    "openrtb-json": lambda path, currency, seed: openrtb_json.read(path, currency=currency),
    "rtb-2012": lambda path, currency, seed: rtb_2012.read(path, seed=seed),
}


def open_reader(path: Path | str, format: str = "auto", *, currency: str = "", seed: int = 1) -> Reader:
    """A reader of the log at `path`; `currency`, when given, is that of the floors, taken at par.

    NotFound when there is nothing at `path`, InvalidInput when the format is not known or cannot be seen.
    """
    path = Path(path)
    if not path.exists():
        raise NotFound(f"there is no {path} to replay")
    name = _format_of(path) if format == "auto" else format
    if name not in FORMATS:
        raise InvalidInput([FieldError("format", repr(name[:40]), f"give one of auto, {', '.join(FORMATS)}")])
    return FORMATS[name](path, currency, seed)


def _format_of(path: Path) -> str:
    if path.is_dir():
        if (path / "all" / "all.csv").is_file():
            return "open-bandit"
        raise InvalidInput([FieldError("path", f"{path} is a folder", "only that of the Open Bandit logs is read")])
    for number, line in numbered_lines(path):
        try:
            found = parse_object(line)
        except BadLine:
            found = {}
        if "imp" in found:
            return "openrtb-json"
        if "spots" in found:
            return "rtb-2012"
        if number >= _LINES_LOOKED_AT:
            break
    remedy = "give OpenRTB bid requests or the 2012 request log, one JSON object a line, or the Open Bandit folder"
    raise InvalidInput([FieldError("path", f"the format of {path} cannot be seen", remedy)])
