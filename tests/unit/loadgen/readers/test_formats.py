"""Is the format of a log seen by what is in it?"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from common.errors import InvalidInput, NotFound
from loadgen.readers.formats import FORMATS, open_reader
from loadgen.readers.open_bandit import OpenBanditLog

OPENRTB = {"id": "1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]}
RTB_2012 = {"id": "1", "spots": [{"id": "1", "formats": ["300x250"]}], "timestamp": 1326240000}


@pytest.mark.parametrize("request_", [OPENRTB, RTB_2012], ids=["openrtb", "2012"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_json_lines_are_told_apart_by_their_fields(tmp_path: Path, request_: dict[str, object], packed: bool) -> None:
    data = b"no json\n" + json.dumps(request_).encode() + b"\n"
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(data) if packed else data)

    (view,) = open_reader(path)

    assert view.page_view.request_id == "1"


def test_the_folder_of_open_bandit_is_seen_by_its_logs(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "all.csv").write_text("")

    assert isinstance(open_reader(tmp_path), OpenBanditLog)


def test_what_cannot_be_told_says_what_could_be(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"a": 1}\n')

    with pytest.raises(InvalidInput, match="give OpenRTB bid requests or the 2012 request log"):
        open_reader(path)
    with pytest.raises(InvalidInput, match="give one of auto, " + ", ".join(FORMATS)):
        open_reader(path, "csv")
    with pytest.raises(InvalidInput, match="only that of the Open Bandit logs is read"):
        open_reader(tmp_path)
    with pytest.raises(NotFound):
        open_reader(tmp_path / "missing")


def test_a_damaged_gzip_file_is_told_with_its_line(tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join(json.dumps(OPENRTB).encode() for _ in range(5_000)))
    path = tmp_path / "log.gz"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InvalidInput, match="cut off or damaged"):
        list(open_reader(path))
