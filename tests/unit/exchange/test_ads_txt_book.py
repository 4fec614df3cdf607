"""Files are looked up behind the page views, kept, and looked up again."""

from __future__ import annotations

from common.clock import SteppedClock
from exchange.ads_txt import Standing
from exchange.ads_txt_book import GOOD_FOR_MS, RETRY_MS, STALE_MS, AdsTxtBook


class Web:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"https://shop.example/ads.txt": b"ads.example, t1, DIRECT"}
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes | None:
        self.asked.append(url)
        return self.files.get(url)


async def test_a_domain_is_known_once_its_file_was_looked_up() -> None:
    web = Web()
    book = AdsTxtBook(seller_domain="ads.example", fetch=web.fetch, clock=SteppedClock())

    assert book.standing("shop.example", "t1") is Standing.UNAVAILABLE
    assert book.standing("shop.example", "t1") is Standing.UNAVAILABLE
    assert await book.look_up() == 1
    assert book.standing("shop.example", "t1") is Standing.DIRECT
    assert book.standing("shop.example", "t2") is Standing.UNAUTHORISED
    assert web.asked == ["https://shop.example/ads.txt"]


async def test_a_file_that_is_gone_leaves_the_last_good_one_and_is_tried_again() -> None:
    web, clock = Web(), SteppedClock()
    book = AdsTxtBook(seller_domain="ads.example", fetch=web.fetch, clock=clock)
    book.standing("shop.example", "t1")
    await book.look_up()

    web.files.clear()
    clock.step(GOOD_FOR_MS)
    assert book.standing("shop.example", "t1") is Standing.DIRECT
    await book.look_up()
    assert book.standing("shop.example", "t1") is Standing.DIRECT

    web.files["https://shop.example/ads.txt"] = b"other.example, t1, DIRECT"
    clock.step(RETRY_MS)
    book.standing("shop.example", "t1")
    await book.look_up()
    assert book.standing("shop.example", "t1") is Standing.UNAUTHORISED


async def test_a_domain_without_a_file_forbids_nobody() -> None:
    book = AdsTxtBook(seller_domain="ads.example", fetch=Web().fetch, clock=SteppedClock())
    book.standing("quiet.example", "t1")
    await book.look_up()

    assert book.standing("quiet.example", "t1") is Standing.UNAVAILABLE
    assert len(book) == 1
    assert (book.had, book.missed) == (0, 1)


async def test_a_file_without_tls_counts_and_one_with_it_comes_first() -> None:
    web = Web()
    web.files["http://plain.example/ads.txt"] = b"ads.example, t1, RESELLER"
    book = AdsTxtBook(seller_domain="ads.example", fetch=web.fetch, clock=SteppedClock())
    for domain in ("plain.example", "shop.example"):
        book.standing(domain, "t1")
    assert await book.look_up() == 2

    assert book.standing("plain.example", "t1") is Standing.RESELLER
    assert book.standing("shop.example", "t1") is Standing.DIRECT
    assert "http://shop.example/ads.txt" not in web.asked


async def test_a_file_that_stays_away_speaks_for_nobody_in_the_end() -> None:
    web, clock = Web(), SteppedClock()
    web.files["https://shop.example/ads.txt"] = b"other.example, t1, DIRECT"
    book = AdsTxtBook(seller_domain="ads.example", fetch=web.fetch, clock=clock, good_for_ms=1_000)
    book.standing("shop.example", "t1")
    await book.look_up()
    assert book.standing("shop.example", "t1") is Standing.UNAUTHORISED

    web.files.clear()
    clock.step(STALE_MS)
    book.standing("shop.example", "t1")
    await book.look_up()
    assert book.standing("shop.example", "t1") is Standing.UNAVAILABLE
