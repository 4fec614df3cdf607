"""Ids are UUIDv7: ordered by time, unique within a millisecond, and readable back."""

from __future__ import annotations

import uuid

import pytest

from common.ids import made_at_ms, new_id, new_ids, number_of, text_of


def test_ids_are_uuids_of_version_7_that_tell_their_time() -> None:
    for number in new_ids(100, 1_700_000_000_123):
        known = uuid.UUID(int=number)
        assert (known.version, known.variant) == (7, uuid.RFC_4122)
        assert made_at_ms(number) == 1_700_000_000_123


def test_ids_are_unique_and_later_ones_sort_behind() -> None:
    early, late = new_ids(1_000, 1_700_000_000_000), new_ids(1_000, 1_700_000_000_001)

    assert len(set(early + late)) == 2_000
    assert max(map(text_of, early)) < min(map(text_of, late))


def test_text_and_number_are_the_same_id() -> None:
    text = new_id(1_700_000_000_000)

    assert text_of(number_of(text)) == text


@pytest.mark.parametrize("text", ["", "x" * 32, "0" * 31, "0" * 33])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hexadecimal|invalid literal"):
        number_of(text)
