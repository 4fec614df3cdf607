"""What do the commands of moderators do? One call each, its answer for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.money_commands import at_text
from app.printing import print_json, print_table, print_tree


def show_queue(cases: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """A line for each case, in the order of the queue."""
    if as_json:
        print_json(cases)
        return
    rows = [
        (
            case["case_id"],
            f"{_word(case['subject']['kind'])} {case['subject']['id']}",
            _word(case["state"]),
            _word(case["outcome"]),
            f"{case.get('risk', 0.0):.2f}",
            f"{case.get('reach', 0.0):,.0f}",
            int(case.get("reports", 0)),
            ", ".join(finding["label"] for finding in case.get("findings", [])),
            at_text(case["opened_at_ms"]),
            case.get("claimed_by", "")[:8],
            case.get("excerpt", "")[:40],
        )
        for case in cases
    ]
    print_table(
        ("case", "subject", "state", "is", "risk", "reach", "reports", "found", "since", "claimed by", "text"), rows
    )


def show_case(case: Mapping[str, Any], *, as_json: bool) -> None:
    """One case, with its decisions."""
    if as_json:
        print_json(case)
        return
    print_tree(
        {
            "case": case["case_id"],
            "subject": f"{_word(case['subject']['kind'])} {case['subject']['id']}",
            "state": _word(case["state"]),
            "is": _word(case["outcome"]),
            "decisions": [
                f"{at_text(one['decided_at_ms'])}: {_word(one['outcome'])} for {one['reason']} by {one['decided_by']}"
                + (f", undone {at_text(one['undone_at_ms'])}" if int(one.get("undone_at_ms", 0)) else "")
                for one in case.get("decisions", [])
            ],
        }
    )


def show_results(results: Sequence[Mapping[str, Any]], *, dry_run: bool, as_json: bool) -> None:
    """What became of many, or would."""
    if as_json:
        print_json(results)
        return
    rows = [
        (one["case_id"], _word(one["case"]["outcome"]) if "case" in one else "not decided", one.get("error", ""))
        for one in results
    ]
    print_table(("case", "would be" if dry_run else "is", "why not"), rows)
    if dry_run:
        print("Nothing was written: this was a dry run.")


def show_trail(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """The audit trail, and whether it is whole."""
    if as_json:
        print_json(answer)
        return
    rows = [
        (
            entry["position"],
            at_text(entry["at_ms"]),
            entry["case_id"],
            entry["actor"],
            entry["action"],
            _difference(entry),
            entry.get("reason", ""),
            entry.get("note", ""),
        )
        for entry in answer.get("entries", [])
    ]
    print_table(("entry", "when", "case", "who", "what", "changed", "reason", "note"), rows)
    if answer.get("verified"):
        broken = int(answer.get("first_break", 0))
        print(f"The trail was changed at entry {broken}." if broken else "Every entry is as it was written.")


def show_reputation(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Where a creator stands, and each event with what it counts today."""
    if as_json:
        print_json(answer)
        return
    print_tree(
        {
            "creator": answer["creator_id"],
            "reputation": f"{answer.get('reputation', 0.0):.3f} (for {answer.get('good', 0.0):.2f}, "
            f"against {answer.get('bad', 0.0):.2f}; cautious)",
            "trust": f"{answer.get('trust', 0.0):.3f} ({answer.get('purchasers', 0.0):.2f} purchasers' trust)",
            "reach of posts": f"× {answer.get('reach', 0.0):.2f}",
            "posts a day": answer.get("posts_a_day", 0),
            "tier": _word(answer.get("tier", "TIER_NONE")),
        }
    )
    rows = [
        (
            at_text(event["at_ms"]),
            event["meaning"],
            event.get("subject_id", ""),
            f"{event.get('good', 0.0) - event.get('bad', 0.0):+.3f}",
        )
        for event in answer.get("events", [])
    ]
    earlier = answer.get("earlier_good", 0.0) - answer.get("earlier_bad", 0.0)
    print_table(("when", "what", "of", "counts today"), [*rows, ("earlier", "", "", f"{earlier:+.3f}")])


def _word(name: str) -> str:
    """`OUTCOME_REMOVED` is "removed"."""
    return name.rpartition("_")[2].lower()


def _difference(entry: Mapping[str, Any]) -> str:
    before = json.loads(entry["before_json"]) if entry.get("before_json") else {}
    after = json.loads(entry["after_json"])
    changed = [name for name in after if before.get(name) != after[name] and name not in ("revision", "decision")]
    return "; ".join(f"{name}: {before.get(name) or '–'} → {after[name] or '–'}" for name in changed)
