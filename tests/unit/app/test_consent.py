"""The policy follows its vendor list, and strings are told in words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.consent import FollowedPolicy, policy_of, told
from app.settings import Settings
from common.errors import InvalidInput

SAMPLES = Path(__file__).parents[2] / "samples" / "consent"
TC = json.loads((SAMPLES / "tcf.json").read_text())["strings"][0]


def test_a_new_vendor_list_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text('{"vendors": {"7": {"purposes": [1]}}}')
    policy = FollowedPolicy(Settings(vendor_list=file))

    assert set(policy.current.vendors) == {7}

    file.write_text('{"vendors": {"7": {}, "8": {}}}')
    os.utime(file, ns=(1, 1))
    policy.refresh()
    assert set(policy.current.vendors) == {7, 8}

    file.write_text("broken")
    os.utime(file, ns=(2, 2))
    policy.refresh()
    assert set(policy.current.vendors) == {7, 8}

    file.unlink()
    policy.refresh()
    assert set(policy.current.vendors) == {7, 8}


def test_it_decides_without_a_vendor_list(tmp_path: Path) -> None:
    assert FollowedPolicy(Settings(vendor_list=tmp_path / "missing.json")).current.vendors == {}


def test_a_string_is_told_in_words() -> None:
    story = told(policy_of(Settings()), TC["tc_string"], country="DE", gpc=False)

    assert story["kind"] == "TC string"
    assert story["purposes_by_consent"] == TC["purpose_consents"]
    assert story["permitted"] == []
    assert story["rules"] == ["gdpr"]
    assert told(policy_of(Settings()), "1YNN", country="US", gpc=True)["permitted"] == [
        "remember",
        "personalise_content",
        "measure",
    ]


def test_what_is_no_consent_string_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidInput, match="TC string"):
        told(policy_of(Settings()), "hello", country="", gpc=False)
