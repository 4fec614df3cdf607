"""Do the settings fit by which engines are entered? Secrets that lie in files are read, and contradictions named."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from app import setting_values as values
from common.errors import FieldError

# Each may be given itself or as the file that holds it, under the same name with _file.
SECRETS: Final = (
    "database_password", "elasticsearch_password", "elasticsearch_api_key", "redis_password", "kafka_password",
)  # fmt: skip
_CA_FILES: Final = ("database_ca_file", "elasticsearch_ca_file", "redis_ca_file", "kafka_ca_file")
_LARGEST_SECRET_BYTES: Final = 4096
_WITHOUT_A_LOOK: Final = ("disable", "allow", "prefer")


def read_secrets(found: dict[str, Any], origins: dict[str, str]) -> list[FieldError]:
    """Take secrets out of their files into `found`; what is wrong with the files, never what is in them."""
    errors = []
    for name in SECRETS:
        file: Path | None = found.get(f"{name}_file")
        if file is None:
            continue
        called = origins.get(f"{name}_file", f"{name}_file")
        if found.get(name):
            errors.append(FieldError(called, str(file), f"give {name} or {name}_file, not both"))
            continue
        try:
            found[name] = _secret_in(file)
            origins[name] = str(file)
        except OSError as error:
            errors.append(FieldError(called, str(file), f"cannot be read ({error.strerror}): name another file"))
        except ValueError as error:
            errors.append(FieldError(called, str(file), str(error)))
    return errors


def wrong_access(found: Mapping[str, Any], origins: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with values that are good one by one; engines without an address are not looked at."""
    wrong = [*_wrong_authorities(found)]
    if str(found.get("database_url", "")).startswith("postgresql"):
        wrong += _wrong_database(found)
    if found.get("elasticsearch_url"):
        wrong += _wrong_elasticsearch(found)
    if found.get("redis_url"):
        wrong += _wrong_redis(found)
    if found.get("kafka_brokers"):
        wrong += _wrong_kafka(found)
    return [FieldError(origins.get(name, name), value, remedy) for name, value, remedy in wrong]


# The name of a setting, its value as it may be shown, and the remedy.
_Wrong = list[tuple[str, str, str]]


def _wrong_authorities(found: Mapping[str, Any]) -> _Wrong:
    wrong = []
    for name in _CA_FILES:
        if (file := found.get(name)) is None:
            continue
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
        except ssl.SSLError:
            wrong.append((name, str(file), "holds no certificate: give a PEM file of the authority's certificates"))
        except OSError as error:
            wrong.append((name, str(file), f"cannot be read ({error.strerror}): name another file"))
    return wrong


def _wrong_database(found: Mapping[str, Any]) -> _Wrong:
    wrong = _two_passwords(found, "database")
    mode = found.get("database_sslmode", "url")
    if mode == "url":
        (mode,) = parse_qs(urlsplit(found["database_url"]).query).get("sslmode", ["verify-full"])[-1:]
    if found.get("database_ca_file") is not None and mode in _WITHOUT_A_LOOK:
        remedy = "the authority would not be asked: give verify-full, or no database_ca_file"
        wrong.append(("database_sslmode", mode, remedy))
    return wrong


def _wrong_elasticsearch(found: Mapping[str, Any]) -> _Wrong:
    urls = str(found["elasticsearch_url"]).split(",")
    named = any(urlsplit(url).username for url in urls)
    key, password = (bool(found.get(f"elasticsearch_{name}")) for name in ("api_key", "password"))
    wrong = _two_passwords(found, "elasticsearch")
    if key and (password or named):
        wrong.append(("elasticsearch_api_key", "***", "give a key, or a user with a password, not both"))
    if password and not named:
        remedy = "give the user in elasticsearch_url, as in https://USER@search.example:9200"
        wrong.append(("elasticsearch_password", "***", remedy))
    if found.get("elasticsearch_ca_file") is not None and not all(url.startswith("https://") for url in urls):
        remedy = "elasticsearch_url has to begin with https:// for it, each of several"
        wrong.append(("elasticsearch_ca_file", str(found["elasticsearch_ca_file"]), remedy))
    return wrong


def _wrong_redis(found: Mapping[str, Any]) -> _Wrong:
    wrong = _two_passwords(found, "redis")
    if found.get("redis_ca_file") is not None and not str(found["redis_url"]).startswith("rediss"):
        wrong.append(("redis_ca_file", str(found["redis_ca_file"]), "redis_url has to begin with rediss for it"))
    return wrong


def _wrong_kafka(found: Mapping[str, Any]) -> _Wrong:
    security = found.get("kafka_security", "plaintext")
    user, password = bool(found.get("kafka_user")), bool(found.get("kafka_password"))
    wrong: _Wrong = []
    if security.startswith("sasl") and not (user and password):
        missing = "kafka_password" if user else "kafka_user"
        wrong.append((missing, "empty", f"kafka_security {security} needs kafka_user and kafka_password"))
    if not security.startswith("sasl") and (user or password):
        remedy = "nobody would be told: give sasl_ssl (or sasl_plaintext) for kafka_user and kafka_password"
        wrong.append(("kafka_security", security, remedy))
    if found.get("kafka_ca_file") is not None and not security.endswith("ssl"):
        wrong.append(("kafka_security", security, "the authority would not be asked: give ssl or sasl_ssl"))
    return wrong


def _two_passwords(found: Mapping[str, Any], engine: str) -> _Wrong:
    name = f"{engine}_password"
    # Several addresses with commas are looked at one by one.
    addresses = str(found[f"{engine}_url"]).split(",") if engine == "elasticsearch" else [str(found[f"{engine}_url"])]
    if found.get(name) and any(":" in urlsplit(url).netloc.rpartition("@")[0] for url in addresses):
        return [(name, "***", f"{engine}_url has a password too: give one of them")]
    return []


def _secret_in(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(_LARGEST_SECRET_BYTES + 1)
    if len(content) > _LARGEST_SECRET_BYTES or not content.strip():
        raise ValueError("give a file with the secret alone in it")
    # What is not ASCII is refused by the reader, which says what a secret may be.
    return values.secret(content.decode("ascii", "replace"))
