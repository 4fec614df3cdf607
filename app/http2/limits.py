"""How much may one peer ask of us? Every bound of the transport, each with the attack or the mistake it stops."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one server; those that name no whole are for each connection."""

    # Beyond it a message is RESOURCE_EXHAUSTED before it has arrived; also what a compressed one may grow to.
    message_bytes: int = 16 << 20
    # Parts of messages, and messages that no handler has taken yet, over all streams.
    buffered_bytes: int = 64 << 20
    server_buffered_bytes: int = 512 << 20  # over all connections
    # What a peer may send before we say that there is room again.
    stream_window: int = 1 << 20
    connection_window: int = 4 << 20

    connections: int = 1024  # of the server
    streams: int = 1024
    # Handlers whose caller has gone and which have not ended yet; resets must not buy more work than streams do.
    abandoned_handlers: int = 1024

    # Told to the peer; a longer list costs its call, one of four times the size the connection (header bombs).
    header_list_bytes: int = 16 * 1024
    # Compressed, over HEADERS and all CONTINUATION frames of one block (continuation floods).
    header_block_bytes: int = 32 * 1024
    continuations: int = 16

    # Calls that the peer took back before their answer, beyond those that were answered (rapid reset).
    resets: int = 1000
    resets_per_s: int = 200
    # Frames that carry nothing and ask for something: PING, SETTINGS, PRIORITY, empty DATA, tiny WINDOW_UPDATEs.
    chores: int = 2000
    chores_per_s: int = 100
    # Bytes of ours that a peer asks for and does not read.
    unread_bytes: int = 1 << 20

    # From the first byte to the peer's SETTINGS (slow preface).
    preface_s: float = 10.0
    # A connection without calls is sent away after this time; its peer opens another when it needs one.
    idle_s: float = 900.0
    # A call that could go on and does not: a request that does not arrive, an answer that is not taken (zero windows).
    stall_s: float = 60.0
    # A silent peer with open calls is asked with a PING whether it lives, and has as long again to answer.
    keepalive_s: float = 60.0
    # A connection that was told to go keeps its socket for so long, that its peer can read why.
    linger_s: float = 2.0


class Buffer:
    """Bytes that the calls of all connections of one server hold."""

    __slots__ = ("held_bytes",)

    def __init__(self) -> None:
        self.held_bytes = 0


class Budget:
    """So many at once, so many a second beyond, and more for whoever does useful work in between."""

    __slots__ = ("_at_s", "_left", "_most", "_per_s")

    def __init__(self, most: int, per_s: int, now_s: float) -> None:
        self._most = self._left = most
        self._per_s = per_s
        self._at_s = now_s

    def spend(self, now_s: float) -> bool:
        """Take one; False when there is none left."""
        if self._left <= 0:
            earned = int((now_s - self._at_s) * self._per_s)
            if earned <= 0:
                return False
            self._left = min(self._most, earned)
            self._at_s = now_s
        self._left -= 1
        return True

    def earn(self) -> None:
        """One more, up to the most."""
        if self._left < self._most:
            self._left += 1
