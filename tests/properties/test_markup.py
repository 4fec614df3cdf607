"""Whatever an advertiser writes stays what it is: a text. It never becomes markup, an address or a macro of ours."""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import regex
from defusedxml.ElementTree import fromstring
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchange.creatives.ad_facts import ad_facts, outside_facts
from exchange.creatives.composer import Composer
from exchange.creatives.native import cut
from exchange.creatives.outside_markup import framed, refusal_of_markup
from exchange.creatives.templates import PlainUrls
from exchange.request import NativeTerms
from streams.product import Product
from tests.builders import PUBLIC_URL, a_creative, a_line_item, a_product, an_outside_bid

IMPRESSION = "018bcfe568007a1bb2c3d4e5f6071829.0"
VAST = "{http://www.iab.com/VAST}"
HOSTILE = (
    '"><script>alert(1)</script>', "' onmouseover='x", "]]><Ad/>", "<![CDATA[", "${HAAT_CLICK_URL}", "${IMPRESSION_ID}",
    "\u202egnp.exe", "\x00\x1b\x7f", "\\u0022,\"price\":\"0", "\\", "&#36;{IMPRESSION_ID}",
    "</title></style><svg/onload=x>",
    "\ue000{IMPRESSION_ID}", "\ud800", "\u2028", "%s{0}", "$" * 9, "\ufffe\uffff",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(), st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join))
BIG = "<\"'&${IMPRESSION_ID}]]>" * 50_000
# The reader of HTML is slow.
LONG = BIG[:50_000]
TERMS = NativeTerms(
    (
        (1, "title", 0, True, 90, 0, 0), (2, "data", 2, False, 0, 0, 0), (3, "data", 12, False, 0, 0, 0),
        (4, "data", 1, False, 0, 0, 0), (5, "video", 0, False, 0, 0, 0),
    )
)  # fmt: skip


def shown(product: Product | None = None, native: NativeTerms | None = None, **creative: Any) -> str:
    composer = Composer(urls=PlainUrls(PUBLIC_URL), product=lambda _: product)
    return composer.markup(ad_facts(a_line_item(), a_creative(**creative)), native, IMPRESSION)


def is_same(read: str, written: str) -> bool:
    """What neither HTML nor XML can hold is replaced, and both read every end of line as one."""
    kept = regex.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", written)
    return read == kept.replace("\r\n", "\n").replace("\r", "\n")


@settings(deadline=None)
@given(title=TEXTS, body=TEXTS, call=TEXTS, pictured=st.booleans())
@example(title=LONG, body=LONG, call="", pictured=False)
def test_a_banner_stays_one_link_with_one_picture_or_words(title: str, body: str, call: str, pictured: bool) -> None:
    image = "https://shop.example/a.png" if pictured else ""
    fragment = html5lib.parseFragment(
        shown(title=title, body=body, call_to_action=call, image_url=image), namespaceHTMLElements=False
    )

    elements = [element for element in fragment.iter() if isinstance(element.tag, str)]
    tags = [element.tag for element in elements][1:]
    words = ["span", "strong", *["span" for text in (body, call) if text]]
    assert tags == ["div", "a", *(["img"] if pictured else words), "img"]
    assert not [name for element in elements for name in element.attrib if name.startswith("on")]
    link = next(element for element in elements if element.tag == "a")
    assert link.attrib["href"].startswith(f"{PUBLIC_URL}/e/click/{IMPRESSION}?to=")
    if pictured:
        assert is_same(link[0].attrib["alt"], title)
    else:
        assert is_same(link[0][0].text or "", title)


@settings(deadline=None)
@given(title=TEXTS, body=TEXTS, creative_id=TEXTS)
@example(title=BIG, body=BIG, creative_id="x")
def test_a_video_stays_one_ad_with_our_addresses(title: str, body: str, creative_id: str) -> None:
    root = fromstring(
        shown(
            format=3, title=title, body=body, creative_id=creative_id, duration_s=61, skippable=True, protocol=13,
            video_url="https://shop.example/a.mp4?a=1&b=2", mime="video/mp4",
        ).encode()
    )  # fmt: skip

    assert [child.tag for child in root] == [f"{VAST}Ad"]
    (inline,) = root[0]
    assert [child.tag.removeprefix(VAST) for child in inline] == [
        *("AdSystem", "Error", "Impression", "ViewableImpression", "AdServingId", "AdTitle", "Advertiser", "Creatives"),
        *(["Description"] if body else []),
    ]
    assert is_same(text_of(inline, "AdTitle"), title)
    assert text_of(inline, "Impression") == f"{PUBLIC_URL}/e/impression/{IMPRESSION}"
    assert text_of(inline, "Error") == f"{PUBLIC_URL}/e/error/{IMPRESSION}?code=[ERRORCODE]"
    linear = inline.find(f".//{VAST}Linear")
    assert linear is not None
    assert linear.attrib == {"skipoffset": "00:00:05"}
    assert text_of(linear, "Duration") == "00:01:01"
    assert text_of(linear, f"MediaFiles/{VAST}MediaFile") == "https://shop.example/a.mp4?a=1&b=2"
    tracked = {
        element.attrib["event"]: element.text for element in linear.findall(f"{VAST}TrackingEvents/{VAST}Tracking")
    }
    assert tracked == {
        event: f"{PUBLIC_URL}/e/{event}/{IMPRESSION}"
        for event in ("loaded", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete", "skip")
    }


def text_of(element: Element, path: str) -> str:
    found = element.find(f"{VAST}{path}")
    assert found is not None
    return found.text or ""


@settings(deadline=None)
@given(title=TEXTS, body=TEXTS, brand=TEXTS)
@example(title=BIG, body=BIG, brand=BIG)
def test_a_listing_says_what_was_written_and_nothing_more(title: str, body: str, brand: str) -> None:
    markup = shown(a_product(brand=brand), format=2, title=title, body=body)
    read = json.loads(markup)

    assert not set("<>&'\u2028\u2029") & set(markup)
    assert read["impression_id"] == IMPRESSION
    assert is_written(read["brand"], brand)
    if title:
        assert is_written(read["title"], title)
    assert read["price"] == "49.90"
    assert list(read)[:2] == ["impression_id", "product_id"]


def is_written(read: str, written: str) -> bool:
    # Of a private use character, which no checked text holds, JSON makes the dollar sign that it stands for.
    kept = regex.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", written)
    return read == kept.replace("\ue000", "$")


@settings(deadline=None)
@given(title=TEXTS.filter(str.strip), body=TEXTS, call=TEXTS, brand=TEXTS)
@example(title=BIG, body=BIG, call=BIG, brand="x")
def test_a_native_ad_has_only_assets_that_were_asked_for(title: str, body: str, call: str, brand: str) -> None:
    markup = shown(a_product(brand=brand), TERMS, format=4, title=title, body=body, call_to_action=call)
    read = json.loads(markup)

    assert set(read) == {"ver", "assets", "link", "imptrackers"}
    wanted = [1, *([2] if body else []), *([3] if call else []), *([4] if brand else [])]
    assert [asset["id"] for asset in read["assets"]] == wanted
    assert len(read["assets"][0]["title"]["text"]) <= 90
    assert read["link"]["url"].startswith(f"{PUBLIC_URL}/e/click/")


def test_a_video_within_a_native_ad_is_a_document_of_its_own() -> None:
    read = json.loads(
        shown(None, TERMS, format=4, title='"]]>\\', duration_s=15, video_url="https://shop.example/a.mp4", protocol=13)
    )
    root = fromstring(read["assets"][-1]["video"]["vasttag"].encode())

    assert text_of(root[0][0], "AdTitle") == '"]]>\\'
    assert text_of(root[0][0], "Impression") == f"{PUBLIC_URL}/e/impression/{IMPRESSION}"


@settings(deadline=None)
@given(
    text=st.one_of(st.text(), st.text("a\u0301\u200d👩👧🇧🇩\u0985\u09bf\u09cd\u200dक्षि ", max_size=60)),
    limit=st.integers(0, 40),
)
@example(text="👩\u200d👩\u200d👧", limit=3)
@example(text="কি", limit=1)
def test_a_cut_text_ends_between_letters(text: str, limit: int) -> None:
    short = cut(text, limit)

    if limit == 0 or len(text) <= limit:
        assert short == text
        return
    assert len(short) <= limit
    kept = short.removesuffix("…") if short not in text else short
    letters = regex.findall(r"\X", text)
    starts = ["".join(letters[:count]).rstrip() for count in range(len(letters) + 1)]
    assert kept in starts


@settings(deadline=None)
@given(markup=st.one_of(TEXTS, st.text().map(lambda text: f"<VAST>{text}</VAST>")))
@example(markup="<VAST>" + "<a>" * 5_000 + "</a>" * 5_000 + "</VAST>")
@example(markup="<VAST>" + "<a/>" * 15_000 + "</VAST>")
@example(markup='<!DOCTYPE a [<!ENTITY b "cccccccc"><!ENTITY d "&b;&b;&b;">]><VAST><Ad>&d;</Ad></VAST>')
@example(markup='<!DOCTYPE a SYSTEM "file:///etc/passwd"><VAST/>')
@example(markup="[" * 30_000)
@example(markup="x" * 1_000_000)
@example(markup="😀" * 20_000)
def test_markup_of_strangers_is_refused_and_never_a_surprise(markup: str) -> None:
    for format_ in (1, 2, 3, 4):
        refusal_of_markup(format_, markup)
    assert refusal_of_markup(9, markup) != 0
    assert refusal_of_markup(3, markup) != 0


@settings(deadline=None)
@given(text=TEXTS)
def test_a_strangers_video_keeps_its_shape_beside_our_addresses(text: str) -> None:
    title = text.replace("]]>", "").replace("${", "$")
    theirs = (
        '<VAST version="4.0" xmlns="http://www.iab.com/VAST"><Ad><InLine><AdSystem>x</AdSystem>'
        f"<AdTitle><![CDATA[{title}]]></AdTitle><Creatives><Creative><Linear><MediaFiles>"
        "<MediaFile>https://them.example/f.mp4</MediaFile></MediaFiles></Linear></Creative></Creatives></InLine></Ad>"
        "<Ad><InLine/></Ad></VAST>"
    )
    if refusal_of_markup(3, theirs):
        # A title that XML cannot hold.
        assert any(not character.isprintable() for character in title)
        return
    composer = Composer(urls=PlainUrls(PUBLIC_URL), product=lambda _: None)
    root = fromstring(
        composer.markup(outside_facts(an_outside_bid("", format=3, markup=theirs)), None, IMPRESSION).encode()
    )

    assert [child.tag for child in root] == [f"{VAST}Ad"]
    assert [child.tag.removeprefix(VAST) for child in root[0][0]] == [
        *("AdSystem", "Impression", "Error", "AdTitle", "Creatives"),
    ]
    assert root[0].attrib == {"id": IMPRESSION}


@settings(deadline=None)
@given(markup=TEXTS)
@example(markup=LONG)
def test_a_frame_holds_all_of_a_strangers_markup(markup: str) -> None:
    fragment = html5lib.parseFragment(framed(markup, 300, 250), namespaceHTMLElements=False)

    (frame,) = fragment
    assert frame.tag == "iframe"
    assert "allow-same-origin" not in frame.attrib["sandbox"]
    assert set(frame.attrib) == {"sandbox", "width", "height", "style", "scrolling", "referrerpolicy", "srcdoc"}
