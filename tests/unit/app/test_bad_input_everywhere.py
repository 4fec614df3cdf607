"""What hostile people send, through the doors of the wired program: each field, each trick, a clear outcome."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import HaatError, InvalidInput
from feed.moderation.subjects import SubjectKind
from feed.verdict import Outcome
from tests.feed_builders import a_product
from tests.media_builders import a_picture, an_archive, an_mp4, png_of
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = pytest.mark.slow

XSS = "<script>alert(1)</script><img src=x onerror=x>&"
TURNED = "boots \u202egnp.exe"
TAG = {"product_id": "shoe", "x": 0.5, "y": 0.5}
PICTURE = {"url": "https://img.example/1.jpg"}


@pytest.fixture(scope="module")
def haat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeHaat]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with whole_haat(folder, unchecked_posts="show") as opened:
        opened.sell(a_product("shoe", tenant_id=opened.tenant))
        opened.join("ana", "bea")
        opened.post("ana", "A post of mine", image_urls=[PICTURE["url"]], product_tags=[TAG])
        yield opened


def moderator(haat: WholeHaat) -> str:
    key = haat.haat.accounts.create_key(haat.tenant, "moderator").plaintext
    haat.haat.keys.refresh()
    return key


def newest(haat: WholeHaat) -> str:
    posts = haat.ask("GET", "/v1/posts", creator_id="ana")["posts"]
    return str(posts[0]["post_id"])


def removed(haat: WholeHaat) -> str:
    """A post that a moderator removed, which may be appealed against."""
    post_id = haat.post("ana", f"Number {haat.fresh()}", image_urls=[PICTURE["url"]])
    posts = haat.haat.feed_server.posts.posts
    post = posts.get(haat.tenant, post_id)
    assert post.verdict is not None
    posts.decide(haat.tenant, post_id, Outcome.REMOVED, post.verdict, "ann", post.revision)
    haat.settle()
    return post_id


def person(haat: WholeHaat, status: int | None, **said: Any) -> Any:
    fields = {"handle": f"u{haat.fresh().replace('-', '_')}", "display_name": "Someone", **said}
    body = {"idempotency_key": haat.fresh(), "consent": {"granted": ["remember"]}, **fields}
    return haat.ask("POST", "/v1/people", body, status)


def post(haat: WholeHaat, status: int | None, **said: Any) -> Any:
    return haat.ask("POST", "/v1/posts", {"creator_id": "ana", "caption": "x", "image_urls": [PICTURE["url"]], **said},
                    status)  # fmt: skip


# Every text that a person may write: (field that is named, who sends it with which text and which status is expected).
Sends = Callable[[WholeHaat, str, int | None], Any]
FIELDS: dict[str, tuple[str, Sends]] = {
    "caption": ("caption", lambda haat, text, status: post(haat, status, caption=text)),
    "hashtag": ("hashtags[0]", lambda haat, text, status: post(haat, status, hashtags=[text])),
    "alt text": ("media[0].alt_text", lambda haat, text, status: post(
        haat, status, image_urls=[], media=[{**PICTURE, "alt_text": text}])),
    "disclosure label": ("disclosure", lambda haat, text, status: post(haat, status, disclosure=text)),
    "partner": ("partner", lambda haat, text, status: post(haat, status, disclosure="gifted", partner=text)),
    "product tag": ("product_tags[0].product_id", lambda haat, text, status: post(
        haat, status, product_tags=[{**TAG, "product_id": text}])),
    "creator": ("creator_id", lambda haat, text, status: post(haat, status, creator_id=text)),
    "appeal": ("text", lambda haat, text, status: haat.ask(
        "POST", f"/v1/posts/{removed(haat)}/appeal", {"creator_id": "ana", "text": text}, status)),
    "comment": ("text", lambda haat, text, status: haat.ask(
        "POST", f"/v1/posts/{newest(haat)}/comments",
        {"idempotency_key": haat.fresh(), "person_id": "bea", "text": text}, status)),
    "handle": ("handle", lambda haat, text, status: person(haat, status, handle=text)),
    "name": ("display_name", lambda haat, text, status: person(haat, status, display_name=text)),
    "bio": ("bio", lambda haat, text, status: person(haat, status, bio=text)),
    "link": ("links[0]", lambda haat, text, status: person(haat, status, links=[text])),
    "muted word": ("subject", lambda haat, text, status: haat.ask(
        "POST", "/v1/people/bea/relations", {"kind": "mute_word", "subject": text, "action_id": haat.fresh()}, status)),
    "report": ("text", lambda haat, text, status: haat.ask(
        "POST", "/v1/moderation/reports",
        {"subject": {"kind": 1, "id": newest(haat)}, "reason": 3, "session_id": haat.fresh(), "text": text}, status)),
}  # fmt: skip
# Of these no text that is longer, or holds markup, is a value at all.
WORDS = ("hashtag", "disclosure label", "handle", "link")


@pytest.mark.parametrize("name", FIELDS)
def test_a_megabyte_of_text_is_refused_in_every_field(haat: WholeHaat, name: str) -> None:
    _, send = FIELDS[name]
    with pytest.raises(AssertionError) as refused:
        send(haat, "b" * 1_000_000, None)
    assert str(refused.value)[:3] in ("400", "413")
    assert len(str(refused.value)) < 4_000, "the text does not come back"


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "muted word"])
def test_writing_that_turns_round_is_refused_in_every_field(haat: WholeHaat, name: str) -> None:
    field, send = FIELDS[name]
    answer = send(haat, TURNED, 400)
    assert field in [one["field"] for one in answer["fields"]], answer
    assert "\u202e" not in str(answer)


def test_a_muted_word_is_kept_without_the_marks_that_turn_it_round(haat: WholeHaat) -> None:
    FIELDS["muted word"][1](haat, TURNED, 200)
    assert haat.ask("GET", "/v1/people/bea/relations", which="muted_words")["subjects"] == ["boots gnp exe"]


@pytest.mark.parametrize("name", FIELDS)
def test_markup_is_text_or_refused_and_never_comes_back_as_markup(haat: WholeHaat, name: str) -> None:
    field, send = FIELDS[name]
    refused = name in (*WORDS, "product tag", "creator")
    seen: list[Any] = []
    haat.listen(seen.append)
    answer = send(haat, XSS if name != "creator" else XSS * 3, 400 if refused else None)
    if refused:
        assert field in [one["field"] for one in answer["fields"]], answer
    pages: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/v1/posts", {"creator_id": "ana", "viewer_creator_id": "ana"}), ("/v1/post-cards", {"creator_id": "ana"}),
        (f"/v1/posts/{newest(haat)}/comments", {"viewer_id": "bea"}), ("/v1/people", {"person_id": "ana"}),
        ("/v1/search", {"words": "script"}), ("/v1/people/bea/relations", {"which": "muted_words"}),
    )  # fmt: skip
    for path, query in pages:
        haat.ask("GET", path, **query)
    haat.ask("POST", "/v1/feed/pages", {"session_id": haat.fresh()})
    haat.ask("GET", "/v1/moderation/cases", key=moderator(haat))
    for one in seen:
        assert b"<script" not in one.content
        assert b"<img" not in one.content
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["content-type"].startswith("application/json")


def test_a_search_shows_markup_as_text_and_its_own_marks_alone(haat: WholeHaat) -> None:
    post(haat, None, caption=f"{XSS} searchable")
    haat.settle()
    [hit] = haat.ask("GET", "/v1/search", words="searchable")["hits"]
    plain = hit["snippet_html"].replace("<mark>", "").replace("</mark>", "")
    assert "<" not in plain
    assert "&lt;script&gt;" in plain


def test_tags_of_foreign_and_dead_products_are_refused_in_the_same_words(haat: WholeHaat) -> None:
    other = haat.haat.accounts.create_tenant("Another shop").tenant_id
    haat.haat.catalogue.put(other, [a_product("theirs", tenant_id=other)])
    haat.sell(a_product("gone", tenant_id=haat.tenant, in_stock=False))
    said = {}
    for product_id in ("theirs", "nobodys", "gone"):
        answer = post(haat, 400, product_tags=[{**TAG, "product_id": product_id}])
        [field] = answer["fields"]
        assert field["field"] == "product_tags[0].product_id"
        said[product_id] = field["value"].replace(product_id, "X")
    assert said["theirs"] == said["nobodys"] != said["gone"]


def test_a_creator_who_is_erased_in_the_middle_of_a_scroll_leaves_it(haat: WholeHaat) -> None:
    for creator in ("dan", "eli"):
        haat.join(creator)
        for number in range(4):
            haat.post(creator, f"Look {number} of {creator}", image_urls=[PICTURE["url"]])
    first = haat.ask("POST", "/v1/feed/pages", {"session_id": "scroll", "page_size": 2})
    haat.call("ErasePerson", person_id="dan")
    haat.settle()
    creators, cursor = [], first["next_cursor"]
    while cursor:
        page = haat.ask("POST", "/v1/feed/pages", {"session_id": "scroll", "page_size": 2, "cursor": cursor})
        creators += [item["post"]["creator_id"] for item in page["items"] if item.get("post")]
        cursor = page["next_cursor"]
    assert "dan" not in creators
    assert "eli" in creators


def test_a_picture_that_is_a_page_with_scripts_or_an_svg_is_refused_and_leaves_nothing(haat: WholeHaat) -> None:
    for data in (b"<svg><script>alert(1)</script></svg>", b"GIF89a/*" + bytes(9) + b"*/=1;<script>alert(1)</script>"):
        with pytest.raises(AssertionError) as refused:
            haat.upload("ana", data, "image/gif")
        assert str(refused.value).startswith("400")
    assert not list((haat.folder / "media").glob("*/*.gif"))


@pytest.mark.parametrize(
    ("data", "content_type", "found"),
    [
        (a_picture() + an_archive(), "image/jpeg", "archive"),
        (an_mp4() + b"<html><script>alert(1)</script>", "video/mp4", "something else"),
        # Kilobytes that would be gigabytes of pixels.
        (png_of(60_000, 60_000, zlib.compress(bytes(10_000_000), 9)), "image/png", "pixels"),
        (b"<?xml version='1.0'?><svg onload='alert(1)'/>", "image/png", "SVG"),
    ],
    ids=["picture and archive", "film and page", "bomb", "svg by another name"],
)
def test_an_upload_that_is_something_else_or_too_much_is_refused_in_words_and_leaves_nothing(
    haat: WholeHaat, data: bytes, content_type: str, found: str
) -> None:
    def kept() -> list[Path]:
        # A ticket that was used leaves its name, and no bytes.
        return sorted(path for path in (haat.folder / "media").rglob("*") if path.is_file() and path.stat().st_size)

    before = kept()
    with pytest.raises(AssertionError) as refused:
        haat.upload("ana", data, content_type)
    assert str(refused.value).startswith("400")
    assert found in str(refused.value)
    assert kept() == before


def test_an_svg_is_refused_before_it_is_sent(haat: WholeHaat) -> None:
    asked = {"creator_id": "ana", "content_type": "image/svg+xml", "size_bytes": 100}
    [field] = haat.ask("POST", "/v1/uploads", asked, 400)["fields"]
    assert field["field"] == "content_type"


def test_an_empty_catalogue_and_a_recommender_that_was_never_trained_still_serve(tmp_path: Path) -> None:
    with whole_haat(tmp_path) as empty:
        assert empty.feed("s") == []
        assert empty.call("Search", words="boots").hits == ()
        assert "unknown product" in str(
            empty.ask("POST", "/v1/posts", {"creator_id": "ana", "caption": "x", "product_tags": [TAG]}, 400)
        )
        post_id = empty.post("ana", "A first look")
        assert empty.feed("s2") == [post_id]


def test_a_recommender_that_is_being_written_is_not_read_and_the_page_comes_all_the_same(tmp_path: Path) -> None:
    half = tmp_path / "models" / "recommender"
    half.mkdir(parents=True)
    (half / "manifest.json").write_text('{"version": "0')
    with whole_haat(tmp_path / "haat", models_dir=tmp_path / "models") as served:
        post_id = served.post("ana", "A first look")
        served.haat.recommender.follow()
        assert served.feed("s") == [post_id]


def test_what_people_say_of_their_profile_is_no_markup_in_what_moderators_read(haat: WholeHaat) -> None:
    haat.join("zed", display_name="Zed <b>", bio=f"{XSS} https://bit.ly/3xYz12")
    case = haat.case_of(SubjectKind.PROFILE, "zed")
    seen: list[Any] = []
    haat.listen(seen.append)
    haat.ask("GET", f"/v1/moderation/cases/{case.case_id}", key=moderator(haat))
    assert b"<script" not in seen[0].content


def test_notes_and_appeals_of_moderation_are_bounded_and_do_not_turn_round(haat: WholeHaat) -> None:
    haat.join("yan", bio="Win https://bit.ly/3xYz12")
    case = haat.case_of(SubjectKind.PROFILE, "yan")
    for text in (TURNED, "x" * 1_000_000, "\0"):
        with pytest.raises(InvalidInput):
            haat.moderation.cases.appeal(haat.write("yan"), case.case_id, "yan", text)
        with pytest.raises(HaatError):
            haat.moderation.cases.undo(haat.write("ann"), case.case_id, text)
