"""Which topics are there, who answers for each, and what may be done with what is in it?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_NAME = re.compile(r"[a-z][a-z_]{0,47}")
_MOST_PARTITIONS = 1000
# GDPR Art. 12(3) gives a month for an erasure; a broker drops whole segments, of a day each here.
PERSONAL_DAYS_ON_A_BROKER = 28


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the event log.

    `key` is the field by which records belong together; `message` is the message of protos/ that a record holds;
    `retention_days` 0 keeps records for ever; `money` is never dropped; `droppable` is telemetry, which gives way when
    the disk is full. On a broker the topic has `partitions`, and records that agree in the field `ordered_by` stand in
    one of them in their order; empty where no order is needed across records: then they are spread. What is told
    `everywhere` stands in the log of every node, so whoever adds up the logs of all nodes takes it from one of them.
    ValueError when a promise is missing or two contradict.
    """

    name: str
    owner: str
    personal_data: bool
    retention_days: int
    key: str
    message: str
    money: bool
    droppable: bool = False
    partitions: int = 1
    ordered_by: str = ""
    everywhere: bool = False

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
        if self.money and self.everywhere:
            raise ValueError(f"topic {self.name!r} is money, so it stands in one log alone")
        if self.money and self.droppable:
            raise ValueError(f"topic {self.name!r} is money, so it cannot be dropped")
        if not 1 <= self.partitions <= _MOST_PARTITIONS:
            raise ValueError(f"topic {self.name!r} has {self.partitions} partitions: give 1 to {_MOST_PARTITIONS}")

    @property
    def broker_days(self) -> int:
        """How long a broker keeps it, 0 for ever. Nothing can be taken out of a broker's topic, so what names people
        is gone from there within the month that erasure may take, however long the node's own log keeps it.
        """
        if not self.personal_data:
            return self.retention_days
        return min(self.retention_days, PERSONAL_DAYS_ON_A_BROKER)


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
    partitions=6,
    # A record is a batch of many visitors; whoever reads them adds up.
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
    partitions=6,
    # Whoever reads a partition sees all that is spent of its campaigns, a correction after what it corrects.
    ordered_by="campaign_number",
)
FORWARDED_NOTICES = Topic(
    name="forwarded_notices",
    owner="exchange",
    # Impression ids and order numbers, as in `notices`.
    personal_data=True,
    # The record of what was said, also where nothing is billed for it.
    retention_days=400,
    key="impression_id",
    message="haat.events.v1.NoticesForwarded",
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
    everywhere=True,
)
ALERTS = Topic(
    name="alerts",
    owner="exchange",
    personal_data=False,
    retention_days=90,
    key="id",
    message="haat.events.v1.BudgetAlerted",
    money=False,
    everywhere=True,
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
    everywhere=True,
)
POSTS = Topic(
    name="posts",
    owner="feed",
    personal_data=True,
    retention_days=90,
    key="post_id",
    message="haat.events.v1.PostChanged",
    money=False,
    partitions=3,
    ordered_by="post_id",
    everywhere=True,
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
    partitions=6,
    # A session is one visitor's. Not the visitor: erasure blanks that, and a record must not move.
    ordered_by="session_id",
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
    partitions=6,
    ordered_by="session_id",
)

ERASURES = Topic(
    name="erasures",
    owner="feed",
    # Digests: they recognise a person's records and name nobody.
    personal_data=False,
    # A backup of any age forgets again what was erased since.
    retention_days=0,
    key="person_digest",
    message="haat.events.v1.PersonErased",
    money=False,
    everywhere=True,
)
SHARE_CLICKS = Topic(
    name="share_clicks",
    owner="feed",
    personal_data=True,
    # As long as what is earned by it may be disputed.
    retention_days=400,
    key="click_id",
    message="haat.events.v1.ShareClicked",
    money=False,
    partitions=3,
    ordered_by="share_id",
)
MODERATION = Topic(
    name="moderation",
    owner="feed",
    # A profile's subject is a person.
    personal_data=True,
    # As long as a decision can be appealed, and a year beyond it.
    retention_days=550,
    key="case_id",
    message="haat.events.v1.CaseDecided",
    money=False,
    ordered_by="case_id",
    everywhere=True,
)
CREATOR_TIERS = Topic(
    name="creator_tiers",
    owner="feed",
    personal_data=True,
    # A commission of the same month last year may be disputed.
    retention_days=400,
    key="creator_id",
    message="haat.events.v1.TierChanged",
    money=False,
    ordered_by="creator_id",
    everywhere=True,
)

TOPICS = declared(
    AUCTIONS,
    NOTICES,
    FORWARDED_NOTICES,
    CAMPAIGN_CHANGES,
    ALERTS,
    PRODUCTS,
    POSTS,
    FEED_PAGES,
    FEED_ACTIONS,
    ERASURES,
    SHARE_CLICKS,
    MODERATION,
    CREATOR_TIERS,
)

# Of the broker alone: what a group of consumers could not take, as it came, with the reason in its headers.
DEAD_LETTERS = Topic(
    name="dead_letters",
    owner="streams",
    personal_data=True,
    retention_days=PERSONAL_DAYS_ON_A_BROKER,
    key="(that of the record)",
    message="(that of the record)",
    money=True,
)

CARRIED = declared(*TOPICS.values(), DEAD_LETTERS)
