"""Which of several servers is asked? One at a time: the next one as soon as that one is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc.aio


def split(targets: str | Sequence[str]) -> list[str]:
    """Addresses out of a text with commas, or a list; ValueError when there is none."""
    parts = targets.split(",") if isinstance(targets, str) else targets
    found = [part.strip() for part in parts if part.strip()]
    if not found:
        raise ValueError("name at least one address, as host:port")
    return found


class SeveralChannels:
    """Channels to servers that answer alike, as one channel of which generated stubs are made.

    Calls go to the current one; `move_on` makes the next one current. Connections are made when they are needed.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._channels = list(channels)
        self._at = 0

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def at(self) -> int:
        """Which one is current."""
        return self._at

    def move_on(self, away_from: int) -> None:
        """The one that was current when a call began is away; nothing when others have seen that already."""
        if away_from == self._at:
            self._at = (self._at + 1) % len(self._channels)

    def unary_unary(self, *how: Any, **more: Any) -> Callable[..., Any]:
        """As of a channel."""
        calls = [channel.unary_unary(*how, **more) for channel in self._channels]
        return lambda *asked, **given: calls[self._at](*asked, **given)

    def stream_stream(self, *how: Any, **more: Any) -> Callable[..., Any]:
        """As of a channel."""
        calls = [channel.stream_stream(*how, **more) for channel in self._channels]
        return lambda *asked, **given: calls[self._at](*asked, **given)

    async def close(self) -> None:
        """Let go of all connections."""
        for channel in self._channels:
            await channel.close()
