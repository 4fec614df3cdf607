"""A TC string is read as the IAB's own decoder reads it, and what is no TC string grants nothing."""

from __future__ import annotations

import base64
import json
import os
import tracemalloc
from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BackendUnavailable
from common.tcf import Basis, Restriction, TcString, Vendor, basis, decode
from common.vendor_ids import VendorIds
from common.vendor_list import read_vendor_list

SAMPLES = Path(__file__).parents[2] / "samples" / "consent"
STRINGS: list[dict[str, Any]] = json.loads((SAMPLES / "tcf.json").read_text())["strings"]


@pytest.mark.parametrize("sample", STRINGS, ids=range(len(STRINGS)))
def test_every_field_is_read_as_its_encoder_wrote_it(sample: dict[str, Any]) -> None:
    tc = decode(sample["tc_string"])

    assert tc.created_ds == sample["created_ds"]
    assert tc.publisher_country == sample["country"]
    assert tc.purpose_one_treatment == sample["one_treatment"]
    assert tc.special_features == frozenset(sample["special_features"])
    assert tc.purpose_consents == frozenset(sample["purpose_consents"])
    assert tc.purpose_interests == frozenset(sample["purpose_interests"])
    assert tc.vendor_consents == frozenset(sample["vendor_consents"])
    assert tc.vendor_interests == frozenset(sample["vendor_interests"])
    assert tc.restrictions == {(purpose, vendor): Restriction(kind) for purpose, kind, vendor in sample["restrictions"]}
    disclosed = sample["disclosed"]
    assert tc.disclosed_vendors == (None if disclosed is None else frozenset(disclosed))


def a_tc(**changes: Any) -> TcString:
    everything = frozenset(range(1, 12))
    facts: dict[str, Any] = {
        "created_ds": 17_000_000_000, "cmp_id": 1, "vendor_list_version": 1, "policy_version": 4,
        "service_specific": True, "purpose_one_treatment": False, "publisher_country": "DE",
        "special_features": frozenset(), "purpose_consents": everything, "purpose_interests": everything,
        "vendor_consents": frozenset({7}), "vendor_interests": frozenset({7}), "restrictions": {},
        "disclosed_vendors": None,
    }  # fmt: skip
    return TcString(**{**facts, **changes})


CONSENT_4 = Vendor(purposes=frozenset({4}))
INTEREST_2 = Vendor(interests=frozenset({2}))
FLEXIBLE_2 = Vendor(interests=frozenset({2}), flexible=frozenset({2}))


@pytest.mark.parametrize(
    ("tc", "purpose", "declared", "expected"),
    [
        (a_tc(), 4, CONSENT_4, Basis.CONSENT),
        (a_tc(), 2, INTEREST_2, Basis.LEGITIMATE_INTEREST),
        (a_tc(), 2, None, Basis.CONSENT),
        (a_tc(), 5, CONSENT_4, Basis.NOTHING),
        (a_tc(purpose_consents=frozenset()), 4, CONSENT_4, Basis.NOTHING),
        (a_tc(vendor_consents=frozenset()), 4, CONSENT_4, Basis.NOTHING),
        (a_tc(vendor_interests=frozenset()), 2, INTEREST_2, Basis.NOTHING),
        (a_tc(), 4, Vendor(interests=frozenset({4})), Basis.NOTHING),
        (a_tc(restrictions={(4, 7): Restriction.FORBIDDEN}), 4, CONSENT_4, Basis.NOTHING),
        (a_tc(restrictions={(2, 7): Restriction.CONSENT}), 2, INTEREST_2, Basis.NOTHING),
        (a_tc(restrictions={(2, 7): Restriction.CONSENT}), 2, FLEXIBLE_2, Basis.CONSENT),
        (a_tc(restrictions={(2, 8): Restriction.FORBIDDEN}), 2, INTEREST_2, Basis.LEGITIMATE_INTEREST),
        (a_tc(disclosed_vendors=frozenset({8})), 4, CONSENT_4, Basis.NOTHING),
        (a_tc(disclosed_vendors=frozenset({7})), 4, CONSENT_4, Basis.CONSENT),
        (a_tc(created_ds=17_723_232_000), 4, CONSENT_4, Basis.NOTHING),
    ],
)
def test_a_vendor_relies_on_what_it_declared_and_was_given(
    tc: TcString, purpose: int, declared: Vendor | None, expected: Basis
) -> None:
    assert basis(tc, 7, purpose, declared) == expected


def test_the_published_meaning_of_strings_is_met() -> None:
    folder = os.environ.get("HAAT_TCF_STRINGS")
    if not folder:
        pytest.skip("set HAAT_TCF_STRINGS to a folder with tcf-strings.jsonl and vendor-list.json")
    vendors = read_vendor_list(Path(folder) / "vendor-list.json")
    for line in (Path(folder) / "tcf-strings.jsonl").read_text().splitlines():
        sample = json.loads(line)
        tc = decode(sample["tc_string"])
        for vendor, purposes in sample["effective_basis"].items():
            for purpose in range(1, 12):
                found = basis(tc, int(vendor), purpose, vendors[int(vendor)])
                meant = {"consent": Basis.CONSENT, "li": Basis.LEGITIMATE_INTEREST}.get(
                    purposes.get(str(purpose), ""), Basis.NOTHING
                )
                assert found == meant, (sample["id"], vendor, purpose)


@pytest.mark.parametrize(
    "text", ["", ".", "C", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "CQ", "C" * 20_000, "é", "C=.=", "1YNN"]
)
def test_what_is_no_tc_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_a_string_cut_anywhere_is_refused_or_loses_whole_segments() -> None:
    whole = STRINGS[1]["tc_string"]
    core = len(whole.split(".")[0])

    for length in range(core - 2):
        with pytest.raises(ValueError, match=r"."):
            decode(whole[:length])


def tc_text(vendors: str, restrictions: str = "") -> str:
    """A TC string with these bits of both sets of vendors and of the restrictions, 0 and 1 as letters."""
    bits = "000010" + "0" * (36 + 36 + 12 + 12 + 6 + 12 + 12 + 6 + 2 + 12 + 24 + 24 + 1 + 12)
    bits += vendors * 2 + (restrictions or f"{0:012b}")
    data = int(bits + "0" * (-len(bits) % 24), 2).to_bytes(-(-len(bits) // 24) * 3, "big")
    return base64.urlsafe_b64encode(data).decode()


EVERYBODY = "1" + f"{1:016b}" + f"{65_535:016b}"


@pytest.mark.parametrize(
    "text",
    [
        tc_text(f"{65_535:016b}" + "1" + f"{600:012b}" + EVERYBODY * 600),
        tc_text(
            f"{65_535:016b}" + "1" + f"{1:012b}" + EVERYBODY,
            f"{60:012b}"
            + "".join(f"{at % 24 + 1:06b}" + f"{at % 3:02b}" + f"{1:012b}" + EVERYBODY for at in range(60)),
        ),
        tc_text(f"{23_000:016b}" + "0" + "10" * 11_500),
    ],
    ids=["the same again and again", "every restriction of everybody", "every second one"],
)
def test_a_short_string_that_names_everybody_is_not_unrolled(text: str) -> None:
    tracemalloc.start()
    try:
        tc = decode(text)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 3 << 20
    assert 1 in tc.vendor_consents
    assert 0 not in tc.vendor_consents
    assert 65_536 not in tc.vendor_interests


def test_restrictions_that_contradict_each_other_leave_nothing() -> None:
    one, two = (f"{4:06b}" + f"{kind:02b}" + f"{1:012b}" + EVERYBODY for kind in (1, 2))
    vendors = f"{1:016b}" + "01"

    assert decode(tc_text(vendors, f"{2:012b}" + one + one)).restrictions[4, 9] is Restriction.CONSENT
    assert decode(tc_text(vendors, f"{2:012b}" + one + two)).restrictions[4, 9] is Restriction.FORBIDDEN
    assert (5, 9) not in decode(tc_text(vendors, f"{2:012b}" + one + two)).restrictions


@given(st.lists(st.tuples(st.integers(1, 70), st.integers(0, 9)).map(lambda run: (run[0], run[0] + run[1]))))
def test_vendors_are_kept_as_they_were_named(ranges: list[tuple[int, int]]) -> None:
    named = {vendor for first, last in ranges for vendor in range(first, last + 1)}
    field = sum(1 << (80 - vendor) for vendor in named)

    both: tuple[Set[int], ...] = (VendorIds(ranges), VendorIds.of_field(field, 80))
    for kept in both:
        assert kept == named
        assert (len(kept), list(kept)) == (len(named), sorted(named))
        assert [vendor in kept for vendor in range(82)] == [vendor in named for vendor in range(82)]


@given(st.text(max_size=300) | st.text("ABCDEFGHabcdefgh0123456789-_.", max_size=300).map("C".__add__))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        decode(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"vendors": 1}', '{"vendors": {"a": {}}}', '{"vendors": {"1": 2}}', "[" * 9_999]
)
def test_a_broken_vendor_list_is_told_of(tmp_path: Path, content: str) -> None:
    file = tmp_path / "list.json"
    file.write_text(content)

    with pytest.raises(BackendUnavailable, match="vendor list"):
        read_vendor_list(file)


def test_a_vendor_that_was_deleted_declares_nothing(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text('{"vendors": {"7": {"purposes": [1]}, "8": {"purposes": [1], "deletedDate": "2026-01-01"}}}')

    assert read_vendor_list(file) == {7: Vendor(frozenset({1}))}
