"""The running program serves through either transport, and ours drains without failing a call."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.demo_keys import DemoKeys
from app.grpc_transports import TRANSPORTS
from client.errors import CallFailed
from client.exchange import ExchangeClient
from loadgen.synthetic import FreshViews, page_views
from protos import exchange_pb2_grpc
from tests.scenarios.conftest import Serve, Served

pytestmark = pytest.mark.slow


async def _hold_until_stopped(served: Served, api_key: str) -> tuple[int, int]:
    """Auctions by single calls on two connections, and what became of them while the server was told to stop."""
    views = FreshViews(page_views(50, seed=1), "both")
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    channels = [grpc.aio.insecure_channel(served.target, options=options) for _ in range(2)]
    stubs: list[Any] = [exchange_pb2_grpc.AuctionServiceStub(channel) for channel in channels]
    metadata = (("x-api-key", api_key),)
    under_way = [
        asyncio.ensure_future(stubs[number % 2].HoldAuction(views.next(), metadata=metadata)) for number in range(64)
    ]
    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    served.process.send_signal(signal.SIGTERM)
    results = await asyncio.gather(*under_way, return_exceptions=True)
    for channel in channels:
        await channel.close()
    failed = sum(isinstance(result, BaseException) for result in results)
    return len(results) - failed, failed


def test_a_stop_fails_no_call_that_has_been_sent(serve: Serve, keys: DemoKeys) -> None:
    # grpcio's server drops what has arrived and what it has not yet taken in.
    with serve(set="grpc_transport=native") as served:
        answered, failed = asyncio.run(_hold_until_stopped(served, keys.shop.key))
        code = served.process.wait(30)

    assert (answered, failed) == (64, 0)
    assert code == 0


@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
def test_tls_with_a_client_certificate(transport: str, serve: Serve, keys: DemoKeys, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject)
    subprocess.run([*make, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    credentials = grpc.ssl_channel_credentials(cert.read_bytes(), key.read_bytes(), cert.read_bytes())
    nobody = grpc.ssl_channel_credentials(cert.read_bytes())
    config = tmp_path / "haat.toml"
    config.write_text(
        f'grpc_transport = "{transport}"\ntls_cert = "{cert}"\ntls_key = "{key}"\ntls_client_ca = "{cert}"\n'
    )

    async def hold(served: Served, with_credentials: Any) -> str:
        target = f"localhost:{served.target.rpartition(':')[2]}"
        client = ExchangeClient(target, keys.shop.key, coalesce=False, credentials=with_credentials)
        try:
            return (await client.hold_auction(page_views(1, seed=1)[0])).auction_id
        finally:
            await client.close()

    with serve(config=str(config)) as served:
        assert asyncio.run(hold(served, credentials))
        with pytest.raises(CallFailed):
            asyncio.run(hold(served, nobody))
        assert served.stop() == 0
