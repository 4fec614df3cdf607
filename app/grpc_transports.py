"""Who speaks gRPC for us? One door, two transports: our own on the event loop, and grpcio's.

Both take the same generic handlers, so nothing behind the door knows which one it is; the setting `grpc_transport`
chooses. Why there are two stands in docs/decisions/0010-a-transport-of-our-own-for-single-calls.md.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio

from app.http2.limits import Limits
from app.http2.server import Http2Server
from app.ports_in_use import NO_SHARED_PORT, listening_socket
from app.settings import Settings
from common.errors import BackendUnavailable, FieldError, InvalidInput

# Beyond what we refuse ourselves, with the field's name, a message is cut off without being read.
_HARD_LIMIT_FACTOR = 4
_METADATA_BYTES = 16 * 1024

Handlers = Sequence[grpc.GenericRpcHandler]


class GrpcTransport(Protocol):
    """A gRPC server that is bound to its port and takes calls between `start` and `stop`."""

    port: int

    async def start(self) -> None:
        """Take calls."""

    async def stop(self, grace_s: float) -> None:
        """Take no more calls; those under way are answered if they end within `grace_s`, else cut off."""


class GrpcioTransport:
    """grpcio's asyncio server."""

    def __init__(self, settings: Settings, handlers: Handlers) -> None:
        self._server = grpc.aio.server(
            options=(
                *NO_SHARED_PORT,
                ("grpc.max_receive_message_length", _HARD_LIMIT_FACTOR * settings.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.http2.max_ping_strikes", 4),
                ("grpc.max_metadata_size", _METADATA_BYTES),
            )
        )
        self._server.add_generic_rpc_handlers(tuple(handlers))
        address = f"{settings.grpc_host}:{settings.grpc_port}"
        credentials = _credentials(settings)
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise BackendUnavailable(f"gRPC cannot listen on {address}: {error}") from None

    async def start(self) -> None:
        """Take calls."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and let those under way finish."""
        await self._server.stop(grace_s)


def _native(settings: Settings, handlers: Handlers) -> GrpcTransport:
    hard_limit = _HARD_LIMIT_FACTOR * settings.max_message_bytes
    limits = Limits(message_bytes=hard_limit, buffered_bytes=4 * hard_limit, header_list_bytes=_METADATA_BYTES)
    tls = _tls(settings)
    return Http2Server(
        handlers, listening_socket(settings.grpc_host, settings.grpc_port, "gRPC"), tls=tls, limits=limits
    )


TRANSPORTS: dict[str, Callable[[Settings, Handlers], GrpcTransport]] = {"native": _native, "grpcio": GrpcioTransport}


def open_transport(settings: Settings, handlers: Handlers) -> GrpcTransport:
    """The transport that `settings` names, bound to its port. Call it in the loop that serves.

    BackendUnavailable when the port is in use, InvalidInput when host or TLS files are not what they should be.
    """
    return TRANSPORTS[settings.grpc_transport](settings, handlers)


def handlers_of(add_to_server: Callable[[Any, Any], None], servicer: object) -> list[grpc.GenericRpcHandler]:
    """The generic handlers that a generated `add_…Servicer_to_server` registers."""
    collected = _Collected()
    add_to_server(servicer, collected)
    return collected.handlers


class _Collected:
    """What generated code takes for a server."""

    def __init__(self) -> None:
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Handlers) -> None:
        self.handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """A second, faster way into grpcio's synchronous server."""


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    authority = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    return grpc.ssl_server_credentials(
        [(settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """What RFC 9113 §9.2 asks for: TLS 1.2 or newer, no compression or renegotiation, and ciphers that it allows."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["h2"])
    try:
        # Without a password given, OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (ssl.SSLError, OSError):
        remedy = "give a PEM certificate and its unencrypted private key"
        raise InvalidInput([FieldError("tls_cert", f"{settings.tls_cert}, {settings.tls_key}", remedy)]) from None
    if settings.tls_client_ca is not None:
        try:
            context.load_verify_locations(settings.tls_client_ca)
        except (ssl.SSLError, OSError):
            remedy = "give a PEM file of certificates"
            raise InvalidInput([FieldError("tls_client_ca", str(settings.tls_client_ca), remedy)]) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
