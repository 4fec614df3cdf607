"""What can be set? Every setting with its reader, its meaning and its default; app/settings.py reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from app import setting_values as values
from app.outside_bidders import OutsideBidder, outside_bidders
from app.setting_values import Reader
from exchange.openrtb.publishers import Publisher


@dataclass(frozen=True, slots=True)
class Is:
    """What a setting is: how its values are read, what it means, and whether its value is kept from sight."""

    read: Reader[Any]
    meaning: str
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. Made by `load`; tests may make one directly. `origins` says where each value came from."""

    grpc_host: Annotated[str, Is(values.host, "address the gRPC services listen on")] = "127.0.0.1"
    grpc_port: Annotated[int, Is(values.whole(0, 65535), "port of the gRPC services; 0 takes any free one")] = 50051
    grpc_transport: Annotated[
        str,
        Is(values.choice("native", "grpcio"), "who speaks gRPC: native, our own on the event loop, or grpcio"),
    ] = "native"
    http_host: Annotated[str, Is(values.host, "address of /status, /livez, /readyz and /metrics")] = "127.0.0.1"
    http_port: Annotated[int, Is(values.whole(0, 65535), "port of the HTTP pages; 0 takes any free one")] = 8080
    public_url: Annotated[
        str,
        Is(
            values.public_url,
            "where browsers reach the HTTP pages, as https://ads.shop.example; empty: http_host:http_port",
        ),
    ] = ""
    data_dir: Annotated[Path, Is(values.path, "folder of all that must survive a restart; one process at a time")] = (
        Path("var/haat")
    )
    models_dir: Annotated[
        Path, Is(values.path, "folder of trained models; the program's own when there is none here")
    ] = Path("models")
    currency: Annotated[str, Is(values.currency, "ISO 4217 code of the auctions: floors and prices are in it")] = "EUR"
    currency_rates: Annotated[
        Path | None,
        Is(
            values.optional_file,
            "JSON or TOML file of currency rates, followed when it changes; empty: built-in ones",
        ),
    ] = None
    currency_rates_stale_s: Annotated[
        int, Is(values.seconds(60, 31_536_000), "age from which currency rates are called stale in /status and metrics")
    ] = 432_000
    page_most_per_advertiser: Annotated[
        int, Is(values.whole(0, 1000), "most ads of one advertiser on a page that brings no rules of its own; 0: any")
    ] = 1
    page_most_share_per_advertiser: Annotated[
        float, Is(values.share(0.0, 1.0), "and most of the page's placements, rounded down, one at the least; 0: any")
    ] = 0.0
    page_separate_categories: Annotated[
        str, Is(values.choice("no", "yes"), "keep competitors of one creative category off the same page")
    ] = "no"
    page_most_ads: Annotated[int, Is(values.whole(0, 1000), "most ads on a page; 0: as many as it has placements")] = 0
    page_most_ads_share: Annotated[
        float, Is(values.share(0.0, 1.0), "and most of its placements, rounded down, one at the least; 0: all")
    ] = 0.0
    gsp_squashing: Annotated[
        float,
        Is(values.share(0.1, 1.0), "exponent of quality under generalised second price; below 1 bids count for more"),
    ] = 1.0
    tmax_ms: Annotated[
        int, Is(values.milliseconds(5, 10_000), "time for a page view that brings no tmax_ms, in ms")
    ] = 50
    ranker: Annotated[
        str,
        Is(
            values.choice("auto", "model", "prior"),
            "who estimates clicks: the model, the prior (smoothed rates), or auto: the better one of them",
        ),
    ] = "auto"
    engagement_value_micros: Annotated[
        int,
        Is(values.whole(0, 1_000_000_000), "what a click is worth to the shop itself, in micros; weighs the ranking"),
    ] = 20_000
    max_message_bytes: Annotated[
        int, Is(values.whole(4096, 1 << 30), "largest gRPC message that is taken, in bytes")
    ] = 4 << 20
    max_batch: Annotated[int, Is(values.whole(1, 1024), "most page views in one batch")] = 1024
    impression_ttl_s: Annotated[
        int,
        Is(
            values.seconds(1, 86_400),
            "how long after the auction an impression is billed; then its money is free again",
        ),
    ] = 120
    click_ttl_s: Annotated[int, Is(values.seconds(1, 604_800), "how long after the impression a click is billed")] = (
        1800
    )
    conversion_ttl_s: Annotated[
        int, Is(values.seconds(1, 31_536_000), "how long after the click a conversion is billed")
    ] = 86_400
    session_answer_ttl_s: Annotated[
        int, Is(values.seconds(0, 3600), "how long a session that asks the same gets the same answer; 0 is never")
    ] = 30
    lease_share: Annotated[
        float, Is(values.share(0.001, 1.0), "part of an account's free budget that a process leases at a time")
    ] = 0.05
    publisher_share: Annotated[
        float, Is(values.share(0.0, 1.0), "part of what is billed that goes to the publisher; the rest is margin")
    ] = 0.8
    invoice_font: Annotated[
        Path | None, Is(values.optional_file, "TrueType file for invoices; empty: Helvetica, Latin letters alone")
    ] = None
    pacing_interval_s: Annotated[
        int, Is(values.whole(1, 60), "how often the pace of each budget is set anew, in seconds")
    ] = 2
    spend_stale_s: Annotated[
        int,
        Is(values.seconds(1, 3600), "without fresh figures of what was spent for this long, nothing more is leased"),
    ] = 30
    learned_floors: Annotated[
        str, Is(values.choice("off", "on"), "serve the floors of models/floors, where their lift is above zero")
    ] = "off"
    floor_holdout: Annotated[
        float, Is(values.share(0.01, 0.9), "share of sessions for which learned floors do not hold, to measure them by")
    ] = 0.1
    log_map_gib: Annotated[int, Is(values.whole(1, 16_384), "most that the event log may grow to, in GiB")] = 64
    drain_s: Annotated[int, Is(values.seconds(0, 300), "how long calls under way may take after SIGTERM")] = 10
    tcf_vendor_id: Annotated[
        int,
        Is(
            values.whole(0, 65_535),
            "this exchange's number in the Global Vendor List; 0: none, TC strings grant nothing",
        ),
    ] = 0
    vendor_list: Annotated[
        Path | None,
        Is(values.optional_file, "Global Vendor List (JSON) for legitimate interests, read again when it changes"),
    ] = None
    gdpr_where_unknown: Annotated[
        str,
        Is(values.choice("applies", "does_not"), "GDPR where a request names neither it nor a country"),
    ] = "applies"
    consent_elsewhere: Annotated[
        str,
        Is(values.choice("refused", "granted"), "consent of a visitor who said nothing, outside of GDPR and the US"),
    ] = "refused"
    outside_bidders: Annotated[
        tuple[OutsideBidder, ...],
        Is(
            outside_bidders,
            "bidders in other processes: name=TARGET[,CURRENCY[,TIMEOUT]], several with ; (host:port is gRPC, a URL is "
            "OpenRTB over HTTP); as tables with more",
        ),
    ] = ()
    http_connections: Annotated[
        int, Is(values.whole(16, 65_536), "most HTTP connections at once; what comes beyond them gets 503")
    ] = 4096
    openrtb_publishers: Annotated[
        tuple[Publisher, ...],
        Is(
            values.openrtb_publishers,
            "publishers whose pages may ask without a key: id=tenant,origin[,origin], several with ;",
        ),
    ] = ()
    openrtb_max_bytes: Annotated[
        int, Is(values.whole(1024, 64 << 20), "largest OpenRTB request that is taken, packed and unpacked, in bytes")
    ] = 256 << 10
    openrtb_network_ms: Annotated[
        int, Is(values.milliseconds(0, 1_000), "what the way there and back takes of an OpenRTB request's tmax, in ms")
    ] = 10
    seller_domain: Annotated[
        str,
        Is(
            values.domain, "domain of this exchange's sellers.json; it stands in supply chains. Empty: no link is added"
        ),
    ] = ""
    click_id_parameter: Annotated[
        str,
        Is(values.query_name, "query parameter in which landing pages get the click's id; empty: only for ${CLICK_ID}"),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Is(values.prefixes, "networks whose X-Forwarded-For is believed, such as 10.0.0.0/8, several with commas"),
    ] = ()
    bot_agents_file: Annotated[
        Path | None, Is(values.optional_file, "more words of user agents that are no people's, one a line; empty: none")
    ] = None
    data_centres_file: Annotated[
        Path | None, Is(values.optional_file, "networks of data centres, one prefix a line; empty: none")
    ] = None
    network_events_per_minute: Annotated[
        int, Is(values.whole(1, 1_000_000), "browser events that a /24 or /48 may send in a minute and still count")
    ] = 600
    private_addresses: Annotated[
        str,
        Is(
            values.choice("refuse", "allow"),
            "whether bidders' URLs may lead to private and local addresses: allow is for tests alone",
        ),
    ] = "refuse"
    tls_cert: Annotated[
        Path | None, Is(values.optional_file, "PEM file of the server's certificate; empty: no TLS")
    ] = None
    tls_key: Annotated[Path | None, Is(values.optional_file, "PEM file of the certificate's private key")] = None
    tls_client_ca: Annotated[
        Path | None,
        Is(values.optional_file, "PEM file of the authority whose client certificates gRPC asks for; empty: none"),
    ] = None
    api_key: Annotated[
        str, Is(values.secret, "key of the storefront that `haat load` and `haat replay` speak for", secret=True)
    ] = field(default="", repr=False)
    log_format: Annotated[
        str, Is(values.choice("auto", "json", "console"), "how log lines look; auto: console on a terminal, else json")
    ] = "auto"
    log_level: Annotated[
        str, Is(values.choice("debug", "info", "warning", "error"), "least level of log lines that are written")
    ] = "info"
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def http_url(self) -> str:
        """Where the HTTP pages are reached on this machine."""
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return f"http://{host}:{self.http_port}"
