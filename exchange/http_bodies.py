"""How much of a body is read that a browser or a stranger sends? No more than a limit, whatever its length says."""

from __future__ import annotations

from starlette.requests import Request


async def body_within(request: Request, limit_bytes: int) -> bytes | None:
    """The body, or None when it is longer; no more of it is read then."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit_bytes:
            return None
    return bytes(data)
