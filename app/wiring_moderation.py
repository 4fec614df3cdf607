"""What is moderation made of, and reputation? Its part of the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from sqlalchemy import Engine
from starlette.routing import BaseRoute

from accounts.ports import ApiKeys
from app.wiring_media import MediaParts
from backends.follower_offsets_sql import SqlFollowerOffsets
from backends.image_bans_sql import SqlImageBans
from backends.moderation_reports_sql import SqlReportStore
from backends.moderation_sql import SqlCaseStore
from backends.reputation_sql import SqlReputationStore
from backends.sales_sql import SqlSaleStore
from common.clock import Clock
from feed.index import FeedIndex
from feed.moderation import rest
from feed.moderation.bans import Bans
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_intake import CaseIntake
from feed.moderation.cases import Cases
from feed.moderation.erasure import ModerationErasure
from feed.moderation.followed_links import FollowedLinks
from feed.moderation.moderation_server import SERVICE as MODERATION_SERVICE
from feed.moderation.moderation_server import ModerationServer
from feed.moderation.picture_keeper import PictureKeeper
from feed.moderation.pictures import KnownPictures
from feed.moderation.ports import Moderated, QueueFigures
from feed.moderation.post_follower import PostFollower
from feed.moderation.post_keeper import JudgedPosts, PostKeeper
from feed.moderation.previews import Previews
from feed.moderation.reach import IndexReach
from feed.moderation.reports import Reports
from feed.moderation.subjects import SubjectKind
from feed.reputation.action_follower import ActionFollower
from feed.reputation.book import ReputationBook, TierOfCreators
from feed.reputation.reputations import Reputations
from feed.reputation.sales import Sales

__all__ = ["MODERATION_SERVICE", "Moderation", "wire_moderation"]


@dataclass
class Moderation:
    """What serves moderators, those who report and those who appeal, and what goes on beside the calls."""

    cases: Cases
    intake: CaseIntake
    effects: CaseEffects
    reports: Reports
    reputations: Reputations
    book: ReputationBook
    bans: Bans
    tiers: TierOfCreators
    sales: Sales
    actions: ActionFollower
    posts: PostFollower
    # To be added to a grpc.aio server; it answers MODERATION_SERVICE.
    handler: grpc.GenericRpcHandler
    routes: list[BaseRoute]
    # Of all tenants, as of the last look.
    figures: QueueFigures
    # None where nobody may go out to the network for it.
    followed: FollowedLinks | None = None

    def look(self) -> None:
        """Read the figures for the metrics. Blocks on SQL: call it in a thread."""
        self.figures = self.cases.figures()

    def prune(self) -> int:
        """Drop what counts for next to nothing."""
        return self.reputations.prune()


def moderation_erasure(engine: Engine, clock: Clock) -> ModerationErasure:
    """What forgets people here; it needs nothing but the stores, so it is there before all the rest."""
    return ModerationErasure(
        cases=SqlCaseStore(engine), reports=SqlReportStore(engine), reputations=SqlReputationStore(engine),
        sales=SqlSaleStore(engine), clock=clock,
    )  # fmt: skip


def wire_moderation(
    engine: Engine,
    clock: Clock,
    *,
    node: str,
    keys: ApiKeys,
    index: FeedIndex,
    posts: JudgedPosts,
    book: ReputationBook,
    media: MediaParts,
    pictures: KnownPictures,
    others: Mapping[SubjectKind, Moderated] | None = None,
    returns_days: int = 14,
) -> Moderation:
    """Put it together over an open store; nothing is started. `others` says who keeps subjects that are
    neither posts nor pictures.
    """
    moderated: dict[SubjectKind, Moderated] = {
        SubjectKind.POST: PostKeeper(posts),
        SubjectKind.PICTURE: PictureKeeper(media.library),
        **(others or {}),
    }
    store, report_store = SqlCaseStore(engine), SqlReportStore(engine)
    reputations = Reputations(store=SqlReputationStore(engine), book=book, clock=clock)
    reputations.refresh()
    sales = Sales(
        store=SqlSaleStore(engine), reputations=reputations, clock=clock, returns_ms=returns_days * 86_400_000
    )
    reach = IndexReach(index, clock)
    effects = CaseEffects(store=store, reports=report_store, moderated=moderated, consequences=reputations, clock=clock)
    intake = CaseIntake(store=store, reach=reach, effects=effects, clock=clock)
    cases = Cases(store=store, reports=report_store, effects=effects, reach=reach, clock=clock)
    reports = Reports(store=report_store, intake=intake, effects=effects, tracks=reputations, authors=book, clock=clock)
    bans = Bans(
        store=SqlImageBans(engine), trail=store, known=pictures, media=media.library, intake=intake, clock=clock
    )
    previews = Previews(
        effects=effects, media=media.library, addresses=media.addresses, is_shown=media.is_shown, clock=clock
    )
    server = ModerationServer(
        cases=cases, reports=reports, reputations=reputations, bans=bans, keys=keys, clock=clock,
        previews_of=previews.of,
    )  # fmt: skip
    return Moderation(
        cases=cases,
        intake=intake,
        effects=effects,
        reports=reports,
        reputations=reputations,
        book=book,
        bans=bans,
        tiers=TierOfCreators(book),
        sales=sales,
        actions=ActionFollower(
            index=index,
            reputations=reputations,
            sales=sales,
            reports=reports,
            offsets=SqlFollowerOffsets(engine, "reputation", node),
        ),
        posts=PostFollower(posts=posts, intake=intake, offsets=SqlFollowerOffsets(engine, "moderation", node)),
        handler=server.handler(),
        routes=rest.routes(server),
        figures=cases.figures(),
    )
