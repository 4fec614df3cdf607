"""Settings of posts and media, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from app.settings import Settings, load
from app.wiring_media import key_of, wire_media
from common.clock import SystemClock
from common.errors import InvalidInput
from tests.databases import open_database


def loaded(tmp_path: Path, **flags: str) -> Settings:
    return load(flags, environment={}, folder=tmp_path)


def test_hosts_of_pictures_are_named_with_commas_or_as_a_list(tmp_path: Path) -> None:
    assert loaded(tmp_path).picture_hosts == ()
    assert loaded(tmp_path, picture_hosts="CDN.shop.example, img.example").picture_hosts == (
        "cdn.shop.example", "img.example",
    )  # fmt: skip
    (tmp_path / "haat.toml").write_text('picture_hosts = ["*"]')
    assert load({}, environment={}, folder=tmp_path).picture_hosts == ("*",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("picture_hosts", "https://cdn.example"),
        ("unchecked_posts", "maybe"),
        ("media_store", "ftp"),
        ("s3_bucket", "Capitals"),
        ("s3_bucket", "../up"),
        ("s3_region", "eu central"),
        ("s3_endpoint_url", "ftp://x"),
        ("media_cdn_url", "cdn.example"),
        ("image_max_mib", "0"),
        ("video_max_s", "5h"),
        ("upload_ttl_s", "1s"),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        loaded(tmp_path, **{name: value})
    assert [error.field for error in refused.value.errors] == ["--" + name.replace("_", "-")]


def test_a_store_in_a_bucket_needs_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="s3_bucket"):
        loaded(tmp_path, media_store="s3")


def test_keys_of_a_bucket_are_secrets(tmp_path: Path) -> None:
    settings = loaded(tmp_path, s3_access_key="AKIASECRETSECRET", s3_secret_key="wordwordwordword")

    assert "AKIASECRETSECRET" not in repr(settings)
    assert "wordwordwordword" not in repr(settings)


def test_a_key_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    key = key_of(tmp_path, "media.key")

    assert len(key) == 32
    assert key_of(tmp_path, "media.key") == key
    assert (tmp_path / "media.key").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def object_store() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize("store", ["folder", "s3"])
def test_uploads_lead_to_the_store_that_the_settings_name(tmp_path: Path, object_store: str, store: str) -> None:
    settings = Settings(
        data_dir=tmp_path, media_store=store, s3_bucket="our-media", s3_endpoint_url=object_store,
        s3_region="us-east-1", s3_access_key="key", s3_secret_key="word", public_url="https://shop.example",
    )  # fmt: skip
    engine = open_database(tmp_path)
    parts = wire_media(settings, SystemClock(), engine=engine, is_shown=lambda media_id: False)
    started = parts.library.start("a" * 32, "ann", "image/png", 100)
    engine.dispose()

    if store == "folder":
        assert started.address.url == f"https://shop.example/media/uploads/{started.ticket}"
        assert len(parts.routes) == 2
    else:
        assert started.address.url.startswith(f"{object_store}/our-media/uploads/")
        assert len(parts.routes) == 1, "nothing is uploaded to haat itself"
