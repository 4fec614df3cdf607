"""Do the commands of moderation end as documented?"""

import json
from pathlib import Path

import pytest

from app.cli import main
from app.wiring_checks import known_pictures
from backends.image_bans_sql import SqlImageBans
from feed.moderation.check_ports import ImageBan
from feed.moderation.image_hash import ImageHash
from feed.moderation.pictures import Picture
from tests.databases import open_database

pytestmark = pytest.mark.slow

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_harmless_text_is_clean(capsys: Captured) -> None:
    assert main(["moderation", "check", "My new scarf is so soft"]) == 0

    assert capsys.readouterr().out.startswith("outcome: clean\n")


def test_a_disguised_one_is_found_and_told_as_json(capsys: Captured) -> None:
    assert main(["moderation", "check", "--json", "you stupid b1tch, see http://paypa1.com"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["outcome"] == "held"
    assert {finding["label"] for finding in found["findings"]} >= {"offensive", "scam_link"}
    assert found["read_as"] == "you stupid bitch, see http://paypa1.com"


def test_a_broken_model_holds_everything_and_says_why(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "moderation").mkdir()
    (tmp_path / "moderation" / "manifest.json").write_text("{}")

    assert main(["moderation", "check", "hello", "--models-dir", str(tmp_path)]) == 0

    shown = capsys.readouterr().out
    assert "outcome: held" in shown
    assert "haat train moderation" in shown


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_training_and_judging_ask_for_their_data(command: str, capsys: Captured, tmp_path: Path) -> None:
    assert main([command, "moderation"]) == 2
    assert "--data" in capsys.readouterr().err
    assert main([command, "moderation", "--data", str(tmp_path)]) == 2
    assert "moderation_davidson" in capsys.readouterr().err


def test_nothing_else_can_be_judged(capsys: Captured) -> None:
    assert main(["evaluate", "weather"]) == 2
    assert "give one of click, feed, moderation, recommender" in capsys.readouterr().err


def test_an_operators_domains_are_blocked_and_protected(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("# ours\nweather.example\n\nxn--mnchen-3ya.de\n")
    (tmp_path / "protected.txt").write_text("lindenweaving.com\n")
    files = ["--set", "blocked_domains_file=blocked.txt", "--set", "protected_domains_file=protected.txt"]

    for link in ("http://a.weather.example", "http://münchen.de", "http://lindenweavlng.com"):
        assert main(["moderation", "check", *files, f"My scarf is so soft, from {link}"]) == 0
        assert "scam_link" in capsys.readouterr().out, link


def test_a_line_that_is_no_domain_is_named(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("good.example\nhttp://bad.example/\n")

    assert main(["moderation", "check", "--set", "blocked_domains_file=blocked.txt", "hello"]) == 2

    assert "blocked_domains_file, line 2" in capsys.readouterr().err


def test_bans_are_read_for_every_tenant(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    bans = SqlImageBans(engine)
    bans.add("t", ImageBan("ab" * 32, "stolen", "m", 1))

    pictures = known_pictures(bans, ["t", "other"])
    engine.dispose()

    banned = Picture("picture 1", "p", ImageHash(b"\xab" * 32, 100))
    assert pictures.finding("t", "ann", banned) is not None
    assert pictures.finding("other", "ann", banned) is None
