"""ModerationService over a real gRPC connection and over HTTP, with the embedded backends below it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from accounts.ports import Caller
from common.errors import FieldError
from feed.moderation import rest
from feed.moderation.moderation_server import ModerationServer
from feed.moderation.reasons import REASONS
from feed.verdict import Label, Outcome
from protos import common_pb2
from protos import moderation_pb2 as pb
from protos.moderation_pb2_grpc import ModerationServiceStub
from tests.moderation_desk import OTHER_TENANT, TENANT, Desk

REMEMBERED = common_pb2.Consent(granted=[1])  # type: ignore[list-item]


class Keys:
    def caller_of(self, key: str) -> Caller | None:
        return {
            "ann": Caller(TENANT, "moderator", "key-of-ann"),
            "bob": Caller(TENANT, "moderator", "key-of-bob"),
            "shop": Caller(TENANT, "storefront", "key-of-shop"),
            "brand": Caller(TENANT, "advertiser", "key-of-brand"),
            "theirs": Caller(OTHER_TENANT, "moderator", "key-of-them"),
            "operator": Caller(OTHER_TENANT, "operator", "key-of-operator"),
        }.get(key)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        desk = self.desk
        self.served = ModerationServer(
            cases=desk.cases,
            reports=desk.reports,
            reputations=desk.reputations,
            bans=desk.bans,
            keys=Keys(),
            clock=desk.clock,
        )

    async def serve(self) -> None:
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((self.served.handler(),))
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = ModerationServiceStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(None)
        self.desk.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    await made.serve()
    yield made
    await made.stop()


def by(who: str) -> Any:
    return (("x-api-key", who),)


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


async def test_a_case_goes_from_the_queue_to_the_appeal(scene: Scene) -> None:
    scene.desk.found("post", risk=0.8, views=100, label=Label.HATE)
    stub = scene.stub

    [case] = (await stub.ListCases(pb.ListCasesRequest(label="hate"), metadata=by("ann"))).cases
    assert (case.subject.id, case.outcome, case.priority) == ("post", pb.OUTCOME_HELD, 80_000)
    assert case.origins == [pb.ORIGIN_CHECKER]
    claim = pb.ClaimCasesRequest(idempotency_key="1", count=1)
    [claimed] = (await stub.ClaimCases(claim, metadata=by("ann"))).cases
    assert claimed.claimed_by == "key-of-ann"

    asked = pb.DecisionAsked(case_id=case.case_id, outcome=pb.OUTCOME_REMOVED, reason="illegal_hate", note="clear")
    request = pb.DecideCaseRequest(idempotency_key="2", decision=asked)
    decided = await stub.DecideCase(request, metadata=by("ann"))
    assert decided.state == pb.Case.STATE_DECIDED
    assert decided.decisions[-1].decided_by == "key-of-ann"

    said = await stub.GetStatement(pb.GetStatementRequest(case_id=case.case_id, author_id="maker"), metadata=by("shop"))
    assert said.outcome == pb.OUTCOME_REMOVED
    assert said.subject.kind == pb.SUBJECT_KIND_POST
    assert "illegal" in said.text
    appeal = pb.AppealDecisionRequest(idempotency_key="3", case_id=case.case_id, author_id="maker", text="No.")
    appealed = await stub.AppealDecision(appeal, metadata=by("shop"))
    assert appealed.state == pb.Case.STATE_APPEALED
    assert not appealed.decisions
    assert not appealed.claimed_by

    second = pb.DecideCaseRequest(idempotency_key="4", decision=asked)
    assert await refused(stub.DecideCase(second, metadata=by("ann"))) == grpc.StatusCode.PERMISSION_DENIED
    final = await stub.DecideCase(second, metadata=by("bob"))
    assert final.state == pb.Case.STATE_FINAL
    trail = await stub.ListTrail(pb.ListTrailRequest(case_id=case.case_id, verify=True), metadata=by("bob"))
    assert [entry.action for entry in trail.entries] == [
        "checked", "claimed", "decided", "carried_out", "appealed", "decided", "carried_out",
    ]  # fmt: skip
    assert (trail.verified, trail.first_break) == (True, 0)
    figures = await stub.GetQueueFigures(pb.GetQueueFiguresRequest(), metadata=by("ann"))
    assert (figures.waiting, figures.appeals_decided, figures.overturned) == (0, 1, 0)


async def test_a_visitor_reports_and_is_told_only_that_it_was_taken(scene: Scene) -> None:
    scene.desk.posts.publish("post")

    def report(session: str, visitor: str = "") -> pb.ReportSubjectRequest:
        return pb.ReportSubjectRequest(
            subject=pb.Subject(kind=pb.SUBJECT_KIND_POST, id="post"),
            reason=pb.REPORT_REASON_SPAM,
            text="It sells what is not there.",
            session_id=session,
            visitor=common_pb2.Visitor(visitor_id=visitor),
            consent=REMEMBERED,
        )

    first = await scene.stub.ReportSubject(report("s1"), metadata=by("shop"))
    again = await scene.stub.ReportSubject(report("s1"), metadata=by("shop"))
    await scene.stub.ReportSubject(report("s2", "ann"), metadata=by("shop"))

    assert (first.taken, again.taken) == (True, False)
    assert [field.name for field in first.DESCRIPTOR.fields] == ["taken"]
    [case] = (await scene.stub.ListCases(pb.ListCasesRequest(), metadata=by("ann"))).cases
    detail = await scene.stub.GetCase(pb.GetCaseRequest(case_id=case.case_id), metadata=by("ann"))
    assert [report.text for report in detail.reports] == ["It sells what is not there."] * 2
    assert "reporter" not in str(detail.DESCRIPTOR.file.message_types_by_name["Report"].fields_by_name.keys())


async def test_each_method_is_for_its_roles_and_a_tenants_own(scene: Scene) -> None:
    case = scene.desk.found("post")
    stub, get = scene.stub, pb.GetCaseRequest(case_id=case.case_id)

    assert await refused(stub.GetCase(get, metadata=by("shop"))) == grpc.StatusCode.PERMISSION_DENIED
    assert await refused(stub.GetCase(get, metadata=by("brand"))) == grpc.StatusCode.PERMISSION_DENIED
    assert await refused(stub.GetCase(get, metadata=by("theirs"))) == grpc.StatusCode.NOT_FOUND
    report = pb.ReportSubjectRequest()
    assert await refused(stub.ReportSubject(report, metadata=by("ann"))) == grpc.StatusCode.PERMISSION_DENIED
    assert await refused(stub.GetCase(get)) == grpc.StatusCode.UNAUTHENTICATED
    of_ours = pb.GetCaseRequest(case_id=case.case_id, tenant_id=TENANT)
    assert await refused(stub.GetCase(of_ours, metadata=by("theirs"))) == grpc.StatusCode.PERMISSION_DENIED
    assert (await stub.GetCase(of_ours, metadata=by("operator"))).case.case_id == case.case_id


async def test_what_cannot_be_taken_is_named(scene: Scene) -> None:
    stub = scene.stub
    wrong: list[tuple[Any, Any, str]] = [
        (stub.ListCases, pb.ListCasesRequest(label="nonsense"), "ann"),
        (stub.ListCases, pb.ListCasesRequest(kind=77), "ann"),  # type: ignore[arg-type]
        (stub.ListCases, pb.ListCasesRequest(origin=7), "ann"),  # type: ignore[arg-type]
        (stub.ListCases, pb.ListCasesRequest(page_size=9_999), "ann"),
        (stub.ListCases, pb.ListCasesRequest(min_risk=float("nan")), "ann"),
        (stub.ClaimCases, pb.ClaimCasesRequest(count=1), "ann"),
        (stub.ClaimCases, pb.ClaimCasesRequest(idempotency_key="k", count=-1), "ann"),
        (stub.DecideCase, pb.DecideCaseRequest(idempotency_key="k"), "ann"),
        (stub.DecideCases, pb.DecideCasesRequest(idempotency_key="k"), "ann"),
        (stub.GetReputation, pb.GetReputationRequest(), "ann"),
        (stub.ReportSubject, pb.ReportSubjectRequest(session_id="s"), "shop"),
    ]

    for method, request, who in wrong:
        assert await refused(method(request, metadata=by(who))) == grpc.StatusCode.INVALID_ARGUMENT, request


async def test_a_reputation_is_told_with_its_events_and_the_thresholds(scene: Scene) -> None:
    case = scene.desk.found("post")
    scene.desk.decide(case, Outcome.REMOVED)

    told = await scene.stub.GetReputation(pb.GetReputationRequest(creator_id="maker"), metadata=by("ann"))

    assert [event.kind for event in told.events] == ["post_removed"]
    assert told.bad == told.events[0].bad
    assert [threshold.tier for threshold in told.thresholds] == [pb.TIER_GOLD, pb.TIER_SILVER, pb.TIER_BRONZE]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tuple[TestClient, Desk]]:
    made = Scene(tmp_path)
    with TestClient(Starlette(routes=rest.routes(made.served))) as found:
        yield found, made.desk
    made.desk.close()


def test_every_method_has_a_route(client: tuple[TestClient, Desk]) -> None:
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["ModerationService"].methods}

    assert {row.method for row in rest.TABLE} == methods


def test_the_same_over_http(client: tuple[TestClient, Desk]) -> None:
    http, desk = client
    case = desk.found("post", label=Label.SPAM)
    ann, shop = {"x-api-key": "ann"}, {"x-api-key": "shop"}
    at = f"/v1/moderation/cases/{case.case_id}"

    listed = http.get("/v1/moderation/cases?label=spam&states=STATE_OPEN&unclaimed=true", headers=ann)
    assert [found["case_id"] for found in listed.json()["cases"]] == [case.case_id]
    assert http.get("/v1/moderation/cases?label=hate", headers=ann).json()["cases"] == []
    assert http.get(at, headers=ann).json()["case"]["excerpt"] == "text of post"
    claimed = http.post(f"{at}/claim", headers=ann | {"idempotency-key": "1"})
    assert claimed.json()["cases"][0]["claimed_by"] == "key-of-ann"

    decision = {"decision": {"outcome": "OUTCOME_REMOVED", "reason": "terms_spam"}}
    decided = http.post(f"{at}/decision", headers=ann | {"idempotency-key": "2"}, json=decision)
    assert (decided.status_code, decided.json()["state"]) == (200, "STATE_DECIDED")
    assert desk.posts.outcome("post") is Outcome.REMOVED

    said = http.get("/v1/moderation/statements?subject.kind=1&subject.id=post&author_id=maker", headers=shop)
    assert "no spam" in said.json()["text"]
    undone = http.post(f"{at}/undo", headers=ann | {"idempotency-key": "3"})
    assert undone.json()["state"] == "STATE_OPEN"
    assert desk.posts.outcome("post") is Outcome.HELD
    reasons = http.get("/v1/moderation/reasons", headers=shop).json()["reasons"]
    assert [reason["code"] for reason in reasons] == list(REASONS)


def test_refusals_over_http_name_what_is_wrong(client: tuple[TestClient, Desk]) -> None:
    http, desk = client
    case = desk.found("post")
    ann = {"x-api-key": "ann"}
    at = f"/v1/moderation/cases/{case.case_id}"

    assert http.get(at).status_code == 401
    assert http.get(at, headers={"x-api-key": "shop"}).status_code == 403
    assert http.get(at, headers={"x-api-key": "theirs"}).status_code == 404
    assert http.get("/v1/moderation/cases?page_size=many", headers=ann).status_code == 400
    assert http.get("/v1/moderation/cases?nonsense=1", headers=ann).status_code == 400
    for body in (b"{", b"[]", b"\xff", b'{"decision": 7}', b"[" * 100_000):
        assert http.post(f"{at}/decision", headers=ann, content=body).status_code == 400
    long = http.post(f"{at}/decision", headers=ann, content=b" " * (rest.BODY_LIMIT_BYTES + 1))
    assert long.status_code == 400
    wrong = http.post(f"{at}/decision", headers=ann, json={"decision": {"outcome": "OUTCOME_HELD", "reason": "x"}})
    named = [FieldError(**field).field for field in wrong.json()["fields"]]
    assert named == ["idempotency_key", "outcome", "reason"]
    desk.decide(case, Outcome.REMOVED)
    again = {"decision": {"outcome": "OUTCOME_CLEAN", "reason": "no_violation"}}
    conflict = http.post(f"{at}/decision", headers=ann | {"idempotency-key": "9"}, json=again)
    assert (conflict.status_code, "undo" in conflict.json()["error"]) == (409, True)
