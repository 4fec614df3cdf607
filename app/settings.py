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
from app.setting_values import OutsideBidder, Reader
from common.errors import FieldError, InvalidInput

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
    data_dir: Annotated[Path, Is(values.path, "folder of all that must survive a restart; one process at a time")] = (
        Path("var/haat")
    )
    models_dir: Annotated[
        Path, Is(values.path, "folder of trained models; the program's own when there is none here")
    ] = Path("models")
    currency: Annotated[str, Is(values.currency, "ISO 4217 code of the auctions: floors and prices are in it")] = "EUR"
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
    log_map_gib: Annotated[int, Is(values.whole(1, 16_384), "most that the event log may grow to, in GiB")] = 64
    drain_s: Annotated[int, Is(values.seconds(0, 300), "how long calls under way may take after SIGTERM")] = 10
    outside_bidders: Annotated[
        tuple[OutsideBidder, ...],
        Is(values.outside_bidders, "bidders behind gRPC: name=host:port[,CURRENCY[,TIMEOUT]], several with ;"),
    ] = ()
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
    for name in ("tls_cert", "tls_key", "tls_client_ca"):
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
    text = str(value)
    # What is shown may come from outside: no control characters, no page-long values.
    return text[:200] if text.isprintable() else repr(text[:200])


_KNOWN: dict[str, Is] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
_DEFAULTS = Settings()
