"""Do `haat load` and `haat replay` say what is missing before they call anybody?"""

from pathlib import Path

import pytest

from app.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HAAT_API_KEY", raising=False)


def test_without_a_key_nobody_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load"]) == 2
    assert "HAAT_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["load", "--mode", "carrier-pigeon"], "give one of unary, stream, batch"),
        (["load", "--for", "0s"], "duration_s"),
        (["load", "--source", "none.json"], "there is no none.json to replay"),
        (["replay", "none.json"], "there is no none.json to replay"),
    ],
)
def test_bad_input_is_refused_before_anybody_is_called(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HAAT_API_KEY", "hunter2")

    assert main(arguments) == 2

    said = capsys.readouterr().err
    assert says in said
    assert "hunter2" not in said
