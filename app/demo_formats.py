"""What does each format look like? One page view of the demo's shop with a placement for each, and what came back."""

from __future__ import annotations

from rich.console import Console

from app.demo_keys import DemoKeys
from app.demo_progress import plain_table
from client.errors import CallFailed
from client.exchange import ExchangeClient
from protos import common_pb2 as common
from protos import exchange_pb2 as exchange

_SIZES = {exchange.FORMAT_BANNER: (300, 250), exchange.FORMAT_VIDEO: (640, 360)}
_SHOWN_CHARS = 20


def page_view() -> exchange.PageView:
    """A page view by nobody in particular, with one placement for each format."""
    view = exchange.PageView(
        request_id="every-format",
        page=common.Page(url="https://shop.example/", categories=["all"], keywords=["fashion", "shoes"]),
        device=common.Device(type=common.DEVICE_TYPE_PHONE, country="DE", language="de"),
        tmax_ms=1_000,
    )
    for number, format_ in enumerate(exchange.Format.values()):
        if format_ == exchange.FORMAT_UNSPECIFIED:
            continue
        placement = view.placements.add(
            placement_id=exchange.Format.Name(format_).removeprefix("FORMAT_").lower(),
            formats=[format_],
            position=number,
        )
        if format_ in _SIZES:
            width, height = _SIZES[format_]
            placement.sizes.add(width=width, height=height)
    return view


async def show_formats(console: Console, target: str, keys: DemoKeys) -> None:
    """Ask once, and print a line for each format; what could not be asked is said and ends nothing."""
    try:
        async with ExchangeClient(target, keys.shop.key) as shop:
            answer = await shop.hold_auction(page_view())
    except CallFailed as error:
        console.print(f"The page view with every format failed: {error}", markup=False)
        return
    table = plain_table("One page view with every format", "format", "mtype", "advertiser", "markup", "characters")
    for entry in answer.placements:
        if not entry.HasField("ad"):
            table.add_row(entry.placement_id, "", f"nothing sold ({entry.no_ad_reason})", "", "")
            continue
        ad = entry.ad
        begins = f"{ad.markup[:_SHOWN_CHARS]}…".replace("[", "\\[")
        table.add_row(entry.placement_id, str(ad.mtype), ad.advertiser_domain, begins, f"{len(ad.markup):,}")
    console.print(table)
