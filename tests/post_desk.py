"""Everything that posts are made of, over the embedded stores, with its HTTP routes and gRPC calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from accounts.ports import Caller
from backends.media_folder import FolderMediaStore
from backends.media_sql import SqlMediaRecords
from backends.posts_sql import SqlPostStore
from common.clock import SteppedClock
from feed.index import FeedIndex
from feed.media.addresses import MediaAddresses
from feed.media.endpoints import MediaEndpoints
from feed.media.tickets import Tickets
from feed.post_view import PostViews
from feed.posts import Posts
from feed.posts_rest import PostEndpoints
from feed.posts_server import ChangedPosts, PostCalls
from feed.rest import RestEdge
from tests.databases import open_database
from tests.feed_builders import NOW_MS, TENANT, Shop, ToldChecker, a_product
from tests.media_builders import SECRET, a_library

URL = "http://media.example"


class Keys:
    """A shop, another shop, and an advertiser."""

    def caller_of(self, key: str) -> Caller | None:
        callers = {
            "shop": Caller(TENANT, "storefront"), "other": Caller("b" * 32, "storefront"),
            "brand": Caller("c" * 32, "advertiser"),
        }  # fmt: skip
        return callers.get(key)


class PostDesk:
    """`client` speaks HTTP with the key of the shop unless a call says otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = open_database(folder)
        self.clock = SteppedClock(NOW_MS)
        self.shop = Shop([a_product("shoe")])
        self.checker = ToldChecker()
        self.store = SqlPostStore(self.engine)
        media_store = FolderMediaStore(folder / "media", URL)
        self.library = a_library(media_store, SqlMediaRecords(self.engine), folder / "work", clock=self.clock)
        self.index = FeedIndex(products=self.shop)
        changed = ChangedPosts()
        self.posts = Posts(
            store=self.store, clock=self.clock, products=self.shop, checker=self.checker, media=self.library,
            tell=changed.tell,
        )  # fmt: skip
        tickets = Tickets(SECRET)
        views = PostViews(self.index, MediaAddresses("http://cdn.example", URL, tickets, self.clock))
        self.calls = PostCalls(posts=self.posts, media=self.library, index=self.index, views=views, changed=changed)
        rest = RestEdge(PostEndpoints(self.calls, views).table(), Keys(), version="1")
        media = MediaEndpoints(
            store=media_store, receiver=media_store, tickets=tickets, is_shown=self.store.shows_media, clock=self.clock
        )
        self.client = TestClient(
            Starlette(routes=[*media.routes(), *rest.routes()]), base_url=URL, headers={"x-api-key": "shop"}
        )
        self._keys = iter(f"key-{number}" for number in range(10_000))

    def write(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        """A write with a fresh key; its answer, after a look at its status."""
        sent = {"idempotency-key": next(self._keys)} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        answer = self.client.request(method, path, json=body, headers=sent)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, status: int = 201, **fields: Any) -> Any:
        """Create a post of the first creator."""
        return self.write("POST", "/v1/posts", {"creator_id": "creator-1", "caption": "A look"} | fields, status)

    def read(self, path: str, status: int = 200, **query: str) -> Any:
        """An answer to a GET."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def upload(self, data: bytes, content_type: str, creator_id: str = "creator-1") -> Any:
        """Upload and finish; the medium."""
        asked = {"creator_id": creator_id, "content_type": content_type, "size_bytes": len(data)}
        started = self.write("POST", "/v1/uploads", asked, 201)
        put = self.client.put(started["url"], content=data, headers=started["headers"])
        assert put.status_code == 201, put.text
        return self.write("POST", "/v1/uploads/finish", {"ticket": started["ticket"]})

    def close(self) -> None:
        """Close the store."""
        self.client.close()
        self.engine.dispose()
