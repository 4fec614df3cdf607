from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from app.recommender_commands import LogFiles, run_evaluate, run_train
from app.settings import Settings, load
from app.wiring_recommender import open_recommender
from common.errors import InvalidInput
from tests.recommender_builders import history, shop, small


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "models" / "recommender"
    folder.mkdir(parents=True)
    (folder / "training.toml").write_text(toml(msgspec.to_builtins(small(blend={"trees": 5}))))
    return load({"models_dir": str(tmp_path / "models"), "data_dir": str(tmp_path / "data")}, environment={})


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    log, path = shop(), tmp_path / "orders.csv"
    of = log.histories
    rows = [
        f"{visitor}{at_ms},{item:05},{log.items.all[item].text},1,"
        f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S},1.5,{visitor}"
        for visitor, item, at_ms in zip(of.rows.tolist(), of.items.tolist(), of.at_ms.tolist(), strict=True)
    ]
    path.write_text("invoice,stock_code,description,quantity,invoice_date,price,customer_id\n" + "\n".join(rows))
    return path


def toml(tables: dict[str, dict[str, object]]) -> str:
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
        for name, fields in tables.items()
    )


def said(caught: pytest.ExceptionInfo[InvalidInput]) -> Sequence[str]:
    return [error.field for error in caught.value.errors]


@pytest.mark.slow
def test_what_is_trained_serves(settings: Settings, orders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serving = open_recommender(settings)
    assert serving.follow() == ""
    assert serving.current is None

    run_train(settings, LogFiles(orders=(orders,)), until="", as_json=True)

    manifest = json.loads(capsys.readouterr().out)
    assert serving.follow() == ""
    assert serving.version == manifest["version"]
    assert serving.current is not None
    assert serving.current.recommend([history("00001")], 3, manifest["fitted_at_ms"])[0]


@pytest.mark.slow
def test_an_evaluation_is_printed_and_written(
    settings: Settings, orders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_evaluate(settings, LogFiles(orders=(orders,)), until="", report_dir=tmp_path / "reports", as_json=False)

    out = capsys.readouterr().out
    written = (tmp_path / "reports" / "recommender.md").read_text()
    for text in (out, written):
        assert "own history + recent popularity" in text
        assert "in NDCG@10" in text
        assert "CPU time" in text
    assert str(tmp_path) not in written


def test_a_log_must_be_given_and_one_at_a_time_to_train(settings: Settings, orders: Path) -> None:
    with pytest.raises(InvalidInput) as none:
        run_train(settings, LogFiles(), until="", as_json=True)
    with pytest.raises(InvalidInput) as two:
        run_train(settings, LogFiles(orders=(orders,), movielens=orders.parent), until="", as_json=True)

    assert said(none) == ["--orders"]
    assert said(two) == ["--movielens"]


@pytest.mark.parametrize("until", ["yesterday", "1999-01-01", "2099-01-01"])
def test_a_moment_outside_of_the_log_is_refused(settings: Settings, orders: Path, until: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        run_train(settings, LogFiles(orders=(orders,)), until=until, as_json=True)

    assert said(caught) == ["--until"]


def test_bad_training_settings_name_the_file(settings: Settings, orders: Path) -> None:
    path = settings.models_dir / "recommender" / "training.toml"
    path.write_text(path.read_text().replace("factors = 4", "factors = 0"))

    with pytest.raises(InvalidInput, match="factors") as caught:
        run_train(settings, LogFiles(orders=(orders,)), until="", as_json=True)

    assert said(caught) == ["training.toml"]
