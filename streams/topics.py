"""Which topics are there, who answers for each, and what may be done with what is in it?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_NAME = re.compile(r"[a-z][a-z_]{0,47}")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the event log.

    `key` is the field by which records belong together; `message` is the message of protos/ that a record holds;
    `retention_days` 0 keeps records for ever; `money` is never dropped; `droppable` is telemetry, which gives way when
    the disk is full. ValueError when a promise is missing or two contradict.
    """

    name: str
    owner: str
    personal_data: bool
    retention_days: int
    key: str
    message: str
    money: bool
    droppable: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a topic's name is lower-case letters and underscores, at most 48: {self.name!r}")
        if not self.owner.strip():
            raise ValueError(f"topic {self.name!r} has no owner: name the package that answers for it")
        if not self.message.strip() or not self.key.strip():
            raise ValueError(f"topic {self.name!r} needs a key and the name of its message")
        if self.retention_days < 0:
            raise ValueError(f"topic {self.name!r} is kept {self.retention_days} days: give 0 (for ever) or more")
        if self.personal_data and self.retention_days == 0:
            raise ValueError(f"topic {self.name!r} holds personal data, so it cannot be kept for ever")
        if self.money and self.droppable:
            raise ValueError(f"topic {self.name!r} is money, so it cannot be dropped")


def declared(*topics: Topic) -> Mapping[str, Topic]:
    """The topics by name; ValueError when a name is declared twice."""
    table: dict[str, Topic] = {}
    for topic in topics:
        if topic.name in table:
            raise ValueError(f"topic {topic.name!r} is declared twice: by {table[topic.name].owner} and {topic.owner}")
        table[topic.name] = topic
    return MappingProxyType(table)


AUCTIONS = Topic(
    name="auctions",
    owner="exchange",
    personal_data=True,
    retention_days=90,
    key="auction_id",
    message="haat.events.v1.AuctionsHeld",
    # Not money, and yet never dropped: what is not in the log was not sold.
    money=False,
)
NOTICES = Topic(
    name="notices",
    owner="exchange",
    personal_data=True,
    # 13 months: an advertiser may dispute a bill of the same month last year.
    retention_days=400,
    key="impression_id",
    message="haat.events.v1.NoticesTaken",
    money=True,
)
CAMPAIGN_CHANGES = Topic(
    name="campaign_changes",
    owner="exchange",
    personal_data=False,
    retention_days=30,
    key="id",
    message="haat.events.v1.CampaignChanged",
    money=False,
)
ALERTS = Topic(
    name="alerts",
    owner="exchange",
    personal_data=False,
    retention_days=90,
    key="id",
    message="haat.events.v1.BudgetAlerted",
    money=False,
)
PRODUCTS = Topic(
    name="products",
    owner="streams",
    personal_data=False,
    # The catalogue is the sum of all of them.
    retention_days=0,
    key="product_id",
    message="haat.catalogue.v1.PutProductsRequest",
    money=False,
)
POSTS = Topic(
    name="posts",
    owner="feed",
    personal_data=True,
    retention_days=90,
    key="post_id",
    message="haat.events.v1.PostChanged",
    money=False,
)
FEED_PAGES = Topic(
    name="feed_pages",
    owner="feed",
    personal_data=True,
    retention_days=90,
    key="page_id",
    message="haat.events.v1.FeedPageServed",
    money=False,
    droppable=True,
)
FEED_ACTIONS = Topic(
    name="feed_actions",
    owner="feed",
    personal_data=True,
    retention_days=90,
    key="action_id",
    message="haat.events.v1.FeedActionTaken",
    money=False,
    droppable=True,
)

TOPICS = declared(AUCTIONS, NOTICES, CAMPAIGN_CHANGES, ALERTS, PRODUCTS, POSTS, FEED_PAGES, FEED_ACTIONS)
