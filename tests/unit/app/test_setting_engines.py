"""Are engines' addresses read, refused and shown as they should be?"""

from pathlib import Path

import pytest

from app import settings
from app.setting_engines import brokers, database, elasticsearch, name, redis, without_password
from app.setting_values import Reader
from common.errors import InvalidInput


@pytest.mark.parametrize(
    ("read", "given", "got"),
    [
        (
            database,
            " postgresql://haat:pw@db.example:5432/haat?sslmode=require ",
            "postgresql://haat:pw@db.example:5432/haat?sslmode=require",
        ),
        (database, "postgresql+psycopg://haat@[::1]/haat", "postgresql+psycopg://haat@[::1]/haat"),
        (database, "sqlite:////srv/haat/haat.sqlite", "sqlite:////srv/haat/haat.sqlite"),
        (elasticsearch, "http://a:9200/, https://u:p@b:9200", "http://a:9200,https://u:p@b:9200"),
        (redis, "redis+sentinel://:pw@a:1,b:2/main/0", "redis+sentinel://:pw@a:1,b:2/main/0"),
        (brokers, "a:9092, [::1]:9092,", "a:9092,[::1]:9092"),
        (brokers, ["a:9092", "b:9092"], "a:9092,b:9092"),
        (name, "haat-test_1", "haat-test_1"),
        *((read, "", "") for read in (database, elasticsearch, redis, brokers)),
    ],
)
def test_an_address_is_taken(read: Reader[str], given: object, got: str) -> None:
    assert read(given) == got


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (database, "mysql://h/d"),
        (database, "postgresql://"),
        (database, "sqlite:///haat.sqlite"),
        (database, "postgresql://h:port/d"),
        (database, "postgresql://h/d\nx"),
        (database, 5),
        (elasticsearch, "http://h/path"),
        (elasticsearch, "h:9200"),
        (redis, "http://h:1"),
        (redis, "redis://h:1/a b"),
        (brokers, "h"),
        (brokers, "kafka://h:9092"),
        (brokers, [1]),
        (name, ""),
        (name, "Haat"),
        (name, "-a"),
        (name, "a" * 33),
    ],
)
def test_another_thing_is_refused(read: Reader[str], given: object) -> None:
    with pytest.raises(ValueError, match="give "):
        read(given)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://haat:hunter2@h/d",
        "postgresql://haat:hun@hunter2@h/d",
        "postgresql://haat:hun/hunter2@h/d",
        "postgresql://haat:a,hunter2@h/d",
        "postgresql://h/d?user=haat&password=hunter2",
        "http://a:hunter2@h:1,http://b:hunter2@h:2",
    ],
)
def test_no_password_is_shown_whatever_it_is_made_of(tmp_path: Path, url: str) -> None:
    assert "hunter2" not in without_password(url)
    assert "***" in without_password(url)
    # Neither when it is good nor when it is refused.
    variable = "HAAT_ELASTICSEARCH_URL" if url.startswith("http") else "HAAT_DATABASE_URL"
    try:
        found = settings.load(environment={variable: url}, folder=tmp_path)
        shown = repr(found) + repr(settings.describe(found))
    except InvalidInput as error:
        shown = str(error)
    assert "hunter2" not in shown


def test_each_of_several_urls_keeps_its_host() -> None:
    assert without_password("http://a:x@h:1,http://b:y@i:2") == "http://a:***@h:1,http://b:***@i:2"
