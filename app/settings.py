"""What can be set, what is it set to, and who said so?

Read in this order: flags, the environment (HAAT_*), one TOML file, a profile, defaults. Nothing else reads
the environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from app.outside_bidders import OutsideBidder
from app.profile_files import profile_file
from app.setting_access import read_secrets, wrong_access
from app.setting_engines import without_password
from app.setting_list import Is
from app.setting_list_engines import Settings
from common.errors import FieldError, InvalidInput
from exchange.openrtb.publishers import Publisher

__all__ = ["Is", "SettingLine", "Settings", "describe", "load", "names"]

PREFIX = "HAAT_"
CONFIG_FILE = "haat.toml"
_LARGEST_CONFIG_BYTES = 1 << 20
_REPOSITORY = Path(__file__).resolve().parent.parent


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
    profile: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read all sources and check all values; InvalidInput names every bad one at once.

    `flags` maps names of settings to values; those that are None were not given. `config` is the TOML file, before
    HAAT_CONFIG and before haat.toml in `folder` (the current one); `profile` is a name of app/profiles, before
    HAAT_PROFILE. Relative paths of the TOML file count from its own
    folder, all others from `folder`.
    """
    environment = os.environ if environment is None else environment
    folder = Path.cwd() if folder is None else folder
    errors: list[FieldError] = []
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}

    if named := profile or environment.get(PREFIX + "PROFILE"):
        chosen = profile_file(named, "--profile" if profile else PREFIX + "PROFILE")
        for name, raw in _toml(chosen, errors).items():
            _take(name, raw, name, f"profile {named}", folder, found, origins, errors)
    file = _config_file(config, environment, folder)
    if file is not None:
        for name, raw in _toml(file, errors).items():
            _take(name, raw, name, str(file), file.parent, found, origins, errors)
    for variable, raw in sorted(environment.items()):
        if variable.startswith(PREFIX) and variable not in (PREFIX + "CONFIG", PREFIX + "PROFILE"):
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
    errors += read_secrets(found, origins)
    errors += _together(found, origins)
    errors += wrong_access(found, origins)
    if errors:
        raise InvalidInput(errors)
    return Settings(**found, origins=origins)


def environment_with(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment and these variables, for a process that is started."""
    return {**os.environ, **more}


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
    if found.get("media_store") == "s3" and not found.get("s3_bucket"):
        errors.append(FieldError("s3_bucket", "empty", "media_store s3 needs the name of a bucket"))
    ports = [found.get(name, getattr(_DEFAULTS, name)) for name in ("grpc_port", "http_port")]
    if ports[0] == ports[1] != 0:
        errors.append(FieldError(origins.get("http_port", "http_port"), str(ports[1]), "gRPC has this port already"))
    if found.get("ads_txt_check", "off") != "off" and not found.get("seller_domain"):
        remedy = "give the domain by which publishers' ads.txt files name this exchange"
        errors.append(FieldError(origins.get("seller_domain", "seller_domain"), "empty", remedy))
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
    text = without_password(str(value))
    # What is shown may come from outside: no control characters, no page-long values.
    return text[:200] if text.isprintable() else repr(text[:200])


_KNOWN: dict[str, Is] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
_DEFAULTS = Settings()
