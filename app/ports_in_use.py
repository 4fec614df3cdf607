"""Can we listen here? Asked before anything else starts, because gRPC shares a port in use without a word."""

from __future__ import annotations

import errno
import socket

from common.errors import BackendUnavailable, FieldError, InvalidInput

# Every gRPC server is made with this: without it two servers on one port each get a part of the calls.
NO_SHARED_PORT: tuple[tuple[str, int], ...] = (("grpc.so_reuseport", 0),)


def check_port_free(host: str, port: int, what: str) -> None:
    """Nothing when `what` ("gRPC", "HTTP") may listen on host and port; else BackendUnavailable with the remedy.

    Port 0 takes any free one. InvalidInput when the host is not an address of this machine.
    """
    listening_socket(host, port, what).close()


def listening_socket(host: str, port: int, what: str) -> socket.socket:
    """A bound TCP socket that shares its port with no one; errors as `check_port_free`."""
    flag = what.lower()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise InvalidInput([_no_such_host(host, flag)]) from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Takes a port over from connections that are closing, never from a server that listens.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets may be bound to one port as long as neither listens.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidInput([_no_such_host(host, flag)]) from None
        raise BackendUnavailable(_sentence(port, what, error)) from None
    listener.setblocking(False)
    return listener


def _no_such_host(host: str, flag: str) -> FieldError:
    return FieldError(f"--{flag}-host", host, "is no address of this machine: 127.0.0.1 and 0.0.0.0 always are")


def _sentence(port: int, what: str, error: OSError) -> str:
    choose = f"choose another with --{what.lower()}-port"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} ({what}) is in use by another process: stop it or {choose}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} ({what}) is not ours to open (ports below 1024 need rights): {choose}"
    return f"port {port} ({what}) cannot be opened ({error.strerror}): {choose}"
