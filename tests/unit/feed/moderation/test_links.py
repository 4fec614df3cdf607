"""Are links found as they are written, and is a bad one told from a good one?"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from common.errors import BackendUnavailable
from feed.moderation import links
from feed.moderation.domains import Protected, address_of, one_slip_apart, registrable
from feed.moderation.links import LinkRules, Resolution, check_one, extract
from feed.moderation.redirects import MOST_HOPS, follow
from feed.moderation.text import spelled

RULES = LinkRules(
    Protected(["paypal.com", "amazon.com", "instagram.com", "dhl.com"]),
    blocked=frozenset({"evil.example", "bad.co.uk"}),
    allowed=frozenset({"paypal-community.com"}),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://shop.example/a?b=1.", ["https://shop.example/a?b=1"]),
        (
            "www.shop.com and shop.de/sale, or (bit.ly/x)",
            ["http://www.shop.com", "http://shop.de/sale", "http://bit.ly/x"],
        ),
        ("SHOP.COM", ["http://shop.com"]),
        ("sh\u200bop.com", ["http://shop.com"]),
        ("ｓｈｏｐ．ｃｏｍ", ["http://shop.com"]),
        ("javascript:alert(1)//", ["javascript:alert(1)//"]),
        ("at 3.5 and U.S.A. e.g. this.Then", []),
        ("write to bob@shop.com", []),
        ("note: nothing", []),
        ("http://münchen.de p\u0251ypal.com", ["http://münchen.de", "http://p\u0251ypal.com"]),
        ("pa\u0301ypal.com", ["http://p\u00e1ypal.com"]),
        ("twice.com twice.com", ["http://twice.com"]),
    ],
)
def test_links_are_found_as_people_see_them(text: str, found: list[str]) -> None:
    assert extract(spelled(text)) == found


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://paypa1.com", "looks like paypal.com"),
        ("http://paypai.com", "looks like paypal.com"),
        ("http://pavpal.com", "looks like paypal.com"),
        ("http://paypall.com", "looks like paypal.com"),
        ("http://amazn.com", "looks like amazon.com"),
        ("http://arnazon.com", "looks like amazon.com"),
        ("http://paypal-login.com", "looks like paypal.com"),
        ("http://paypal.com.evil.net", "looks like paypal.com"),
        ("http://instagram.verify-account.ru", "looks like instagram.com"),
        ("http://xn--pypal-4ve.com", "several scripts"),
        ("http://раураӏ.com", "looks like paypal.com"),
        ("http://p\u00e1yp\u00e4l.com", "looks like paypal.com"),
        ("http://p\u0251ypal.com", "looks like paypal.com"),
        ("http://\u0131nstagram.com", "looks like instagram.com"),
        ("http://127.0.0.1/", "a number in place"),
        ("http://3232235521/", "a number in place"),
        ("http://0x7f.1/", "a number in place"),
        ("http://[::1]/", "a number in place"),
        ("http://paypal.com@evil.net/", "a name before the host"),
        ("http://evil.example/", "a blocked domain"),
        ("http://a.b.evil.example/", "a blocked domain"),
        ("http://EVIL.example./", "a blocked domain"),
        ("ftp://shop.example/", "the scheme ftp"),
        ("javascript:alert(1)", "the scheme javascript"),
        ("http://shop.example:8080/", "the port 8080"),
        ("http://[bad", "cannot be read"),
        ("http://bit.ly/x", "a short address"),
        ("http://shop.example/" + "a" * 3_000, "characters"),
    ],
)
def test_a_bad_link_is_told_with_its_reason(link: str, why: str) -> None:
    finding = check_one(link.lower(), RULES)

    assert finding is not None
    assert why in finding.evidence
    assert finding.probability >= finding.threshold
    assert len(finding.evidence) <= 80


@pytest.mark.parametrize(
    "link",
    [
        "https://www.paypal.com/de",
        "http://paypal.de",
        "http://dhl.de",
        "http://paypal-community.com",
        "https://shop.example/paypal.com",
        "http://münchen.de",
        "http://xn--mnchen-3ya.de",
        "http://例え.jp",
        "http://notbad.co.uk",
        "http://amazing.com",
    ],
)
def test_a_good_link_is_left_alone(link: str) -> None:
    assert check_one(link, RULES) is None


def test_where_a_link_leads_counts_like_the_link() -> None:
    short = "http://bit.ly/x"

    assert check_one(short, RULES, Resolution(("https://shop.example/",), complete=True)) is None
    led = check_one(short, RULES, Resolution(("https://evil.example/",), complete=True))
    assert led is not None
    assert "blocked" in led.evidence
    endless = check_one(short, RULES, Resolution(("https://shop.example/",), complete=False))
    assert endless is not None
    assert "no end" in endless.evidence


@pytest.mark.slow
def test_a_million_links_are_looked_at_a_few_at_a_time() -> None:
    found = extract(spelled("http://x.com/ " * 1_000_000))
    many = links.check([f"http://s{number}.com" for number in range(1_000_000)], RULES)

    assert found[0] == "http://x.com/"
    assert len(found) <= 2
    assert [finding.evidence for _, finding in many] == [f"more than {links.MOST_LINKS} links"]


def test_the_part_that_somebody_registered() -> None:
    assert registrable("a.b.shop.co.uk") == "shop.co.uk"
    assert registrable("a.shop.com") == "shop.com"
    assert registrable("com") == "com"


@pytest.mark.parametrize("host", ["1.2.3.4", "16909060", "0x01020304", "01.02.03.04", "1.2.772"])
def test_one_address_has_many_faces(host: str) -> None:
    assert str(address_of(host)) == "1.2.3.4"


@pytest.mark.parametrize("host", ["1.2.3.4.5", "256.1.1.1", "shop.com", "0xzz", "09.1.1.1", "99999999999", ""])
def test_what_is_no_address_is_none(host: str) -> None:
    assert address_of(host) is None


def test_one_slip() -> None:
    assert one_slip_apart("paypal", "payapl")
    assert one_slip_apart("paypal", "paypl")
    assert one_slip_apart("paypal", "paypaal")
    assert not one_slip_apart("paypal", "paypal")
    assert not one_slip_apart("paypal", "paplay")


class Web:
    """Redirects by address; remembers who was asked."""

    def __init__(self, leads: Mapping[str, str]) -> None:
        self.leads = leads
        self.asked: list[str] = []

    async def __call__(self, url: str) -> str:
        self.asked.append(url)
        if url == "http://down.example/":
            raise BackendUnavailable("no answer")
        return self.leads.get(url, "")


async def test_redirects_are_followed_to_their_end() -> None:
    web = Web({"http://bit.ly/a": "http://bit.ly/b", "http://bit.ly/b": "https://shop.example/"})

    assert await follow(web, "http://bit.ly/a", RULES) == Resolution(("http://bit.ly/b", "https://shop.example/"), True)


async def test_redirects_are_bounded_and_circles_end() -> None:
    long = Web({f"http://s{number}.com": f"http://s{number + 1}.com" for number in range(100)})
    circle = Web({"http://a.com": "http://b.com", "http://b.com": "http://a.com"})

    assert not (await follow(long, "http://s0.com", RULES)).complete
    assert len(long.asked) == MOST_HOPS
    assert not (await follow(circle, "http://a.com", RULES)).complete


async def test_a_bad_address_on_the_way_is_never_called() -> None:
    web = Web({"http://bit.ly/a": "http://127.0.0.1/admin"})

    found = await follow(web, "http://bit.ly/a", RULES)

    assert web.asked == ["http://bit.ly/a"]
    assert check_one("http://bit.ly/a", RULES, found) is not None


async def test_what_does_not_answer_is_not_complete() -> None:
    web = Web({"http://bit.ly/a": "http://down.example/"})

    assert not (await follow(web, "http://bit.ly/a", RULES)).complete
