"""What is said of an Elasticsearch that cannot be reached or refuses? No server is needed for it."""

from __future__ import annotations

import pytest

from backends.elasticsearch_client import (
    BLOCKED,
    IndexDiskFull,
    IndexReadOnly,
    open_client,
    translated,
    trouble_of,
)
from common.errors import BackendUnavailable, InvalidInput


def test_ports_are_those_that_are_usual_where_none_is_said() -> None:
    client = open_client("http://a.example, https://me:secret@b.example/,http://[::1],http://c.example:1")

    found = [(node.host, node.port) for node in client.transport.node_pool.all()]
    assert sorted(found) == [("::1", 9200), ("a.example", 9200), ("b.example", 443), ("c.example", 1)]
    client.close()


@pytest.mark.parametrize("url", ["", " , ", "redis://a.example"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        open_client(url)

    assert raised.value.errors[0].field == "elasticsearch_url"


def test_nobody_there_is_unavailable_and_no_password_is_told() -> None:
    client = open_client("http://me:secret@127.0.0.1:9", request_s=1)

    with pytest.raises(BackendUnavailable) as raised, translated("counting"):
        client.count()

    assert "counting" in str(raised.value)
    assert "secret" not in str(raised.value)
    client.close()


@pytest.mark.parametrize(
    ("status", "type_", "trouble"),
    [
        (429, BLOCKED, IndexDiskFull),
        (403, BLOCKED, IndexReadOnly),
        (429, "es_rejected_execution_exception", BackendUnavailable),
        (500, "", BackendUnavailable),
    ],
)
def test_each_refusal_has_its_name(status: int, type_: str, trouble: type[BackendUnavailable]) -> None:
    assert type(trouble_of(status, type_, "why")) is trouble
