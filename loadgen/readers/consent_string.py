"""Which purposes does a TCF v2 consent string grant? Only the purposes are read: no vendors, no restrictions.

The layout is that of the IAB's TCF v2 core segment: 152 bits of head, then 24 bits of purpose consents.
"""

from __future__ import annotations

import base64
import binascii

from protos.common_pb2 import (
    PURPOSE_PERSONALISED_ADS,
    PURPOSE_PERSONALISED_CONTENT,
    PURPOSE_REMEMBER,
    Purpose,
)

_PURPOSES_AT_BIT = 152
_PURPOSE_BITS = 24
_CORE_BYTES = (_PURPOSES_AT_BIT + _PURPOSE_BITS) // 8
_NEEDED: tuple[tuple[Purpose.ValueType, frozenset[int]], ...] = (
    (PURPOSE_REMEMBER, frozenset({1})),
    (PURPOSE_PERSONALISED_ADS, frozenset({3, 4})),
    (PURPOSE_PERSONALISED_CONTENT, frozenset({5, 6})),
)


def granted_purposes(consent_string: str) -> list[Purpose.ValueType]:
    """Our purposes that the string covers; none when it cannot be read.

    Sharing with bidders would need the vendors, which nothing here knows: it is never granted.
    """
    numbers = purpose_consents(consent_string)
    return [purpose for purpose, needed in _NEEDED if needed <= numbers]


def purpose_consents(consent_string: str) -> frozenset[int]:
    """The numbers of the TCF purposes (1 to 24) consented to; empty when the string is no TCF v2 core segment."""
    core = consent_string.split(".", 1)[0][:4096]
    try:
        data = base64.b64decode(core + "=" * (-len(core) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return frozenset()
    if len(data) < _CORE_BYTES or data[0] >> 2 != 2:
        return frozenset()
    bits = int.from_bytes(data[_PURPOSES_AT_BIT // 8 : _CORE_BYTES], "big")
    return frozenset(number for number in range(1, _PURPOSE_BITS + 1) if bits >> (_PURPOSE_BITS - number) & 1)
