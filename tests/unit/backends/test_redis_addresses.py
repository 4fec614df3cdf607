"""Are all ways to name a Redis understood, and wrong ones refused without showing a password?"""

from __future__ import annotations

import pytest

from backends.redis_addresses import RedisAddress, redis_address
from common.errors import InvalidInput


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("redis://cache", RedisAddress((("cache", 6379),)), "redis://cache:6379"),
        ("redis://:pa%40ss@cache:1/3", RedisAddress((("cache", 1),), 3, "", "pa@ss"), "redis://cache:1"),
        ("rediss://me:pw@[::1]:7/0", RedisAddress((("::1", 7),), 0, "me", "pw", tls=True), "rediss://[::1]:7"),
        (
            "redis+sentinel://a,b:2/main/1",
            RedisAddress((("a", 26379), ("b", 2)), 1, service="main"),
            "redis+sentinel://a:26379,b:2/main",
        ),
        (
            "redis+cluster://a:1,b:2",
            RedisAddress((("a", 1), ("b", 2)), cluster=True),
            "redis+cluster://a:1,b:2",
        ),
    ],
)
def test_each_form_is_understood_and_shown_without_its_password(url: str, address: RedisAddress, shown: str) -> None:
    assert redis_address(url) == address
    assert str(redis_address(url)) == shown


@pytest.mark.parametrize(
    "url",
    [
        "", "cache:6379", "http://cache", "redis://", "redis://a,b", "redis://a:0", "redis://a:99999", "redis://a/x",
        "redis://a/0/1", "redis+sentinel://a", "redis+sentinel://a/", "redis+cluster://a/0", "redis://a b",
        "redis://:secret@a:x", "redis+other://a", "redis+cluster://" + ",".join("a" * 40),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_by_field(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        redis_address(url)

    assert [error.field for error in refused.value.errors] == ["redis_url"]
    assert "secret" not in str(refused.value)
