"""Who trades in the demo? Fourteen brands of our own that sell the log's items, and the campaigns they run.

The log knows items by number and hashed features; names, prices, pictures, brands and campaigns are made up here, from
a seed, so that every rule of the exchange has somebody it applies to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from app.demo_pictures import FILM, FILM_S
from app.demo_pictures import PATH as PICTURES
from common.money import MICROS
from protos import campaigns_pb2 as campaigns
from protos import catalogue_pb2 as catalogue
from protos import exchange_pb2 as exchange

CURRENCY = "EUR"
# What the shop does not want on its pages; one category and one brand of the demo fall under it.
BLOCKED_CATEGORIES = ("fur",)
BLOCKED_ADVERTISERS = ("quickthreads.example",)

_BRANDS: tuple[tuple[str, str], ...] = (
    ("Aldern & Co", "aldern.example"),
    ("Bruma", "bruma.example"),
    ("Casa Lino", "casalino.example"),
    ("Dovetail", "dovetail.example"),
    ("Eskeli", "eskeli.example"),
    ("Faro Norte", "faronorte.example"),
    ("Gilt Harbour", "giltharbour.example"),
    ("Haru Works", "haruworks.example"),
    ("Indigo Lane", "indigolane.example"),
    ("Juno & Fern", "junoandfern.example"),
    ("Kestrel", "kestrel.example"),
    ("Loom Street", "loomstreet.example"),
    ("Mistral Atelier", "mistral.example"),
    ("Quick Threads", "quickthreads.example"),
)
_ADJECTIVES = ("Airy", "Boxy", "Cropped", "Draped", "Felted", "Ribbed", "Slim", "Soft", "Striped", "Washed", "Woven")
_NOUNS: Mapping[str, Sequence[tuple[str, str]]] = {
    "all": (("parka", "outerwear"), ("tote", "bags"), ("scarf", "accessories"), ("sneaker", "shoes"),
            ("cardigan", "knitwear"), ("stole", "fur"), ("belt", "accessories"), ("boot", "shoes")),
    "men": (("oxford shirt", "shirts"), ("chino", "trousers"), ("derby", "shoes"), ("blazer", "outerwear"),
            ("tee", "shirts"), ("weekender", "bags")),
    "women": (("wrap dress", "dresses"), ("blouse", "shirts"), ("pump", "shoes"), ("skirt", "skirts"),
              ("trench", "outerwear"), ("clutch", "bags")),
}  # fmt: skip
_COLOURS = ("amber", "bone", "clay", "fern", "ink", "moss", "rose", "slate", "teal")
_WORDS = {
    "all": ("fashion", "clothes", "shoes", "sale"),
    "men": ("fashion", "menswear", "shirts", "sneakers"),
    "women": ("fashion", "womenswear", "dresses", "shoes"),
}
_COUNTRIES = ("DE", "FR", "IT", "ES", "NL", "AT", "PL")
_ZONES = ("Europe/Berlin", "Europe/Paris", "Europe/Warsaw", "UTC")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the log: `section-number` and its features as the click model names them."""

    product_id: str
    section: str
    attributes: Mapping[str, str]


@dataclass(slots=True)
class PlannedCampaign:
    """A campaign with its line items; `creatives` of a line item are (creative, review state) pairs."""

    campaign: campaigns.Campaign
    line_items: list[PlannedLineItem] = field(default_factory=list)


@dataclass(slots=True)
class PlannedLineItem:
    """A line item with the creatives that are made for it."""

    line_item: campaigns.LineItem
    creatives: list[tuple[campaigns.Creative, campaigns.ReviewState.ValueType]]


@dataclass(slots=True)
class World:
    """Everything the demo loads before the first page view."""

    products: list[catalogue.Product]
    advertisers: list[tuple[campaigns.Advertiser, list[PlannedCampaign]]]

    @property
    def line_item_count(self) -> int:
        """Line items over all advertisers."""
        return sum(len(planned.line_items) for _, plans in self.advertisers for planned in plans)


def brand_names() -> list[str]:
    """The brands, in the order of `World.advertisers`."""
    return [name for name, _ in _BRANDS]


def make_world(items: Sequence[Item], *, seed: int, pictures_url: str) -> World:
    """The same world for the same items and seed; `pictures_url` is where `<product_id>.svg` is served."""
    chance = Random(seed)
    products = []
    by_brand: dict[int, list[catalogue.Product]] = {}
    for number, item in enumerate(items):
        brand = (number * 5 + len(item.section)) % len(_BRANDS)
        product = _product(item, brand, chance, pictures_url)
        products.append(product)
        by_brand.setdefault(brand, []).append(product)
    # What every brand's shop sells, so that several brands want to show the same product on a page.
    bestsellers = [product for product in products if product.product_id.endswith("-0")]
    advertisers = [
        (campaigns.Advertiser(name=name, domain=domain), _campaigns(by_brand.get(brand, []), bestsellers, chance))
        for brand, (name, domain) in enumerate(_BRANDS)
    ]
    return World(products, advertisers)


def _product(item: Item, brand: int, chance: Random, pictures_url: str) -> catalogue.Product:
    noun, category = chance.choice(_NOUNS[item.section])
    name = f"{chance.choice(_ADJECTIVES)} {noun} in {chance.choice(_COLOURS)}"
    brand_name, domain = _BRANDS[brand]
    return catalogue.Product(
        product_id=item.product_id,
        name=name,
        brand=brand_name,
        category=category,
        price_micros=chance.randrange(19, 249) * MICROS + 900_000,
        currency=CURRENCY,
        image_url=f"{pictures_url}/{item.product_id}.svg",
        landing_url=f"https://{domain}/products/{item.product_id}",
        in_stock=True,
        attributes=dict(item.attributes),
    )


def _campaigns(
    own: Sequence[catalogue.Product], bestsellers: Sequence[catalogue.Product], chance: Random
) -> list[PlannedCampaign]:
    """Three campaigns a brand: one for the brand, one by context, one for visitors who looked before."""
    if not own:
        return []
    zone = chance.choice(_ZONES)
    plans = []
    for title, strategy, share in (
        ("brand", campaigns.STRATEGY_BRAND_CAMPAIGN, 0.75),
        ("in context", campaigns.STRATEGY_CONTEXTUAL, 0.45),
        ("welcome back", campaigns.STRATEGY_RETARGET, 0.35),
    ):
        total = chance.randrange(100, 400) * MICROS
        plan = PlannedCampaign(
            campaigns.Campaign(
                name=f"Autumn, {title}",
                currency=CURRENCY,
                time_zone=zone,
                budget=campaigns.Budget(total_micros=total, daily_micros=total // 2),
                # A week goes by in half a minute of the exchange's own day, so nothing can be spread over days here.
                pacing=campaigns.PACING_ASAP,
            )
        )
        chosen = [product for product in own if chance.random() < share] or [own[0]]
        for product in chosen:
            for _ in range(2 if strategy == campaigns.STRATEGY_BRAND_CAMPAIGN and chance.random() < 0.5 else 1):
                plan.line_items.append(_line_item(product, strategy, len(plan.line_items), chance))
        plans.append(plan)
    plans[0].line_items += [_bestseller(product, number, chance) for number, product in enumerate(bestsellers)]
    return plans


def _bestseller(product: catalogue.Product, number: int, chance: Random) -> PlannedLineItem:
    """A line item that outbids most others until its day's money is spent, and leaves the place to the next brand."""
    line_item = campaigns.LineItem(
        name=f"{product.name}, bestseller",
        strategy=campaigns.STRATEGY_BRAND_CAMPAIGN,
        pricing_model=exchange.PRICING_MODEL_CPM,
        bid_micros=chance.randrange(150, 420) * 10_000,
        budget=campaigns.Budget(daily_micros=chance.randrange(15, 40) * 100_000),
    )
    return PlannedLineItem(line_item, _creatives(product, number, chance))


def _line_item(
    product: catalogue.Product, strategy: campaigns.Strategy.ValueType, number: int, chance: Random
) -> PlannedLineItem:
    section = product.product_id.split("-")[0]
    pricing = chance.choice(
        (exchange.PRICING_MODEL_CPM, exchange.PRICING_MODEL_CPM, exchange.PRICING_MODEL_CPC, exchange.PRICING_MODEL_CPA)
    )
    line_item = campaigns.LineItem(
        name=f"{product.name} #{number + 1}",
        strategy=strategy,
        pricing_model=pricing,
        bid_micros=_bid(pricing, chance),
        targeting=_targeting(section, product, strategy, chance),
    )
    fate = chance.random()
    if fate < 0.10:
        # A few cents, so that money runs out while people watch.
        line_item.budget.total_micros = chance.randrange(10, 80) * 1_000
    elif fate < 0.80:
        # Small enough that many line items of all brands come to their turn in a week, and several of its units.
        units = {exchange.PRICING_MODEL_CPM: 0, exchange.PRICING_MODEL_CPC: 4, exchange.PRICING_MODEL_CPA: 2}[pricing]
        line_item.budget.daily_micros = max(chance.randrange(4, 25) * 100_000, units * line_item.bid_micros)
    if chance.random() < 0.5:
        line_item.frequency_cap.impressions = chance.randrange(1, 6)
        line_item.frequency_cap.window_s = chance.choice((600, 3600, 86_400))
    if chance.random() < 0.2:
        start = chance.randrange(6, 16)
        hours = range(start, start + chance.randrange(4, 8))
        line_item.schedule.hours_of_week.extend(day * 24 + hour for day in range(7) for hour in hours)
    return PlannedLineItem(line_item, _creatives(product, number, chance))


def _bid(pricing: exchange.PricingModel.ValueType, chance: Random) -> int:
    """Bids that are worth 0.30 to 4 a thousand views at the log's click rate of 4 in 1,000, most of them about 2."""
    spread = chance.betavariate(3, 3)
    if pricing == exchange.PRICING_MODEL_CPM:
        return round(30 + 370 * spread) * 10_000
    if pricing == exchange.PRICING_MODEL_CPC:
        return round(8 + 92 * spread) * 10_000
    return round(400 + 4_600 * spread) * 10_000


def _targeting(
    section: str, product: catalogue.Product, strategy: campaigns.Strategy.ValueType, chance: Random
) -> campaigns.Targeting:
    targeting = campaigns.Targeting()
    if chance.random() < 0.4:
        targeting.countries.extend(sorted(chance.sample(_COUNTRIES, chance.randrange(2, 6))))
    if strategy == campaigns.STRATEGY_CONTEXTUAL:
        targeting.keywords.extend(sorted(chance.sample(_WORDS[section], chance.randrange(1, 4))))
        if chance.random() < 0.4:
            targeting.categories.append(section)
    elif strategy == campaigns.STRATEGY_RETARGET:
        targeting.seen_products.append(product.product_id)
    elif section != "all":
        targeting.categories.append(section)
    if chance.random() < 0.15:
        targeting.placement_ids.append(f"{section}-{chance.choice(('left', 'centre', 'right'))}")
    return targeting


def _creatives(
    product: catalogue.Product, number: int, chance: Random
) -> list[tuple[campaigns.Creative, campaigns.ReviewState.ValueType]]:
    review = campaigns.REVIEW_STATE_APPROVED
    if number % 13 == 4:
        review = campaigns.REVIEW_STATE_PENDING
    elif number % 13 == 7:
        review = campaigns.REVIEW_STATE_REFUSED
    banner = campaigns.Creative(format=exchange.FORMAT_BANNER, width=300, height=250)
    listing = campaigns.Creative(format=exchange.FORMAT_PRODUCT_LISTING)
    chosen = list(chance.choice(((banner,), (listing,), (banner, listing))))
    # Some can be shown as native ads too, and some as videos before a film of the shop.
    if number % 3 == 1:
        chosen.append(_native(product))
    if number % 5 == 2:
        chosen.append(_video(product, skippable=number % 2 == 0))
    for creative in chosen:
        creative.title = f"{product.name} by {product.brand}"
        creative.image_url = product.image_url
        creative.landing_url = product.landing_url
        creative.product_id = product.product_id
        creative.category = product.category
    return [(creative, review) for creative in chosen]


def _native(product: catalogue.Product) -> campaigns.Creative:
    return campaigns.Creative(
        format=exchange.FORMAT_NATIVE,
        width=300,
        height=300,
        body=f"{product.name}, from our {product.category}. Free returns within thirty days.",
        call_to_action="See it",
        icon_url=product.image_url,
        language="en",
    )


def _video(product: catalogue.Product, *, skippable: bool) -> campaigns.Creative:
    return campaigns.Creative(
        format=exchange.FORMAT_VIDEO,
        width=640,
        height=360,
        video_url=product.image_url.split(PICTURES)[0] + FILM,
        duration_s=FILM_S,
        mime="video/webm",
        skippable=skippable,
        body=f"{product.brand} shows {product.name.lower()}.",
        language="en",
    )
