"""Do the engines that `make services` started do what the fixtures promise?"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from services import folders, starting
from services.roster import ENGINES
from tests.services.engines import own_engine

pytestmark = pytest.mark.services


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_has_an_address_answers_there_with_its_version(name: str) -> None:
    (state,) = starting.states({name: ENGINES[name]}, folders.services_dir())
    if not state.address:
        pytest.skip(f"{name} was never started: run `make services` first")

    assert state.trouble == ""
    assert state.version[0].isdigit()


def test_an_engine_of_ones_own_comes_back_after_a_kill_with_its_data() -> None:
    with own_engine("redis") as redis:
        port = urlsplit(redis.address).port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"CONFIG SET appendfsync always\r\nSET kept 1\r\n")
            answer = b""
            while answer.count(b"+OK") < 2:
                answer += client.recv(100)
        redis.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)

        redis.start()

        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"GET kept\r\n")
            assert client.recv(100) == b"$1\r\n1\r\n"
