"""Does the history show every change, also one that changed nothing, and an error what was wrong instead of a code?"""

from __future__ import annotations

import pytest

from app.call import call, field_error, methods
from app.money_commands import show_changes
from client.errors import FieldViolation
from common.errors import FieldError, InvalidInput

CHANGE = {
    "change_number": "7", "at_ms": "1700000000000", "action": "ChangeBudget", "kind": "campaign", "id": "c1",
    "revision": "3", "actor_role": "advertiser", "actor_tenant_id": "t1",
    "before_json": '{"budget":{"total_micros":5}}', "after_json": '{"budget":{"total_micros":5}}',
}  # fmt: skip


def test_a_change_that_changed_nothing_is_in_the_history(capsys: pytest.CaptureFixture[str]) -> None:
    raised = {**CHANGE, "changed_fields": ["budget"], "after_json": '{"budget":{"total_micros":9}}'}

    show_changes([CHANGE, raised], as_json=False)

    nothing, something = capsys.readouterr().out.splitlines()[-2:]
    assert "nothing" in nothing
    assert '{"total_micros": 5} → {"total_micros": 9}' in something


def test_a_method_that_two_services_have_is_asked_for_with_its_service() -> None:
    with pytest.raises(InvalidInput, match="PublisherService/GetStatement or ModerationService/GetStatement"):
        call("127.0.0.1:1", "", "GetStatement", "{}")

    (wanted,) = methods()["PublisherService/GetStatement"]
    assert wanted.full_name == "haat.publishers.v1.PublisherService.GetStatement"


def test_a_refused_field_is_told_with_its_value_and_the_remedy() -> None:
    told = field_error(FieldViolation("line 2, bid", "'two' — write an amount as 1.25"))

    assert told == FieldError("line 2, bid", "'two'", "write an amount as 1.25")
