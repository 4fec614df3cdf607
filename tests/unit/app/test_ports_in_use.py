"""Is a port in use refused with its name and the way out?"""

import socket
from collections.abc import Iterator

import pytest

from app.ports_in_use import check_port_free, listening_socket
from common.errors import BackendUnavailable, InvalidInput


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_refused_with_its_name_and_the_flag(used_port: int) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        check_port_free("127.0.0.1", used_port, "gRPC")

    assert str(caught.value) == (
        f"port {used_port} (gRPC) is in use by another process: stop it or choose another with --grpc-port"
    )


def test_a_port_in_use_on_one_address_is_refused_for_all_addresses(used_port: int) -> None:
    with pytest.raises(BackendUnavailable, match="in use"):
        check_port_free("0.0.0.0", used_port, "HTTP")


def test_a_port_that_another_server_would_share_is_refused_too() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        port = server.getsockname()[1]

        with pytest.raises(BackendUnavailable, match=f"port {port}"):
            check_port_free("127.0.0.1", port, "gRPC")


def test_a_free_port_is_free_again_after_the_check() -> None:
    with listening_socket("127.0.0.1", 0, "HTTP") as listener:
        port = listener.getsockname()[1]

    check_port_free("127.0.0.1", port, "HTTP")
    check_port_free("127.0.0.1", port, "HTTP")


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 300])
def test_a_host_that_is_not_of_this_machine_is_bad_input(host: str) -> None:
    with pytest.raises(InvalidInput, match="--grpc-host"):
        check_port_free(host, 0, "gRPC")
