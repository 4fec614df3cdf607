"""How is Redis had and asked? Debian's package; every write is appended to a file."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

from services import folders
from services.engine import Place
from services.packages import from_debian

_ANSWER_S = 2.0


class Redis:
    """Redis 7."""

    setting = "redis_url"
    first_port = 6450
    patience_s = 30
    ending = signal.SIGTERM

    def install(self, programs: Path) -> None:
        """Debian's redis-server; the service that the package brings is none of ours."""
        from_debian("redis-server", "redis-server")

    def prepare(self, place: Place) -> None:
        """Its folder."""
        folders.give_to(place.data, place.account)

    def command(self, place: Place) -> tuple[list[str], dict[str, str]]:
        """No snapshots: the file it appends to is enough, and a second process would take memory for a copy."""
        options = {
            "bind": "127.0.0.1",
            "port": str(place.port),
            "dir": str(place.data),
            "save": "",
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
        }
        return ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", value))], {}

    def version(self, place: Place) -> str:
        """INFO, which it refuses while it still loads its file."""
        with socket.create_connection(("127.0.0.1", place.port), _ANSWER_S) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        found = re.search(rb"redis_version:(\S+)", answer)
        if not answer.startswith(b"+PONG") or found is None:
            raise ValueError("it answers, and not as Redis does" if b"LOADING" not in answer else "it loads its file")
        return found[1].decode("ascii", "replace")

    def finish(self, place: Place) -> None:
        """Nothing is left to do."""

    def address(self, port: int) -> str:
        """A URL with the number of the database."""
        return f"redis://127.0.0.1:{port}/0"
