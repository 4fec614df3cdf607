"""What can be set? Each setting with its reader, its meaning and its default; those of engines are beside this."""

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
class SettingsOfOne:
    """What can be set where one process serves alone. `origins` says where each value came from."""

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
    feed_ranker: Annotated[
        str,
        Is(
            values.choice("auto", "model", "hand"),
            "who ranks the feed: the trained model, the hand-weighted scorers, or auto: the model where it was shown "
            "to be the better one",
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
    session_answers_dir: Annotated[
        Path | None,
        Is(
            values.optional_file,
            "folder in which the processes of one machine share sessions' answers; empty: each keeps its own",
        ),
    ] = None
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
    unready_s: Annotated[
        int,
        Is(values.seconds(0, 300), "how long after SIGTERM calls are still taken, while /readyz says 503 to balancers"),
    ] = 0
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
    without_basic_ads: Annotated[
        str,
        Is(
            values.choice("contextual", "house"),
            "what a visitor without a basis for TCF purpose 2 sees: contextual ads, or the ads of seat house alone",
        ),
    ] = "contextual"
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
    ads_txt_check: Annotated[
        str,
        Is(
            values.choice("off", "warn", "enforce"),
            "OpenRTB requests of sites whose ads.txt does not name seller_domain with the tenant: sold (off), sold "
            "with a warning (warn), or not (enforce: nbr 12)",
        ),
    ] = "off"
    ads_txt_refresh_s: Annotated[
        int,
        Is(values.seconds(60, 604_800), "how long a publisher's ads.txt is taken for granted before it is read again"),
    ] = 86_400
    ads_txt_timeout_ms: Annotated[
        int, Is(values.milliseconds(100, 60_000), "how long the look-up of an ads.txt, beside the page views, may take")
    ] = 5_000
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
    blocked_domains_file: Annotated[
        Path | None,
        Is(values.optional_file, "domains that no post may link to, nor to those beneath, one a line; empty: none"),
    ] = None
    protected_domains_file: Annotated[
        Path | None,
        Is(values.optional_file, "domains, beside the well-known ones, that no link may imitate, one a line"),
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
    follow_short_links: Annotated[
        str,
        Is(
            values.choice("off", "on"),
            "whether posts' short links are asked where they lead, over the network; off: a person looks at such posts",
        ),
    ] = "off"
    unchecked_posts: Annotated[
        str,
        Is(
            values.choice("hold", "show"),
            "what moderation did not clear: hold it for a person, or show all without looking, for tests alone",
        ),
    ] = "hold"
    uploads_a_day: Annotated[
        int,
        Is(
            values.whole(1, 1_000_000),
            "uploads that a creator without a tier may start in a day; 2, 4, 8 times by tier",
        ),
    ] = 60
    upload_mib_a_day: Annotated[
        int, Is(values.whole(1, 1_000_000), "MiB of these together, as they are announced; 2, 4, 8 times by tier")
    ] = 1_024
    returns_days: Annotated[
        int, Is(values.whole(0, 400), "days after which what a post sold counts as kept, and speaks for its creator")
    ] = 14
    picture_hosts: Annotated[
        tuple[str, ...],
        Is(
            values.hosts,
            "hosts whose pictures a post may show by address, as cdn.shop.example, several with commas; * is any. "
            "Empty: uploads alone",
        ),
    ] = ()
    media_store: Annotated[
        str, Is(values.choice("folder", "s3"), "where photos and videos are kept: in the data folder, or in a bucket")
    ] = "folder"
    media_cdn_url: Annotated[
        str,
        Is(values.public_url, "address of the CDN that serves media and has haat as its origin; empty: public_url"),
    ] = ""
    s3_bucket: Annotated[str, Is(values.bucket, "private bucket for media_store s3; empty: none")] = ""
    s3_endpoint_url: Annotated[
        str, Is(values.public_url, "address of an object store that speaks S3; empty: the one of Amazon's region")
    ] = ""
    s3_region: Annotated[str, Is(values.word, "region of the bucket, as eu-central-1; empty: as boto3 finds it")] = ""
    s3_access_key: Annotated[
        str, Is(values.secret, "access key of the bucket; empty: as boto3 finds it", secret=True)
    ] = field(default="", repr=False)
    s3_secret_key: Annotated[
        str, Is(values.secret, "secret key of the bucket; empty: as boto3 finds it", secret=True)
    ] = field(default="", repr=False)
    upload_ttl_s: Annotated[int, Is(values.seconds(60, 86_400), "how long the address of an upload is good for")] = 900
    image_max_mib: Annotated[int, Is(values.whole(1, 100), "largest picture that is taken, in MiB")] = 20
    image_max_megapixels: Annotated[
        int, Is(values.whole(1, 200), "most pixels of a picture, in millions; bounds the memory it takes to open it")
    ] = 50
    video_max_mib: Annotated[int, Is(values.whole(1, 4_096), "largest video that is taken, in MiB")] = 200
    video_max_s: Annotated[int, Is(values.seconds(1, 14_400), "longest video that is taken")] = 180
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
    huge_pages: Annotated[
        str,
        Is(values.choice("auto", "off"), "pages of 2 MB under memory; auto: where there are any, off: as it comes"),
    ] = "auto"
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
