"""Do profiles give way to all that is said otherwise, and does every command take one?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app import settings
from app.cli import main
from app.profile_files import profiles
from common.errors import InvalidInput
from services.roster import ENGINES


def test_a_profile_gives_way_to_the_file_the_environment_and_flags(tmp_path: Path) -> None:
    (tmp_path / "haat.toml").write_text('redis_url = "redis://toml:1/0"', encoding="utf-8")

    found = settings.load(
        {"kafka_brokers": "flag:1"},
        profile="cluster",
        environment={"HAAT_DATABASE_URL": "postgresql://haat@environment/haat"},
        folder=tmp_path,
    )

    assert found.redis_url == "redis://toml:1/0"
    assert found.database_url == "postgresql://haat@environment/haat"
    assert found.kafka_brokers == "flag:1"
    assert found.origins["elasticsearch_url"] == "profile cluster"


@pytest.mark.parametrize(("profile", "field"), [(None, "HAAT_PROFILE"), ("nosuch", "--profile")])
def test_an_unknown_profile_is_refused_with_the_list(tmp_path: Path, profile: str | None, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"{field}: nosuch.*give one of cluster"):
        settings.load(environment={"HAAT_PROFILE": "nosuch"}, folder=tmp_path, profile=profile)


@pytest.mark.parametrize("name", profiles())
def test_every_profile_can_be_read(tmp_path: Path, name: str) -> None:
    assert settings.load(environment={"HAAT_PROFILE": name}, folder=tmp_path).origins


def test_the_cluster_profile_names_the_ports_that_the_engines_take_first(tmp_path: Path) -> None:
    found = settings.load(profile="cluster", environment={}, folder=tmp_path)

    assert {getattr(found, engine.setting) for engine in ENGINES.values()} == {
        engine.address(engine.first_port) for engine in ENGINES.values()
    }


def test_a_command_takes_a_profile_and_the_next_one_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def origin() -> str:
        (line,) = (line for line in json.loads(capsys.readouterr().out) if line["name"] == "redis_url")
        return str(line["origin"])

    assert main(["config", "show", "--profile", "cluster", "--json"]) == 0
    assert origin() == "profile cluster"
    assert main(["config", "show", "--json"]) == 0
    assert origin() == "default"
    assert main(["config", "show", "--profile", "nosuch"]) == 2
    assert "give one of cluster" in capsys.readouterr().err
