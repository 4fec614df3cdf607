"""Are secrets taken from where they lie, never shown, and contradictions in how engines are entered named?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from app import settings
from app.demo_engines import as_environment, engine_settings
from app.engine_access import (
    ACCESS,
    database_url_of,
    elasticsearch_access_of,
    kafka_access_of,
    redis_address_of,
)
from app.setting_access import SECRETS
from app.settings import Settings
from backends.elasticsearch_client import open_client
from common.errors import InvalidInput
from tests.services.certificates import make_certificates

WORD = "hunter2!"


def loaded(folder: Path, **given: Any) -> Settings:
    variables = {f"HAAT_{name.upper()}": str(value) for name, value in given.items()}
    return settings.load(environment=variables, folder=folder)


def errors_of(folder: Path, **given: Any) -> dict[str, str]:
    """The remedies by the name of what is wrong; no secret is told."""
    with pytest.raises(InvalidInput) as refused:
        loaded(folder, **given)
    assert WORD not in str(refused.value)
    return {error.field.removeprefix("HAAT_").lower(): error.remedy for error in refused.value.errors}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates")).authority


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "secret"
    found.write_text(f"{WORD}\n")
    return found


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_from_its_file_and_shown_nowhere(tmp_path: Path, file: Path, name: str) -> None:
    found = loaded(tmp_path, **{f"{name}_file": file})

    assert getattr(found, name) == WORD
    shown = {line.name: line for line in settings.describe(found)}[name]
    assert (shown.value, shown.origin) == ("***", str(file))
    assert WORD not in repr(settings.describe(found))
    assert WORD not in repr(found)


def test_a_file_that_holds_no_secret_is_named_and_not_quoted(tmp_path: Path, file: Path) -> None:
    name = "kafka_password_file"
    assert "cannot be read" in errors_of(tmp_path, **{name: tmp_path / "none"})[name]
    assert "not both" in errors_of(tmp_path, **{name: file, "kafka_password": "another"})[name]
    for content in ("", "\n \n", f"{WORD}\n{WORD}", f"{WORD} ü", "x" * 5_000):
        file.write_text(content)
        assert "give " in errors_of(tmp_path, **{name: file})[name]


def test_what_engines_are_opened_by_shows_no_secret(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, redis_url="rediss://haat@h:1/0", redis_password=WORD, elasticsearch_url="https://h",
        elasticsearch_api_key=WORD, kafka_brokers="h:1", kafka_security="sasl_ssl", kafka_user="haat",
        kafka_password=WORD,
    )  # fmt: skip

    opened_by = redis_address_of(found), elasticsearch_access_of(found), kafka_access_of(found)
    assert WORD not in repr(opened_by)
    assert WORD not in "".join(map(str, opened_by))
    assert opened_by[0].password == WORD
    assert (
        opened_by[2].for_librdkafka()["sasl.password"] == opened_by[2].for_kafka_python()["sasl_plain_password"] == WORD
    )


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"kafka_security": "sasl_ssl"}, {"kafka_user"}),
        ({"kafka_security": "sasl_ssl", "kafka_user": "haat"}, {"kafka_password"}),
        ({"kafka_user": "haat", "kafka_password": WORD}, {"kafka_security"}),
        ({"kafka_security": "tls"}, {"kafka_security"}),
        ({"redis_url": f"redis://:{WORD}@h:1", "redis_password": WORD}, {"redis_password"}),
        (
            {"elasticsearch_url": "https://haat@h:1", "elasticsearch_api_key": WORD},
            {"elasticsearch_api_key"},
        ),
        ({"elasticsearch_url": "https://h:1", "elasticsearch_password": WORD}, {"elasticsearch_password"}),
        (
            {"elasticsearch_url": f"https://h:1,https://haat:{WORD}@i", "elasticsearch_password": WORD},
            {"elasticsearch_password"},
        ),
        ({"database_url": f"postgresql://haat:{WORD}@h/haat", "database_password": WORD}, {"database_password"}),
    ],
)
def test_a_contradiction_is_named(tmp_path: Path, given: dict[str, str], wrong: set[str]) -> None:
    brokers = {"kafka_brokers": "h:1"} if any(name.startswith("kafka") for name in given) else {}

    assert set(errors_of(tmp_path, **brokers, **given)) == wrong


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"kafka_brokers": "h:1", "kafka_security": "sasl_plaintext"}, "kafka_security"),
        ({"redis_url": "redis://h:1"}, "redis_ca_file"),
        ({"elasticsearch_url": "https://h:1,http://i:1"}, "elasticsearch_ca_file"),
        ({"database_url": "postgresql://h/d", "database_sslmode": "prefer"}, "database_sslmode"),
        ({"database_url": "postgresql://h/d?sslmode=disable"}, "database_sslmode"),
    ],
)
def test_an_authority_that_would_not_be_asked_is_named(
    tmp_path: Path, authority: Path, given: dict[str, str], wrong: str
) -> None:
    engine = wrong.split("_", 1)[0]
    more = {"kafka_user": "haat", "kafka_password": WORD} if engine == "kafka" else {}

    assert set(errors_of(tmp_path, **given, **more, **{f"{engine}_ca_file": authority})) == {wrong}


@pytest.mark.parametrize("engine", ["database", "elasticsearch", "redis", "kafka"])
def test_a_file_of_authorities_that_is_none_is_named(tmp_path: Path, file: Path, engine: str) -> None:
    name = f"{engine}_ca_file"

    assert "holds no certificate" in errors_of(tmp_path, **{name: file})[name]
    assert "cannot be read" in errors_of(tmp_path, **{name: tmp_path / "none"})[name]


def test_the_url_of_postgresql_has_what_was_set_beside_it(tmp_path: Path, authority: Path) -> None:
    url = "postgresql://haat@db.example/haat"

    found = make_url(
        database_url_of(loaded(tmp_path, database_url=url, database_password="p@:/w", database_ca_file=authority))
    )

    assert found.password == "p@:/w"
    assert dict(found.query) == {"sslmode": "verify-full", "sslrootcert": str(authority)}
    assert database_url_of(loaded(tmp_path, database_url=url)) == url
    chosen = loaded(tmp_path, database_url=f"{url}?sslmode=verify-ca", database_ca_file=authority)
    assert make_url(database_url_of(chosen)).query["sslmode"] == "verify-ca"
    chosen = loaded(tmp_path, database_url=f"{url}?sslmode=verify-ca", database_sslmode="require")
    assert make_url(database_url_of(chosen)).query["sslmode"] == "require"
    assert database_url_of(Settings()) == ""
    sqlite = loaded(tmp_path, database_url="sqlite:////srv/haat.sqlite", database_password=WORD)
    assert database_url_of(sqlite) == "sqlite:////srv/haat.sqlite"


def test_elasticsearch_is_told_a_key_or_a_user_with_a_password(tmp_path: Path) -> None:
    url = "https://haat@a.example,https://haat@b.example:1"
    for given in (
        {"elasticsearch_url": url, "elasticsearch_password": WORD},
        {"elasticsearch_url": "https://a.example", "elasticsearch_api_key": WORD},
    ):
        found = loaded(tmp_path, **given)
        client = open_client(found.elasticsearch_url, elasticsearch_access_of(found))
        how = client._headers["authorization"].split()[0]
        assert how == ("Basic" if "elasticsearch_password" in given else "ApiKey")
        assert {node.host for node in client.transport.node_pool.all()} <= {"a.example", "b.example"}
        client.close()


def test_the_processes_of_a_demo_are_told_what_it_was_told_and_each_secret_once(tmp_path: Path, file: Path) -> None:
    asked = loaded(
        tmp_path, kafka_security="sasl_ssl", kafka_user="haat", kafka_password_file=file, redis_password=WORD,
        elasticsearch_api_key_file=file, database_password_file=file,
    )  # fmt: skip

    # What was said by a variable before is in the environment of its processes too.
    before = {f"HAAT_{name.upper()}_FILE": str(file) for name in SECRETS}
    told = settings.load(environment=before | as_environment(engine_settings(asked)), folder=tmp_path)

    assert {name: getattr(told, name) for name in ACCESS} == {name: getattr(asked, name) for name in ACCESS}
    # It stands in the URL of the database that the demo makes.
    assert (told.database_url, told.database_password, told.database_password_file) == ("", "", None)
