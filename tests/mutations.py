"""Bodies that nobody should send: valid ones with some bytes, values or sizes changed, the same for the same seed."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from random import Random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, -1e308, 5e-324, "", "1", "\x00",
    "é" * 40, "x" * 300, [], [[]], [None], {}, {"ext": 1}, {"ext": {"prebid": 1}}, [{}] * 3, ["a"] * 20, [0] * 40,
)  # fmt: skip
ODD_KEYS = (
    *("id", "imp", "ext", "banner", "video", "audio", "native", "pmp", "deals", "format", "w", "h", "request", "site"),
    *("app", "dooh", "publisher", "user", "device", "geo", "eids", "uids", "regs", "source", "schain", "nodes", "cur"),
    *("prebid", "bidder", "prodfeed", "bprodcat", "at", "tmax", "qty", "data", "segment", "consent", "gdpr", "tagid"),
)


def mutated(samples: list[dict[str, Any]], count: int, seed: int) -> Iterator[tuple[bytes, dict[str, str]]]:
    """`count` bodies with headers, made of `samples`."""
    chance = Random(seed)
    for _ in range(count):
        request = copy.deepcopy(chance.choice(samples))
        headers = {"content-type": chance.choice(("application/json", "text/plain", "text/plain; charset=utf-8", ""))}
        for _ in range(chance.choice((0, 1, 1, 2, 4, 8))):
            _change(request, chance)
        body = json.dumps(request).encode()
        sort = chance.random()
        if sort < 0.15:
            body = _bytes_changed(body, chance)
        elif sort < 0.18:
            body = gzip.compress(body)
            headers["content-encoding"] = "gzip"
            if chance.random() < 0.5:
                body = _bytes_changed(body, chance)
        elif sort < 0.20:
            body = b'{"a":' * chance.choice((30, 1_000, 5_000)) + body
        elif sort < 0.21:
            body = body + b" " * 70_000
        elif sort < 0.23:
            headers["content-type"] = chance.choice(("text/html", "application/x-protobuf", "multipart/form-data"))
        elif sort < 0.24:
            headers["content-encoding"] = chance.choice(("br", "deflate", "identity"))
        yield body, headers


def _change(request: dict[str, Any], chance: Random) -> None:
    """Change one value somewhere."""
    held: Any = request
    for _ in range(chance.randrange(7)):
        inner = list(held.values()) if type(held) is dict else held
        nested = [one for one in inner if type(one) in (dict, list) and one]
        if not nested:
            break
        held = chance.choice(nested)
    value = copy.deepcopy(chance.choice(ODD_VALUES))
    if type(held) is dict:
        key = chance.choice([*held, chance.choice(ODD_KEYS)])
        if chance.random() < 0.2:
            held.pop(key, None)
        else:
            held[key] = value
    elif chance.random() < 0.3:
        held.append(value)
    else:
        held[chance.randrange(len(held))] = value


def _bytes_changed(body: bytes, chance: Random) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.choice((1, 2, 8))):
        at = chance.randrange(len(changed))
        if chance.random() < 0.5:
            changed[at] = chance.randrange(256)
        else:
            del changed[at : at + chance.choice((1, 5, 50))]
            if not changed:
                break
    return bytes(changed)
