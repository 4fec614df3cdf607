"""Do faults look as the real ones do? Against a plain echo server, so no engine is needed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.services.proxy import Proxy, proxy_before


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before a server that answers every byte with itself."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    connection.sendall(data)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with proxy_before(f"127.0.0.1:{listener.getsockname()[1]}") as found:
        yield found
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connect(proxy: Proxy, timeout_s: float = 5.0) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout_s)


def test_bytes_pass_unchanged_and_in_order(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 4096
    got = b""
    with connect(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(sent,))
        sender.start()
        while len(got) < len(sent):
            got += client.recv(65_536)
        sender.join()

    assert got == sent


def test_a_cut_breaks_connections_and_refuses_new_ones_until_healed(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)

    proxy.heal()

    with connect(proxy) as client:
        client.sendall(b"b")
        assert client.recv(1) == b"b"


def test_a_stalled_server_takes_connections_and_is_silent_until_healed(proxy: Proxy) -> None:
    proxy.stall()
    with connect(proxy, 0.2) as client:
        client.sendall(b"a")
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.heal()
        client.settimeout(5)
        assert client.recv(1) == b"a"


def test_a_slow_server_answers_later_and_in_order(proxy: Proxy) -> None:
    proxy.slow(300)
    with connect(proxy, 0.1) as client:
        client.sendall(b"ab")
        with pytest.raises(TimeoutError):
            client.recv(2)
        client.settimeout(5)
        assert client.recv(1) + client.recv(1) == b"ab"


def test_a_way_that_is_slow_in_both_directions_holds_questions_up_too() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy_before(f"127.0.0.1:{listener.getsockname()[1]}") as proxy,
    ):
        proxy.slow(300, there_ms=300)
        with connect(proxy, 0.1) as client:
            server, _ = listener.accept()
            with server:
                server.settimeout(0.1)
                client.sendall(b"a")
                with pytest.raises(TimeoutError):
                    server.recv(1)
                server.settimeout(5)
                assert server.recv(1) == b"a"
                server.sendall(b"b")
                with pytest.raises(TimeoutError):
                    client.recv(1)
                client.settimeout(5)
                assert client.recv(1) == b"b"


def test_an_address_is_led_through_the_proxy(proxy: Proxy) -> None:
    assert proxy.before("redis://127.0.0.1:1/0") == f"redis://{proxy.address}/0"
    assert proxy.before("postgresql://haat:pw@db:1/haat?x=1") == f"postgresql://haat:pw@{proxy.address}/haat?x=1"
    assert proxy.before("127.0.0.1:9092") == proxy.address
