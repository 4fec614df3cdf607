"""What is asked when there is no log at hand? Page views of a made-up fashion shop, the same for the same seed."""

from __future__ import annotations

from random import Random

from loadgen.readers.fields import ALL_PURPOSES
from protos.common_pb2 import DEVICE_TYPE_DESKTOP, DEVICE_TYPE_PHONE, Affinity, Consent, Device, Page, Visitor
from protos.exchange_pb2 import FORMAT_BANNER, FORMAT_PRODUCT_LISTING, PageView, Placement, Size

_SECTIONS = ("all", "men", "women")
_FLOORS_MICROS = {"left": 300_000, "centre": 500_000, "right": 200_000}


def page_views(count: int, *, seed: int = 1, visitors: int = 10_000) -> list[PageView]:
    """`count` page views with three placements each, about 400 bytes long."""
    chance = Random(seed)
    return [_page_view(chance, number, visitors) for number in range(count)]


def _page_view(chance: Random, number: int, visitors: int) -> PageView:
    section = chance.choice(_SECTIONS)
    return PageView(
        request_id=f"view-{number:032x}",
        session_id=f"session-{number:032x}",
        visitor=Visitor(
            visitor_id=f"visitor-{chance.randrange(visitors):016x}",
            segments=[f"uf{k}={chance.randrange(10):08x}" for k in range(4)],
            affinities=[
                Affinity(product_id=f"{section}-{item}", weight=chance.randint(1, 5))
                for item in chance.sample(range(34), chance.randrange(4))
            ],
        ),
        consent=Consent(granted=ALL_PURPOSES if chance.random() < 0.8 else ()),
        page=Page(
            url=f"https://shop.example/fashion/{section}",
            categories=["fashion", section],
            keywords=["fashion", "clothes", "shoes", "sale"],
        ),
        device=Device(
            type=chance.choice((DEVICE_TYPE_PHONE, DEVICE_TYPE_DESKTOP)),
            country=chance.choice(("DE", "FR", "IT", "ES", "NL")),
            language="en",
        ),
        placements=[
            Placement(
                placement_id=f"{section}-{place}",
                formats=[FORMAT_BANNER, FORMAT_PRODUCT_LISTING],
                sizes=[Size(width=300, height=250)],
                floor_micros=floor_micros,
                position=position,
            )
            for position, (place, floor_micros) in enumerate(_FLOORS_MICROS.items(), start=1)
        ],
    )


class FreshViews:
    """Page views without end: those given, again and again, each with a session and a request id of its own.

    Without that a second lap would ask for answers that the exchange has kept, and not for auctions.
    """

    def __init__(self, page_views: list[PageView], run: str) -> None:
        if not page_views:
            raise ValueError("there are no page views to send")
        self._page_views = page_views
        self._run = run
        self._made = 0

    def next(self) -> PageView:
        """One more."""
        view = PageView()
        view.CopyFrom(self._page_views[self._made % len(self._page_views)])
        self._made += 1
        view.request_id = view.session_id = f"{self._run}-{self._made:012x}"
        return view
