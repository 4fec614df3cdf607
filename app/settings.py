"""What can be set, what is it set to, and who said so?

Read in this order: flags, the environment (HAAT_*), one TOML file, defaults. Nothing else reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from app import setting_values as values
from app.outside_bidders import OutsideBidder, outside_bidders
from app.setting_values import Reader
from common.errors import FieldError, InvalidInput
from exchange.openrtb.publishers import Publisher

PREFIX = "HAAT_"
CONFIG_FILE = "haat.toml"
_LARGEST_CONFIG_BYTES = 1 << 20
_REPOSITORY = Path(__file__).resolve().parent.parent


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


class SettingLine(msgspec.Struct, frozen=True):
    """One setting as `haat config show` prints it; a secret's value is masked."""

    name: str
    value: str
    origin: str
    meaning: str


def names() -> tuple[str, ...]:
    """The names of all settings, in their order."""
    return tuple(_KNOWN)


def describe(settings: Settings) -> list[SettingLine]:
    """Every setting with its value, its origin and its meaning."""
    return [
        SettingLine(
            name,
            _shown(getattr(settings, name), secret=_KNOWN[name].secret),
            settings.origins.get(name, "default"),
            _KNOWN[name].meaning,
        )
        for name in names()
    ]


def load(
    flags: Mapping[str, object] | None = None,
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read all sources and check all values; InvalidInput names every bad one at once.

    `flags` maps names of settings to values; those that are None were not given. `config` is the TOML file, before
    HAAT_CONFIG and before haat.toml in `folder` (the current one). Relative paths of the TOML file count from its own
    folder, all others from `folder`.
    """
    environment = os.environ if environment is None else environment
    folder = Path.cwd() if folder is None else folder
    errors: list[FieldError] = []
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}

    file = _config_file(config, environment, folder)
    if file is not None:
        for name, raw in _toml(file, errors).items():
            _take(name, raw, name, str(file), file.parent, found, origins, errors)
    for variable, raw in sorted(environment.items()):
        if variable.startswith(PREFIX) and variable != PREFIX + "CONFIG":
            name = variable.removeprefix(PREFIX).lower()
            _take(name, raw, variable, variable, folder, found, origins, errors)
    for name, raw in (flags or {}).items():
        if raw is not None:
            flag = "--" + name.replace("_", "-")
            _take(name, raw, flag, flag, folder, found, origins, errors)

    for name in ("data_dir", "models_dir"):
        found.setdefault(name, folder / getattr(_DEFAULTS, name))
    if "models_dir" not in origins and not found["models_dir"].is_dir():
        found["models_dir"] = _REPOSITORY / "models"
    errors += _together(found, origins)
    if errors:
        raise InvalidInput(errors)
    return Settings(**found, origins=origins)


def _config_file(config: Path | None, environment: Mapping[str, str], folder: Path) -> Path | None:
    if config is not None:
        return folder / config.expanduser()
    if named := environment.get(PREFIX + "CONFIG"):
        return folder / Path(named).expanduser()
    return folder / CONFIG_FILE if (folder / CONFIG_FILE).exists() else None


def _toml(file: Path, errors: list[FieldError]) -> dict[str, object]:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_CONFIG_BYTES + 1)
        if len(content) > _LARGEST_CONFIG_BYTES:
            errors.append(FieldError("config", str(file), "a settings file has at most 1 MiB"))
            return {}
        return tomllib.loads(content.decode())
    except OSError as error:
        errors.append(FieldError("config", str(file), f"cannot be read ({error.strerror}): name another file"))
    except UnicodeDecodeError:
        errors.append(FieldError("config", str(file), "is not UTF-8 text"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        errors.append(FieldError("config", str(file), f"is not TOML: {error}"))
    return {}


def _take(
    name: str,
    raw: object,
    called: str,
    origin: str,
    base: Path,
    found: dict[str, Any],
    origins: dict[str, str],
    errors: list[FieldError],
) -> None:
    """Put one value into `found` when it is good, else into `errors` under the name that the user called it by."""
    known = _KNOWN.get(name)
    if known is None:
        nearest = difflib.get_close_matches(name, [*_KNOWN, "config"], n=1, cutoff=0.5)
        meant = f"did you mean {_as_called(nearest[0], called)}?" if nearest else "see `haat config show` for all names"
        errors.append(FieldError(called, "no such setting", meant))
        return
    try:
        value = known.read(raw)
    except ValueError as error:
        shown = _shown(raw, secret=known.secret)
        errors.append(FieldError(called if called == origin else f"{called} in {origin}", shown, str(error)))
        return
    found[name] = base / value if isinstance(value, Path) else value
    origins[name] = origin


def _together(found: Mapping[str, Any], origins: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with values that are good one by one."""
    errors = []
    for name in ("tls_cert", "tls_key", "tls_client_ca", "currency_rates", "bot_agents_file", "data_centres_file"):
        if (file := found.get(name)) is not None and not os.access(file, os.R_OK):
            errors.append(FieldError(origins.get(name, name), str(file), "give a file that can be read"))
    cert, key = found.get("tls_cert"), found.get("tls_key")
    if (cert is None) != (key is None):
        missing = "tls_key" if key is None else "tls_cert"
        errors.append(FieldError(missing, "empty", "give tls_cert and tls_key together"))
    if found.get("tls_client_ca") is not None and cert is None:
        errors.append(FieldError("tls_cert", "empty", "tls_client_ca needs tls_cert and tls_key"))
    ports = [found.get(name, getattr(_DEFAULTS, name)) for name in ("grpc_port", "http_port")]
    if ports[0] == ports[1] != 0:
        errors.append(FieldError(origins.get("http_port", "http_port"), str(ports[1]), "gRPC has this port already"))
    return errors


def _as_called(name: str, called: str) -> str:
    if called.startswith("--"):
        return "--" + name.replace("_", "-")
    return PREFIX + name.upper() if called.startswith(PREFIX) else name


def _shown(value: object, *, secret: bool) -> str:
    if secret:
        return "***" if value else ""
    if value is None:
        return ""
    if isinstance(value, tuple) and all(isinstance(entry, OutsideBidder) for entry in value):
        return ";".join(f"{entry.name}={entry.target},{entry.currency},{entry.timeout_ms}ms" for entry in value)
    if isinstance(value, tuple) and all(isinstance(entry, Publisher) for entry in value):
        value = ";".join(f"{entry.publisher_id}={','.join((entry.tenant_id, *entry.origins))}" for entry in value)
    text = str(value)
    # What is shown may come from outside: no control characters, no page-long values.
    return text[:200] if text.isprintable() else repr(text[:200])


_KNOWN: dict[str, Is] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
_DEFAULTS = Settings()
