"""Whatever is sent, is every answer one of those that the standard and HTTP have for it?

`MUTATIONS` is how many bodies; by default as many as take some seconds.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from random import Random

import pytest

from exchange.openrtb.protobuf import request_to_bytes
from tests.builders import a_line_item
from tests.mutations import mutated
from tests.openrtb_desk import KEY, Desk
from tests.unit.exchange.openrtb.test_samples import ALL

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("MUTATIONS", "2500"))
TAKEN = {200, 204, 400, 413, 415}


async def test_a_mutated_body_never_meets_a_mistake_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    requests = [json.loads(path.read_text())["request"] for path in ALL]
    desk = Desk([a_line_item(1), a_line_item(2, bid_micros=3_000_000)])
    seen: Counter[int] = Counter()

    with caplog.at_level(logging.ERROR):
        for body, headers in mutated(requests, COUNT, seed=26):
            came = await desk.post(body, {"x-api-key": KEY, **headers})
            seen[came.status] += 1
            assert came.status in TAKEN, (came.status, body[:2_000], caplog.text[-3_000:])

    assert set(seen) == TAKEN


async def test_mutated_protobuf_never_meets_a_mistake_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    samples = [json.loads(path.read_text()) for path in ALL if path.parent.name != "invalid"]
    bodies = [request_to_bytes(sample["request"]) for sample in samples if "odd" not in sample.get("what", "")
              and not _has_odd_kinds(sample["request"])]  # fmt: skip
    desk = Desk([a_line_item(1)])
    chance = Random(26)
    seen: Counter[int] = Counter()

    for _ in range(COUNT // 2):
        body = bytearray(chance.choice(bodies))
        for _ in range(chance.choice((0, 1, 2, 4))):
            body[chance.randrange(len(body))] = chance.randrange(256)
        came = await desk.post(bytes(body), {"x-api-key": KEY, "content-type": "application/x-protobuf"})
        seen[came.status] += 1
        assert came.status in TAKEN, (came.status, bytes(body), caplog.text[-3_000:])

    assert {200, 204, 400} <= set(seen)


def _has_odd_kinds(request: dict[str, object]) -> bool:
    """JSON's liberties that `check_structure` mends before anything is written as protobuf."""
    text = json.dumps(request)
    return "null" in text or "300.0" in text
