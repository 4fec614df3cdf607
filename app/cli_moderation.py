"""Which commands are a moderator's? The queue, decisions, undo, the audit trail, and what a reputation rests on."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli_asking import Server, of_server
from app.cli_options import Json, Key
from common.errors import FieldError, InvalidInput

moderation = typer.Typer(help="Work the queue of what was found, reported and appealed.")
reputation = typer.Typer(help="See why a creator stands where it stands.")

Cases = Annotated[list[str], typer.Argument(metavar="CASE…", help="case_id; several are decided alike.")]
Note = Annotated[str, typer.Option(metavar="TEXT", help="For moderators alone.")]


@moderation.command("queue")
@of_server
def queue(
    server: Server,
    claim: Annotated[int, typer.Option(metavar="N", help="Claim the next N for ten minutes.")] = 0,
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="open, decided, appealed or final; may be given again.")
    ] = None,
    label: Annotated[str, typer.Option(metavar="LABEL", help="Only with such a finding: spam, hate …")] = "",
    origin: Annotated[str, typer.Option(metavar="ORIGIN", help="checker, reports or appeal.")] = "",
    kind: Annotated[str, typer.Option(metavar="KIND", help="post, comment, profile or picture.")] = "",
    unclaimed: Annotated[bool, typer.Option("--unclaimed", help="Leave out what others work on.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List what waits, highest risk × reach first; or claim the next of it."""
    from app.moderation_commands import show_queue
    from app.money_commands import key_or_new

    asked: dict[str, object] = {"label": label}
    if origin:
        asked["origin"] = _enum("--origin", origin, ("checker", "reports", "appeal"), "ORIGIN")
    if kind:
        asked["kind"] = _enum("--kind", kind, ("post", "comment", "profile", "picture"), "SUBJECT_KIND")
    if claim:
        asked |= {"count": claim, "idempotency_key": key_or_new("")}
        found = server.ask("ClaimCases", asked)
    else:
        states = [_enum("--state", one, ("open", "decided", "appealed", "final"), "STATE") for one in state or ()]
        asked |= {"states": states, "unclaimed": unclaimed, "page_size": limit}
        found = server.ask("ListCases", asked)
    show_queue(found.get("cases", []), as_json=as_json)


@moderation.command("decide")
@of_server
def decide(
    server: Server,
    cases: Cases,
    outcome: Annotated[str, typer.Option(metavar="OUTCOME", help="clean, limited or removed.")],
    reason: Annotated[str, typer.Option(metavar="CODE", help="Why, as terms_spam; `haat call ListReasons '{}'`.")],
    note: Note = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be, and write nothing.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Decide cases: what becomes of their subjects, and why. The author gets a statement of reasons."""
    from app.moderation_commands import show_results
    from app.money_commands import key_or_new

    word = _enum("--outcome", outcome, ("clean", "limited", "removed"), "OUTCOME")
    asked = [{"case_id": case, "outcome": word, "reason": reason, "note": note} for case in cases]
    request = {"decisions": asked, "dry_run": dry_run, "idempotency_key": key_or_new(key)}
    results = server.ask("DecideCases", request).get("results", [])
    show_results(results, dry_run=dry_run, as_json=as_json)


@moderation.command("undo")
@of_server
def undo(
    server: Server,
    case: Annotated[str, typer.Argument(metavar="CASE", help="case_id.")],
    note: Note = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Take the newest decision of a case back: what held before it holds again."""
    from app.moderation_commands import show_case
    from app.money_commands import key_or_new

    request = {"case_id": case, "note": note, "idempotency_key": key_or_new(key)}
    show_case(server.ask("UndoDecision", request), as_json=as_json)


@moderation.command("audit")
@of_server
def audit(
    server: Server,
    case: Annotated[str, typer.Option(metavar="CASE", help="Of one case; else of all.")] = "",
    after: Annotated[int, typer.Option(metavar="ENTRY", help="Beyond this entry.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 100,
    verify: Annotated[bool, typer.Option("--verify", help="Check that no entry was changed or taken out.")] = False,
    as_json: Json = False,
) -> None:
    """Print the audit trail: who did what, when, what was before and after, and why."""
    from app.moderation_commands import show_trail

    request = {"case_id": case, "after_position": after, "limit": limit, "verify": verify}
    show_trail(server.ask("ListTrail", request), as_json=as_json)


@reputation.command("explain")
@of_server
def explain(
    server: Server,
    creator: Annotated[str, typer.Argument(metavar="CREATOR", help="creator_id.")],
    as_json: Json = False,
) -> None:
    """Tell a creator's reputation, trust, reach and tier, with every event and what it counts today."""
    from app.moderation_commands import show_reputation

    show_reputation(server.ask("GetReputation", {"creator_id": creator}), as_json=as_json)


def _enum(option: str, word: str, words: tuple[str, ...], prefix: str) -> str:
    if word.lower() not in words:
        raise InvalidInput([FieldError(option, word[:40], f"give one of {', '.join(words)}")])
    return f"{prefix}_{word.upper()}"
