"""How do moderators, visitors and authors ask over gRPC? ModerationService; the same methods serve REST."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from common.clock import Clock
from common.errors import FieldError, InvalidInput, PermissionDenied
from feed import asking
from feed.moderation import moderation_wire as wire
from feed.moderation.bans import Bans
from feed.moderation.case_asking import ModeratorWrite
from feed.moderation.case_values import Case
from feed.moderation.cases import Cases
from feed.moderation.previews import PreviewsOf, no_previews
from feed.moderation.reasons import REASONS
from feed.moderation.reports import ReportAsked, Reports
from feed.post_rules import is_id, shown
from feed.reputation.reputations import Reputations
from protos import moderation_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["ModerationService"].full_name
MODERATORS = ("moderator", "operator")
STOREFRONTS = ("storefront", "operator")
ROLES = ("moderator", "storefront", "operator")

# A request and its caller in, an answer out.
Answer = Callable[[Any, Caller], Awaitable[Message]]


class ModerationServer:
    """ModerationService over the use cases; what blocks leaves the event loop for a thread."""

    def __init__(
        self,
        *,
        cases: Cases,
        reports: Reports,
        reputations: Reputations,
        bans: Bans,
        keys: ApiKeys,
        clock: Clock,
        previews_of: PreviewsOf = no_previews,
    ) -> None:
        self._previews_of = previews_of
        self._bans = bans
        self._cases = cases
        self._reports = reports
        self._reputations = reputations
        self._keys = keys
        self._clock = clock

    @property
    def keys(self) -> ApiKeys:
        """Whom API keys belong to."""
        return self._keys

    def methods(self) -> dict[str, tuple[type[Message], Answer]]:
        """Every method by its name, each behind the roles that may call it."""
        return {
            "ListCases": (pb.ListCasesRequest, _for(MODERATORS, self.list_cases)),
            "GetCase": (pb.GetCaseRequest, _for(MODERATORS, self.get_case)),
            "ClaimCases": (pb.ClaimCasesRequest, _for(MODERATORS, self.claim_cases)),
            "ReleaseCase": (pb.ReleaseCaseRequest, _for(MODERATORS, self.release_case)),
            "DecideCase": (pb.DecideCaseRequest, _for(MODERATORS, self.decide_case)),
            "DecideCases": (pb.DecideCasesRequest, _for(MODERATORS, self.decide_cases)),
            "UndoDecision": (pb.UndoDecisionRequest, _for(MODERATORS, self.undo_decision)),
            "ListTrail": (pb.ListTrailRequest, _for(MODERATORS, self.list_trail)),
            "ListReasons": (pb.ListReasonsRequest, _for(ROLES, self.list_reasons)),
            "GetQueueFigures": (pb.GetQueueFiguresRequest, _for(MODERATORS, self.get_queue_figures)),
            "GetReputation": (pb.GetReputationRequest, _for(MODERATORS, self.get_reputation)),
            "ListImageBans": (pb.ListImageBansRequest, _for(MODERATORS, self.list_image_bans)),
            "BanImage": (pb.BanImageRequest, _for(MODERATORS, self.ban_image)),
            "LiftImageBan": (pb.LiftImageBanRequest, _for(MODERATORS, self.lift_image_ban)),
            "UndoImageBan": (pb.UndoImageBanRequest, _for(MODERATORS, self.undo_image_ban)),
            "ReportSubject": (pb.ReportSubjectRequest, _for(STOREFRONTS, self.report_subject)),
            "GetStatement": (pb.GetStatementRequest, _for(STOREFRONTS, self.get_statement)),
            "AppealDecision": (pb.AppealDecisionRequest, _for(STOREFRONTS, self.appeal_decision)),
        }

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            name: (message_type, _without_context(answer)) for name, (message_type, answer) in self.methods().items()
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES)

    async def list_cases(self, request: pb.ListCasesRequest, caller: Caller) -> pb.CasePage:
        """A page of the queue."""
        errors: list[FieldError] = []
        wanted = wire.asked_filter(request, errors, self._clock.now_ms(), _write(request, caller).moderator)
        _refuse(errors)
        page = await asyncio.to_thread(
            self._cases.queue, tenant_of(request, caller), wanted, request.page_size, request.page_token
        )
        return pb.CasePage(cases=await self._looked_at(page.cases), next_page_token=page.next_page_token)

    async def get_case(self, request: pb.GetCaseRequest, caller: Caller) -> pb.CaseDetail:
        """One case, with what people said."""
        case = await asyncio.to_thread(self._cases.case, tenant_of(request, caller), request.case_id)
        reports = await asyncio.to_thread(self._cases.reports_of, case)
        [looked_at] = await self._looked_at([case])
        return pb.CaseDetail(case=looked_at, reports=map(wire.report_message, reports))

    async def claim_cases(self, request: pb.ClaimCasesRequest, caller: Caller) -> pb.CaseList:
        """The next cases, or the one that is named."""
        errors: list[FieldError] = []
        write = _write(request, caller)
        wanted = wire.asked_filter(request, errors, self._clock.now_ms(), write.moderator)
        _refuse(errors)
        if request.case_id:
            found = [await asyncio.to_thread(self._cases.claim_case, write, request.case_id)]
        else:
            found = await asyncio.to_thread(self._cases.claim, write, wanted, request.count or 1)
        return pb.CaseList(cases=await self._looked_at(found))

    async def release_case(self, request: pb.ReleaseCaseRequest, caller: Caller) -> pb.Case:
        """Anybody's again."""
        return wire.case_message(await asyncio.to_thread(self._cases.release, _write(request, caller), request.case_id))

    async def decide_case(self, request: pb.DecideCaseRequest, caller: Caller) -> pb.Case:
        """What becomes of it."""
        errors: list[FieldError] = []
        asked = wire.asked_decision(request.decision, "decision", errors)
        _refuse(errors)
        return wire.case_message(await asyncio.to_thread(self._cases.decide, _write(request, caller), asked))

    async def decide_cases(self, request: pb.DecideCasesRequest, caller: Caller) -> pb.DecideCasesResponse:
        """The same for many."""
        errors: list[FieldError] = []
        asked = [wire.asked_decision(one, f"decisions[{at}]", errors) for at, one in enumerate(request.decisions[:101])]
        _refuse(errors)
        results = await asyncio.to_thread(
            self._cases.decide_many, _write(request, caller), asked, dry_run=request.dry_run
        )
        return pb.DecideCasesResponse(
            results=[
                pb.DecideCasesResponse.Result(
                    case_id=result.case_id,
                    case=wire.case_message(result.case) if result.case is not None else None,
                    error=result.error,
                )
                for result in results
            ]
        )

    async def undo_decision(self, request: pb.UndoDecisionRequest, caller: Caller) -> pb.Case:
        """What held before holds again."""
        return wire.case_message(
            await asyncio.to_thread(self._cases.undo, _write(request, caller), request.case_id, request.note)
        )

    async def list_trail(self, request: pb.ListTrailRequest, caller: Caller) -> pb.Trail:
        """The audit trail."""
        tenant = tenant_of(request, caller)
        entries = await asyncio.to_thread(
            self._cases.trail, tenant, request.case_id, request.after_position, request.limit or 100
        )
        first_break = await asyncio.to_thread(self._cases.first_break, tenant) if request.verify else 0
        return pb.Trail(entries=map(wire.entry_message, entries), first_break=first_break, verified=request.verify)

    async def list_reasons(self, _request: pb.ListReasonsRequest, _caller: Caller) -> pb.ReasonList:
        """The table of reasons."""
        return pb.ReasonList(
            reasons=[
                pb.Reason(code=r.code, ground=r.ground.value, rule=r.rule, explanation=r.explanation)
                for r in REASONS.values()
            ]
        )

    async def get_queue_figures(self, request: pb.GetQueueFiguresRequest, caller: Caller) -> pb.QueueFigures:
        """How the queue is."""
        figures = await asyncio.to_thread(self._cases.figures, tenant_of(request, caller))
        return wire.figures_message(figures, self._clock.now_ms())

    async def get_reputation(self, request: pb.GetReputationRequest, caller: Caller) -> pb.Reputation:
        """Why a creator stands where it stands."""
        if not is_id(request.creator_id):
            _refuse([FieldError("creator_id", shown(request.creator_id), "give 1 to 64 printable characters")])
        explained = await asyncio.to_thread(self._reputations.explain, tenant_of(request, caller), request.creator_id)
        return wire.reputation_message(request.creator_id, explained)

    async def list_image_bans(self, request: pb.ListImageBansRequest, caller: Caller) -> pb.ImageBanList:
        """Which pictures nobody may publish."""
        found = await asyncio.to_thread(self._bans.all, tenant_of(request, caller))
        return pb.ImageBanList(bans=map(wire.ban_message, found))

    async def ban_image(self, request: pb.BanImageRequest, caller: Caller) -> pb.ImageBanChange:
        """One more, and what was published with it is taken away."""
        ban, taken = await asyncio.to_thread(
            self._bans.add, _write(request, caller), request.image_hash, request.media_id, request.reason
        )
        return pb.ImageBanChange(ban=wire.ban_message(ban), holds=True, taken_away=taken)

    async def lift_image_ban(self, request: pb.LiftImageBanRequest, caller: Caller) -> pb.ImageBanChange:
        """One fewer."""
        write = _write(request, caller)
        ban = await asyncio.to_thread(self._bans.remove, write, request.image_hash, request.note)
        return pb.ImageBanChange(ban=wire.ban_message(ban), holds=False)

    async def undo_image_ban(self, request: pb.UndoImageBanRequest, caller: Caller) -> pb.ImageBanChange:
        """A change of the list is taken back."""
        ban, holds = await asyncio.to_thread(self._bans.undo, _write(request, caller), request.position)
        return pb.ImageBanChange(ban=wire.ban_message(ban), holds=holds)

    async def report_subject(self, request: pb.ReportSubjectRequest, caller: Caller) -> pb.ReportSubjectResponse:
        """A visitor says that something is wrong."""
        errors: list[FieldError] = []
        subject = wire.asked_subject(request.subject, errors)
        errors += asking.visitor_errors(request.visitor.visitor_id, (), ())
        _refuse(errors)
        visitor = asking.visitor_of(
            request.consent.granted,
            global_privacy_control=request.consent.global_privacy_control,
            child_directed=request.consent.child_directed,
            visitor_id=request.visitor.visitor_id,
            segments=(),
            affinities=(),
        )
        asked = ReportAsked(
            tenant_of(request, caller),
            subject,
            int(request.reason),
            request.session_id,
            visitor.permissions,
            visitor.visitor_id,
            request.text,
        )
        # What became of it is not told: who plans a brigade would learn how many it takes.
        reported = await asyncio.to_thread(self._reports.report, asked)
        return pb.ReportSubjectResponse(taken=reported.taken)

    async def get_statement(self, request: pb.GetStatementRequest, caller: Caller) -> pb.Statement:
        """What the author is told."""
        tenant = tenant_of(request, caller)
        if request.case_id:
            found = await asyncio.to_thread(self._cases.statement, tenant, request.case_id, request.author_id)
        else:
            errors: list[FieldError] = []
            subject = wire.asked_subject(request.subject, errors)
            _refuse(errors)
            found = await asyncio.to_thread(self._cases.statement_about, tenant, subject, request.author_id)
        return wire.statement_message(found)

    async def appeal_decision(self, request: pb.AppealDecisionRequest, caller: Caller) -> pb.Case:
        """The author says no."""
        case = await asyncio.to_thread(
            self._cases.appeal, _write(request, caller), request.case_id, request.author_id, request.text
        )
        return wire.appealed_message(case)

    async def _looked_at(self, cases: Sequence[Case]) -> list[pb.Case]:
        """With previews, so only where moderators alone may ask."""
        return await asyncio.to_thread(lambda: [wire.case_message(case, self._previews_of(case)) for case in cases])


def tenant_of(request: Any, caller: Caller) -> str:
    """The tenant that a call is about: the caller's own unless it names another, which only operators may."""
    tenant_id: str = request.tenant_id or caller.tenant_id
    if tenant_id != caller.tenant_id and caller.role != "operator":
        raise PermissionDenied("the API key belongs to another tenant than tenant_id names")
    return tenant_id


def _write(request: Any, caller: Caller) -> ModeratorWrite:
    return ModeratorWrite(caller, tenant_of(request, caller), getattr(request, "idempotency_key", ""))


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidInput(errors)


def _for(roles: tuple[str, ...], answer: Answer) -> Answer:
    async def checked(request: Any, caller: Caller) -> Message:
        if caller.role not in roles:
            raise PermissionDenied(f"a key of role {caller.role!r} may not do this: it takes {' or '.join(roles)}")
        return await answer(request, caller)

    return checked


def _without_context(answer: Answer) -> Callable[[Any, Caller, Context], Awaitable[Message]]:
    async def with_context(request: Any, caller: Caller, _: Context) -> Message:
        return await answer(request, caller)

    return with_context
