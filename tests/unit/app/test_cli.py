"""Do commands end as documented: results on stdout, one clear sentence on stderr, an exit code?"""

import json
from pathlib import Path

import pytest

from app.cli import main


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


Captured = pytest.CaptureFixture[str]


def test_no_command_prints_the_help_and_is_fine(capsys: Captured) -> None:
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_config_show_prints_name_value_origin_and_meaning(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAAT_GRPC_PORT", "6000")

    assert main(["config", "show", "--set", "tmax_ms=80"]) == 0

    lines = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["grpc_port"].startswith("6000\tHAAT_GRPC_PORT\tport of")
    assert lines["tmax_ms"].startswith("80\t--tmax-ms\t")


def test_config_show_as_json_is_one_document(capsys: Captured) -> None:
    assert main(["config", "show", "--json"]) == 0

    found = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert found["http_port"]["value"] == "8080"
    assert found["http_port"]["origin"] == "default"


def test_version_as_text_and_as_json(capsys: Captured) -> None:
    assert main(["version"]) == 0
    said = capsys.readouterr().out.split()
    assert main(["version", "--json"]) == 0

    assert said == ["haat", json.loads(capsys.readouterr().out)["version"]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--grcp-port", "1"], "No such option: --grcp-port"),
        (["sreve"], "No such command 'sreve'"),
        (["auction"], "Missing command"),
        (["auction", "explain"], "Missing argument 'ID'"),
        (["auction", "explain", "12"], "ID: 12 — give the 32 hexadecimal digits of an answer"),
        (["serve", "--grpc-port", "http"], "--grpc-port: http — give a whole number within 0..65535"),
        (["demo", "--for", "soon"], "--for: soon — write a number with a unit"),
        (["config", "show", "--set", "tmax_ms"], "--set: tmax_ms — write --set name=value"),
        (["config", "show", "--config", "none.toml"], "cannot be read (No such file or directory)"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: list[str], says: str, capsys: Captured) -> None:
    assert main(arguments) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("haat: ")
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_several_bad_settings_are_listed_at_once(capsys: Captured) -> None:
    assert main(["serve", "--grpc-port", "x", "--http-port", "y"]) == 2

    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "haat: 2 things cannot be taken:"
    assert [line.split(":")[0].strip() for line in rest] == ["--grpc-port", "--http-port"]
