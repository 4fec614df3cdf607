from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.campaign_find import find_campaigns
from app.settings import Settings
from common.errors import InvalidInput
from tests.campaign_stores import CampaignWorld, campaign_world

ASKED: dict[str, Any] = {
    "text": "", "kinds": (), "state": "", "advertiser": "", "formats": (), "limit": 50, "as_json": True,
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


def test_what_is_asked_for_is_found(world: CampaignWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.a_whole_campaign()
    settings = Settings(data_dir=tmp_path)

    find_campaigns(settings, tenant=world.tenant_a, **{**ASKED, "text": "every", "formats": ["banner"]})
    found = json.loads(capsys.readouterr().out)
    find_campaigns(settings, tenant=world.tenant_a, **{**ASKED, "kinds": ["creative"], "as_json": False})

    assert [hit["name"] for hit in found["hits"]] == ["Everybody"]
    assert capsys.readouterr().out.split("\t")[0] == "creative"


def test_what_cannot_be_asked_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        find_campaigns(
            Settings(data_dir=tmp_path), tenant="",
            **{**ASKED, "kinds": ["shop"], "state": "gone", "formats": ["hologram"]},
        )  # fmt: skip

    assert [error.field for error in raised.value.errors] == ["--tenant", "--kind", "--state", "--format"]
