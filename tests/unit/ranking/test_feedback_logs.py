from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from common.errors import InvalidInput, NotFound
from ranking.feedback_logs import read

HEADER = "user_id,video_id,time_ms,hourmin,duration_ms,is_click,long_view,is_follow,label,extra"


def a_log(folder: Path, *rows: str) -> Path:
    path = folder / "log.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *rows]).encode()))
    return path


def test_features_are_of_the_past_alone_and_labels_of_the_row(tmp_path: Path) -> None:
    path = a_log(
        tmp_path,
        "2,7,3000,1305,1000,0,0,0,0,x", "1,7,1000,1300,1000,1,1,0,1,x", "1,8,2000,1301,9000,1,0,1.0,1,x",
    )  # fmt: skip

    with_videos, users = read(path)

    assert with_videos.at_ms.tolist() == [1000, 2000, 3000]
    assert with_videos.labels.tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert users.heads == ("hide",)
    assert users.labels.tolist() == [[0, 0, 1]]
    clicks = with_videos.features[:, with_videos.names.index("user_click")]
    # The first row knows nothing; the second that the user clicked once; the third user is new: the rate so far.
    assert clicks == pytest.approx([0.5, (1 + 10 * 2 / 3) / 11, 3 / 4])
    assert not any(name.startswith("video") for name in users.names)
    assert with_videos.names[:7] == users.names
    since = np.expm1(with_videos.features[:, with_videos.names.index("log_since_last_s")])
    assert since == pytest.approx([86_400, 1, 86_400], rel=1e-3)
    # A row's features do not change when what comes after it does.
    changed = a_log(
        tmp_path, "1,7,1000,1300,1000,1,1,0,1,x", "1,8,2000,1301,9000,0,1,0,0,x", "2,7,3000,1305,1000,1,1,1,1,x"
    )
    assert np.array_equal(read(changed)[0].features[:2], with_videos.features[:2])


@pytest.mark.parametrize(
    ("rows", "field"), [((), "log.csv.gz"), (("1,7,1000,1300,1000,yes,1,0,1,x",), "line 2"), (("1,7",), "line 2")]
)
def test_what_cannot_be_read_is_named(tmp_path: Path, rows: tuple[str, ...], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(a_log(tmp_path, *rows))

    assert refused.value.errors[0].field == field


def test_a_missing_file_or_column_or_a_broken_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read(tmp_path / "none.csv")
    plain = tmp_path / "log.csv"
    plain.write_text("user_id,video_id\n1,2\n")
    with pytest.raises(InvalidInput, match="column time_ms"):
        read(plain)
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(HEADER.encode())[:-9])
    with pytest.raises(InvalidInput):
        read(broken)
