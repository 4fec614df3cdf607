"""Which bidders are there? One line for each; outside bidders are listed in the settings."""

from __future__ import annotations

from bidders.brand_campaign import BrandCampaign
from bidders.contextual import Contextual
from bidders.look_alike import LookAlike
from bidders.retarget import Retarget
from exchange.bidding import Bidder

ROSTER: tuple[Bidder, ...] = (
    BrandCampaign(),
    Contextual(),
    Retarget(),
    LookAlike(),
)
