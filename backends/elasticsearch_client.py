"""How is Elasticsearch reached? A client with bounded waits, and its troubles in haat's own words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
from elasticsearch import ApiError, AsyncElasticsearch, ConnectionTimeout, Elasticsearch, TransportError

from common.errors import BackendUnavailable, FieldError, InvalidInput

# A call that takes longer is given up: whoever follows asks again.
REQUEST_S = 10.0
# An index that is held back from writing says so with one of these types.
BLOCKED = "cluster_block_exception"
# What each of several searches says where it failed.
_FAILURES: Final = ("responses.error.type", "responses.error.reason", "responses.status")


class IndexReadOnly(BackendUnavailable):
    """The index takes no writes: somebody set `index.blocks`, and has to take it off."""


class IndexDiskFull(BackendUnavailable):
    """Elasticsearch stopped writes since its disk is nearly full (flood stage); it goes on by itself when there is
    room.
    """


class ElasticsearchAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Beside the address: authorities for https (empty: those of public sites), and a key or a user's password."""

    ca_file: str = ""
    api_key: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Without the secrets, wherever it is shown."""
        return f"ElasticsearchAccess(ca_file={self.ca_file!r})"


def open_client(url: str, access: ElasticsearchAccess | None = None, *, request_s: float = REQUEST_S) -> Elasticsearch:
    """A client for the nodes of `url`, several separated by commas; nothing is asked yet."""
    return Elasticsearch(**_options(url, access or ElasticsearchAccess(), request_s))


def open_async_client(
    url: str, access: ElasticsearchAccess | None = None, *, request_s: float = REQUEST_S
) -> AsyncElasticsearch:
    """The same for the event loop; to be closed on it."""
    return AsyncElasticsearch(**_options(url, access or ElasticsearchAccess(), request_s))


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Troubles of the client as BackendUnavailable; `what` says what was tried, as "reading line items"."""
    try:
        yield
    except ConnectionTimeout as error:
        raise BackendUnavailable(f"Elasticsearch is too slow, {what} was given up") from error
    except TransportError as error:
        raise BackendUnavailable(f"Elasticsearch does not answer, {what} is tried again: {_short(error)}") from error
    except ApiError as error:
        raise trouble_of(error.status_code, _type_of(error), f"{what}: {_short(error)}") from error


async def hits_of_each(
    client: AsyncElasticsearch, index: str, searches: Sequence[dict[str, Any]], answer: Sequence[str], what: str
) -> list[list[dict[str, Any]]]:
    """The hits of several searches in one call, with what `answer` names of each response; `what` as in `translated`.
    BackendUnavailable when one of them failed.
    """
    with translated(what):
        found = await client.msearch(index=index, searches=searches, filter_path=[*answer, *_FAILURES])
    hits = []
    for response in found.get("responses", ()):
        if "error" in response:
            error = response["error"]
            raise trouble_of(response["status"], str(error.get("type")), str(error.get("reason"))[:200])
        hits.append(list(response.get("hits", {}).get("hits", ())))
    return hits


def trouble_of(status: int, type_: str, said: str) -> BackendUnavailable:
    """The exception for an answer of `status` with an error of this type."""
    if type_ == BLOCKED and status == 429:
        return IndexDiskFull(f"Elasticsearch's disk is nearly full, it takes no writes until there is room: {said}")
    if type_ == BLOCKED:
        remedy = "take index.blocks off its settings"
        return IndexReadOnly(f"the index is read-only in Elasticsearch, {remedy}: {said}")
    return BackendUnavailable(f"Elasticsearch refused ({status} {type_}) {said}")


def _options(url: str, access: ElasticsearchAccess, request_s: float) -> dict[str, Any]:
    nodes = _nodes(url)
    found: dict[str, Any] = {"request_timeout": request_s, "retry_on_timeout": False, "max_retries": 0}
    if access.ca_file:
        found["ca_certs"] = access.ca_file
    if access.api_key:
        found["api_key"] = access.api_key
    elif access.password:
        found["basic_auth"] = (unquote(urlsplit(nodes[0]).username or ""), access.password)
        nodes = [node.replace(f"{urlsplit(node).netloc.rpartition('@')[0]}@", "", 1) for node in nodes]
    return found | {"hosts": nodes}


def _nodes(url: str) -> list[str]:
    nodes = [node.strip() for node in url.split(",") if node.strip()]
    bad = [node for node in nodes if not node.startswith(("http://", "https://"))]
    if not nodes or bad:
        remedy = "give http://host:port, several separated by commas"
        raise InvalidInput([FieldError("elasticsearch_url", (bad or [url])[0][:100], remedy)])
    # The client wants the port said.
    return [node if urlsplit(node).port else f"{node.rstrip('/')}:{443 if node[4] == 's' else 9200}" for node in nodes]


def _type_of(error: ApiError) -> str:
    body = error.body
    cause = body.get("error") if isinstance(body, dict) else None
    return str(cause.get("type", "")) if isinstance(cause, dict) else str(cause or "")


def _short(error: Exception) -> str:
    # The client's own words may quote a whole document.
    return " ".join(str(error).split())[:200]
