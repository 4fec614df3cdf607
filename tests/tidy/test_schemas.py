"""Has every message of the log a number, and would nobody misread what was written under an earlier one?"""

from __future__ import annotations

from itertools import pairwise

from streams import schema_registry
from streams.schema_registry import misread, numbered
from streams.topics import TOPICS

REGISTRY = schema_registry.load()


def test_every_topic_has_the_number_of_its_message_as_it_is_now() -> None:
    schemas, troubles = numbered(REGISTRY)

    assert troubles == [], "fields are only ever added: give the new meaning a new field"
    assert schemas == list(REGISTRY.schemas), "run `python -m streams.schema_registry`"
    assert {REGISTRY.message_of(REGISTRY.newest(topic)) for topic in TOPICS.values()} == {
        topic.message for topic in TOPICS.values()
    }


def test_numbers_only_grow() -> None:
    ids = [schema.id for schema in REGISTRY.schemas]

    assert ids == list(range(1, len(ids) + 1))


def test_no_state_of_a_message_is_misread_under_the_next() -> None:
    for message in {schema.message for schema in REGISTRY.schemas}:
        for before, after in pairwise(REGISTRY.history(message)):
            assert misread(before.messages, after.messages) == []


def test_a_field_that_goes_or_changes_is_told_of() -> None:
    before = {"M": {"1": "uint32 a", "2": "string b"}}

    assert misread(before, {"M": {"1": "uint32 a", "2": "string b", "3": "bytes c"}}) == []
    assert misread(before, {"M": {"1": "uint32 a"}}) == ["M: field 2 (string b) is gone"]
    assert misread(before, {"M": {"1": "sint32 a", "2": "string b"}}) == ["M: field 1 was 'uint32 a' and is 'sint32 a'"]
    assert misread(before, {}) != []
