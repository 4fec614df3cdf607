"""Do campaigns that were stored before there was pacing go on as they did?"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from exchange.pacing_ports import Pacing
from tests.campaign_stores import campaign_world
from tests.databases import open_database


def test_campaigns_of_before_spend_as_fast_as_they_can_and_new_ones_evenly(tmp_path: Path) -> None:
    with campaign_world(tmp_path) as world:
        _, old, _, _ = world.a_whole_campaign()
        tenant = world.tenant_a
    engine = open_database(tmp_path)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE campaigns DROP COLUMN pacing"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()

    with campaign_world(tmp_path) as world:
        assert world.campaigns.campaign(tenant, old.campaign_id).pacing == Pacing.ASAP
        fresh = world.a_campaign(world.an_advertiser(tenant), tenant)
        assert world.campaigns.campaign(tenant, fresh.campaign_id).pacing == Pacing.EVEN
