"""How does the market meet us? OpenRTB auctions, ads.txt, sellers.json, the cookie sync, the usual page rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from accounts.ports import AccountStore
from app.consent import FollowedPolicy
from app.metrics import AuctionMetrics
from app.settings import Settings
from backends.ads_txt_fetcher_aiohttp import AdsTxtFetcher
from common.clock import Clock
from common.consent_signals import ConsentSignals
from exchange.ads_txt_book import AdsTxtBook
from exchange.currencies import Currencies
from exchange.openrtb.auctions import HoldAuction, OpenRtbAuctions
from exchange.openrtb.buyer_ids import Sharing
from exchange.openrtb.floors import RatesOfTable
from exchange.openrtb.links import BidLinks
from exchange.openrtb.seller_check import SellerCheck
from exchange.openrtb.to_page_view import Terms
from exchange.page_rules import PageRules
from exchange.sellers import sellers_json
from exchange.supply_chain import OurNode
from exchange.user_sync import SyncPoint, UserSync


@dataclass(frozen=True, slots=True)
class AdsTxt:
    """What checks requests against publishers' ads.txt files: the check, what is known, and who fetches."""

    check: SellerCheck
    book: AdsTxtBook
    fetcher: AdsTxtFetcher


def ads_txt_of(settings: Settings, clock: Clock) -> AdsTxt | None:
    """The check of the settings; None where it is off."""
    if settings.ads_txt_check == "off":
        return None
    fetcher = AdsTxtFetcher(
        private_allowed=settings.private_addresses == "allow", timeout_ms=settings.ads_txt_timeout_ms
    )
    book = AdsTxtBook(
        seller_domain=settings.seller_domain,
        fetch=fetcher.fetch,
        clock=clock,
        good_for_ms=settings.ads_txt_refresh_s * 1000,
    )
    return AdsTxt(SellerCheck(book.standing, enforce=settings.ads_txt_check == "enforce"), book, fetcher)


def openrtb_of(
    settings: Settings,
    clock: Clock,
    hold_auction: HoldAuction,
    currencies: Currencies,
    consent: FollowedPolicy,
    metrics: AuctionMetrics,
    links: BidLinks,
    ads_txt: AdsTxt | None,
) -> OpenRtbAuctions:
    """The auctions that are asked for in OpenRTB, whichever way they come."""
    return OpenRtbAuctions(
        hold_auction=hold_auction,
        clock=clock,
        terms=Terms(
            currency=settings.currency,
            tmax_ms=settings.tmax_ms,
            network_ms=settings.openrtb_network_ms,
            node=OurNode(settings.seller_domain) if settings.seller_domain else None,
            passes_on=bool(settings.outside_bidders),
            sharing=Sharing(
                {entry.name: entry.terms.vendor_id for entry in settings.outside_bidders},
                lambda *asked: consent.current.may_share_with(*asked),
            ),
        ),
        rates=RatesOfTable(lambda: currencies.table),
        consent=partial(_permissions, consent, metrics),
        links=links,
        sellers=ads_txt.check if ads_txt is not None else None,
    )


def user_sync_of(settings: Settings, consent: FollowedPolicy, clock: Clock) -> UserSync:
    """The pages by which browsers become known to the bidders of the settings."""
    return UserSync(
        points=[
            SyncPoint(entry.name, entry.sync_url, entry.sync_frame, entry.terms.vendor_id)
            for entry in settings.outside_bidders
        ],
        policy=lambda: consent.current,
        clock=clock,
        public_url=(settings.public_url or settings.http_url).rstrip("/"),
    )


def sellers_of(settings: Settings, accounts: AccountStore) -> dict[str, Any]:
    """The content of sellers.json; blocks, as it reads the tenants."""
    return sellers_json(settings.openrtb_publishers, accounts.tenants(), "")


def _permissions(policy: FollowedPolicy, metrics: AuctionMetrics, signals: ConsentSignals) -> int:
    verdict = policy.verdict(signals)
    metrics.consent_decided(verdict.regimes, int(verdict.permissions))
    return int(verdict.permissions)


def page_rules_of(settings: Settings) -> PageRules:
    """The rules of page views that bring none."""
    return PageRules(
        most_per_advertiser=settings.page_most_per_advertiser,
        most_share_per_advertiser=settings.page_most_share_per_advertiser,
        separate_categories=settings.page_separate_categories == "yes",
        most_ads=settings.page_most_ads,
        most_ads_share=settings.page_most_ads_share,
    )
