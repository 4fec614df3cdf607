"""How does the demo's world come into the exchange? As everybody's does: through the gRPC front door, key in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from app.demo_keys import DemoKeys
from app.demo_world import PlannedCampaign, World
from client.billing import BillingClient
from client.campaigns import CampaignClient
from client.catalogue import CatalogueClient
from common.money import MICROS
from protos import campaigns_pb2 as campaigns
from protos import catalogue_pb2 as catalogue

# Products are folded on the event loop: small messages keep the auctions beside them fluent.
_PRODUCTS_AT_ONCE = 100
_AT_ONCE = 16
# The first brands pay before, one of them too little for the week; the others pay later, without limit.
_PREPAID_MICROS = (500 * MICROS, 200 * MICROS, MICROS // 2)

Told = Callable[[str, int], None]
T = TypeVar("T")


async def load_world(target: str, keys: DemoKeys, world: World, told: Told) -> None:
    """Products, then each brand's advertiser, campaigns, creatives and line items; `told(what, count)` as it goes."""
    async with CatalogueClient(target, keys.shop.key, keys.shop.tenant_id) as shop:
        for at in range(0, len(world.products), _PRODUCTS_AT_ONCE):
            part = world.products[at : at + _PRODUCTS_AT_ONCE]
            told("products", await shop.put_products(part))
    for at, (brand, (advertiser, plans)) in enumerate(zip(keys.brands, world.advertisers, strict=True)):
        async with (
            CampaignClient(target, brand.key, brand.tenant_id) as mine,
            CampaignClient(target, keys.operator.key, brand.tenant_id) as operator,
            BillingClient(target, keys.operator.key, brand.tenant_id) as cashier,
        ):
            made = await mine.create_advertiser(advertiser)
            told("advertisers", 1)
            if at < len(_PREPAID_MICROS):
                await cashier.top_up(made.advertiser_id, _PREPAID_MICROS[at], reference="Welcome to the demo")
            for plan in plans:
                await _load_campaign(mine, operator, made.advertiser_id, plan, told)


async def _load_campaign(
    mine: CampaignClient, operator: CampaignClient, advertiser_id: str, plan: PlannedCampaign, told: Told
) -> None:
    plan.campaign.advertiser_id = advertiser_id
    campaign = await mine.create_campaign(plan.campaign)
    told("campaigns", 1)

    async def one(index: int) -> None:
        planned = plan.line_items[index]
        line_item = campaigns.LineItem()
        line_item.CopyFrom(planned.line_item)
        line_item.campaign_id = campaign.campaign_id
        for creative, review in planned.creatives:
            creative.advertiser_id = advertiser_id
            made = await mine.create_creative(creative)
            if review != campaigns.REVIEW_STATE_PENDING:
                await operator.review_creative(made.creative_id, review)
            line_item.creative_ids.append(made.creative_id)
        await mine.create_line_item(line_item)
        told("line items", 1)

    await _each(range(len(plan.line_items)), one)


async def sell_out(target: str, keys: DemoKeys, products: Sequence[catalogue.Product]) -> None:
    """These products are out of stock from now on."""
    gone = []
    for product in products:
        out = catalogue.Product()
        out.CopyFrom(product)
        out.in_stock = False
        gone.append(out)
    async with CatalogueClient(target, keys.shop.key, keys.shop.tenant_id) as shop:
        await shop.put_products(gone)


async def _each(numbers: range, work: Callable[[int], Awaitable[None]]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def gated(number: int) -> None:
        async with gate:
            await work(number)

    await asyncio.gather(*(gated(number) for number in numbers))
