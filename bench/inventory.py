"""What does the measured exchange sell? So many line items of sixty brands, and profiles of those who look."""

from __future__ import annotations

from pathlib import Path
from random import Random

from accounts.grpc_edge import Caller
from app.haat import Haat
from app.settings import Settings
from app.wiring import wire
from bench.feed_pages import store_posts
from common.money import MICROS
from exchange.campaign_values import (
    Advertiser,
    Budget,
    Campaign,
    Creative,
    FrequencyCap,
    LineItem,
    ReviewState,
    Strategy,
    Targeting,
)
from exchange.campaigns import Write
from exchange.request import Format, PricingModel
from loadgen.synthetic import page_views
from ranking.impressions import product_id, read_items
from ranking.open_bandit import CAMPAIGNS, fetch
from ranking.settings import load_settings
from ranking.training import train_bench_model
from streams.ports import Profile
from streams.product import Product

ROOT = Path(__file__).resolve().parent.parent
_BRANDS = 60
_CREATIVES_A_BRAND = 20
_SHAPES = ((Format.BANNER, 300, 250), (Format.BANNER, 728, 90), (Format.PRODUCT_LISTING, 0, 0))
# The least and the most that a line item bids, by what it pays for; the same since the first measurement.
_BIDS_OF = {PricingModel.CPM: (50, 500), PricingModel.CPC: (10, 120), PricingModel.CPA: (500, 6_000)}
_COUNTRIES = ("DE", "FR", "IT", "ES", "NL", "AT", "PL")
_WORDS = ("fashion", "clothes", "shoes", "sale", "garden", "kitchen", "travel", "books", "music", "bikes")
_ENDLESS = Budget(total_micros=900_000_000 * MICROS)


def bench_model() -> Path:
    """A folder with a click model of 200 trees × 31 leaves, trained once; to measure speed, never for ads."""
    folder = ROOT / "var" / "bench" / "models"
    if not (folder / "click" / "manifest.json").exists():
        settings = load_settings(ROOT / "models" / "click" / "training.toml")
        train_bench_model(fetch(ROOT / "var" / "data"), folder / "click", settings)
    return folder


def fill(settings: Settings, line_items: int, seed: int) -> str:
    """Write products, campaigns, posts and profiles into an empty data folder; the API key of a storefront."""
    haat = wire(settings)
    try:
        operator = Caller(haat.accounts.create_tenant("bench").tenant_id, "operator")
        chance = Random(seed)
        products = _products(haat, operator.tenant_id)
        _campaigns(haat, operator, products, line_items, chance)
        store_posts(settings, operator.tenant_id, products, seed)
        haat.profile_store.write(
            {view.visitor.visitor_id: _profile(chance, line_items) for view in page_views(20_000, seed=seed)}
        )
        return haat.accounts.create_key(operator.tenant_id, "storefront").plaintext
    finally:
        haat.close()


def _products(haat: Haat, tenant_id: str) -> list[str]:
    log = fetch(ROOT / "var" / "data")
    products = [
        Product(
            product_id=product_id(campaign, number), tenant_id=tenant_id, name=f"Thing {number}", brand="Bench",
            category="fashion", price_micros=10 * MICROS, currency="EUR", image_url="https://b.example/p.png",
            landing_url="https://b.example/p", in_stock=True, attributes=item.attributes(campaign),
        )
        for campaign in CAMPAIGNS
        for number, item in enumerate(read_items(log, campaign))
    ]  # fmt: skip
    haat.catalogue.put(tenant_id, products)
    return [product.product_id for product in products]


def _campaigns(haat: Haat, operator: Caller, products: list[str], line_items: int, chance: Random) -> None:
    campaigns = haat.campaigns
    drafts: list[LineItem] = []
    for brand in range(_BRANDS):

        def write(what: str, brand: int = brand) -> Write:
            return Write(operator, operator.tenant_id, f"{what}-{brand}")

        advertiser = campaigns.create_advertiser(
            write("advertiser"), Advertiser(name=f"Brand {brand}", domain=f"brand-{brand}.example")
        )
        campaign = campaigns.create_campaign(
            write("campaign"),
            Campaign(
                advertiser_id=advertiser.advertiser_id, name="Bench", currency="EUR", budget=_ENDLESS,
                time_zone=chance.choice(("UTC", "Europe/Berlin", "Asia/Kolkata")),
            ),
        )  # fmt: skip
        creatives = []
        for number in range(_CREATIVES_A_BRAND):
            format_, width, height = _SHAPES[number % len(_SHAPES)]
            creative = campaigns.create_creative(
                write(f"creative-{number}"),
                Creative(
                    advertiser_id=advertiser.advertiser_id, format=format_, width=width, height=height,
                    title="A thing that everybody wants", image_url="https://b.example/p.png",
                    landing_url="https://b.example/p", product_id=chance.choice(products), category="fashion",
                ),
            )  # fmt: skip
            campaigns.review_creative(write(f"review-{number}"), creative.creative_id, ReviewState.APPROVED)
            creatives.append(creative)
        share = line_items // _BRANDS + (brand < line_items % _BRANDS)
        drafts += [_line_item(campaign.campaign_id, creatives, products, chance) for _ in range(share)]
    for at in range(0, len(drafts), 2_000):
        campaigns.import_line_items(operator, operator.tenant_id, drafts[at : at + 2_000])


def _line_item(campaign_id: str, creatives: list[Creative], products: list[str], chance: Random) -> LineItem:
    strategy = chance.choice((Strategy.BRAND_CAMPAIGN, Strategy.BRAND_CAMPAIGN, Strategy.CONTEXTUAL, Strategy.RETARGET))
    pricing = chance.choice(tuple(_BIDS_OF))
    bid = _BIDS_OF[pricing]
    targeting = Targeting(
        countries=tuple(sorted(chance.sample(_COUNTRIES, chance.randrange(1, 5)))) if chance.random() < 0.5 else (),
        categories=(chance.choice(("all", "men", "women")),) if chance.random() < 0.4 else (),
        keywords=tuple(sorted(chance.sample(_WORDS, 3))) if strategy == Strategy.CONTEXTUAL else (),
        seen_products=(chance.choice(products),) if strategy == Strategy.RETARGET else (),
    )
    cap = FrequencyCap(impressions=3, window_s=86_400) if chance.random() < 0.5 else FrequencyCap()
    return LineItem(
        campaign_id=campaign_id, name="Bench", strategy=strategy, pricing_model=pricing,
        bid_micros=chance.randrange(*bid) * 10_000, targeting=targeting, frequency_cap=cap,
        creative_ids=(chance.choice(creatives).creative_id,),
    )  # fmt: skip


def _profile(chance: Random, line_items: int) -> Profile:
    """A visitor with a history: ten impressions of the last day count against caps."""
    now_ms = 1_700_000_000_000
    return Profile(
        segments=[f"uf{k}={chance.randrange(10):08x}" for k in range(4)],
        affinities={f"men-{item}": 1.0 for item in chance.sample(range(34), 3)},
        seen_line_items=[chance.randrange(1, line_items + 1) for _ in range(10)],
        seen_at_ms=[now_ms] * 10,
        updated_at_ms=now_ms,
    )
