"""What every Search promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.elasticsearch_mappings import PEOPLE, POSTS, PRODUCTS
from backends.elasticsearch_pages import pages
from backends.search_elasticsearch import ElasticsearchSearch
from backends.search_fts import FtsSearch
from feed.social.words import MARK_BEGIN, MARK_END, Document, Found, Query, SearchKind
from tests.elastic_worlds import ElasticWorld, elastic_world
from tests.feed_builders import NOW_MS, TENANT

DAY_MS = 86_400_000


class Opened:
    """An index in a folder, and a way to open it again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "search.sqlite"
        self.index: FtsSearch | ElasticsearchSearch = FtsSearch(self._path)

    def reopen(self) -> None:
        self.index.close()
        self.index = FtsSearch(self._path)

    def stored(self) -> bytes:
        """All bytes that are kept."""
        return b"".join(path.read_bytes() for path in self._path.parent.iterdir())

    def find(self, *words: str, **changes: Any) -> list[Found]:
        asked: dict[str, Any] = {"tenant_id": TENANT, "words": words, "kinds": tuple(SearchKind), "now_ms": NOW_MS}
        return self.index.find(Query(**{**asked, **changes}))

    def ids(self, *words: str, **changes: Any) -> list[str]:
        return [one.id for one in self.find(*words, **changes)]


class OpenedElsewhere(Opened):
    """The same over Elasticsearch."""

    def __init__(self, elastic: ElasticWorld) -> None:
        self._elastic = elastic
        elastic.ensure((POSTS, PRODUCTS, PEOPLE))
        elastic.empty()
        self.index = ElasticsearchSearch(elastic.indices)

    def reopen(self) -> None:
        self.index = ElasticsearchSearch(self._elastic.indices)

    def stored(self) -> bytes:
        """All documents, whatever generation they are in; a test of its own looks for what was deleted."""
        client, names = self._elastic.client, [self._elastic.indices.alias(one) for one in (POSTS, PRODUCTS, PEOPLE)]
        found = [page for name in names for page in pages(client, f"{name}-*", {"match_all": {}})]
        return repr(found).encode()


@pytest.fixture(scope="module")
def elastic(elasticsearch_url: str) -> Iterator[ElasticWorld]:
    with elastic_world(elasticsearch_url) as world:
        yield world


@pytest.fixture(params=["fts5", pytest.param("elasticsearch", marks=pytest.mark.services)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    embedded = request.param == "fts5"
    made = Opened(tmp_path) if embedded else OpenedElsewhere(request.getfixturevalue("elastic"))
    yield made
    made.index.close()


def a_document(id_: str = "1", **changes: Any) -> Document:
    facts: dict[str, Any] = {"tenant_id": TENANT, "kind": SearchKind.POST, "id": id_, "title": "", "at_ms": NOW_MS}
    return Document(**{**facts, **changes})


def test_all_words_must_be_met_and_the_last_may_be_a_beginning(opened: Opened) -> None:
    opened.index.put([a_document("1", body="red winter boots"), a_document("2", body="red summer shoes")])

    assert opened.ids("red", "boots") == ["1"]
    assert opened.ids("boots", "red") == ["1"]
    assert sorted(opened.ids("red")) == ["1", "2"]
    assert opened.ids("red", "boo") == ["1"]
    assert opened.ids("re", "boots") == []
    assert opened.ids("green") == []
    opened.reopen()
    assert opened.ids("winter") == ["1"]


def test_case_and_accents_do_not_matter_and_scripts_do_not_either(opened: Opened) -> None:
    opened.index.put([a_document("1", body="Café Straße हिन्दी Ёлка")])

    for word in ("cafe", "CAFÉ", "हिन्दी", "हिन्", "ёлка"):
        assert opened.ids(word) == ["1"], word


def test_a_word_in_the_title_counts_for_more(opened: Opened) -> None:
    opened.index.put([a_document("1", body="boots and more"), a_document("2", title="boots and more"),
                      *(a_document(f"x{n}", body="hats") for n in range(5))])  # fmt: skip

    assert opened.ids("boots") == ["2", "1"]


def test_of_two_that_are_met_alike_the_newer_comes_first(opened: Opened) -> None:
    opened.index.put([a_document(str(days), body="boots", at_ms=NOW_MS - days * DAY_MS) for days in (90, 1, 30)])

    found = opened.find("boots")
    assert [one.id for one in found] == ["1", "30", "90"]
    assert found[0].score > found[1].score > found[2].score > 0


def test_what_came_after_the_question_is_not_in_its_pages(opened: Opened) -> None:
    opened.index.put([a_document(str(number), body="boots", at_ms=NOW_MS - number) for number in range(25)])
    first = opened.ids("boots", limit=10)
    opened.index.put([a_document("late", body="boots", at_ms=NOW_MS + 1)])

    pages = first + opened.ids("boots", limit=10, offset=10) + opened.ids("boots", limit=10, offset=20)

    assert pages == [str(number) for number in range(25)]


def test_kinds_people_and_tags_narrow(opened: Opened) -> None:
    opened.index.put(
        [
            a_document("1", body="boots", tags=("winter",), person_id="ana"),
            a_document("1", kind=SearchKind.PRODUCT, title="boots"),
            a_document("2", body="boots", tags=("winterly",), person_id="ana2"),
        ]
    )

    assert [one.kind for one in opened.find("boots", kinds=(SearchKind.PRODUCT,))] == [SearchKind.PRODUCT]
    assert opened.ids("boots", person_id="ana") == ["1"]
    assert opened.ids("boots", tag="winter") == ["1"]
    assert opened.ids("winter", kinds=(SearchKind.POST,), person_id="ana") == ["1"]
    assert opened.find("boots", kinds=()) == []


def test_tenants_are_apart(opened: Opened) -> None:
    opened.index.put([a_document("1", body="boots"), a_document("1", tenant_id="b" * 32, body="boots of b")])

    assert [one.snippet for one in opened.find("of", tenant_id="b" * 32)] == [f"boots {MARK_BEGIN}of{MARK_END} b"]
    assert opened.ids("of") == []
    assert opened.index.forget("b" * 32, SearchKind.POST, ["1"]) == 1
    assert opened.ids("boots") == ["1"]


def test_putting_again_replaces_and_forgetting_forgets(opened: Opened) -> None:
    opened.index.put([a_document("1", body="boots")])
    opened.index.put([a_document("1", body="hats")])
    assert (opened.ids("boots"), opened.ids("hats"), opened.index.count()) == ([], ["1"], 1)

    assert opened.index.forget(TENANT, SearchKind.POST, ["1", "2"]) == 1
    assert (opened.ids("hats"), opened.index.count()) == ([], 0)


def test_putting_the_same_again_changes_nothing_and_another_tag_or_time_does(opened: Opened) -> None:
    opened.index.put([a_document("1", body="boots", tags=("red",))])
    opened.index.put([a_document("1", body="boots", tags=("red",))])
    assert (opened.index.count(), opened.ids("boots", tag="red")) == (1, ["1"])

    opened.index.put([a_document("1", body="boots", tags=("blue",), at_ms=NOW_MS + 1)])

    assert opened.ids("boots", tag="red") == opened.ids("boots", tag="blue") == []
    assert opened.ids("boots", tag="blue", now_ms=NOW_MS + 1) == ["1"]


def test_nothing_of_an_erased_person_stays_in_the_files(opened: Opened) -> None:
    others = [a_document(str(number), body=f"boots {number}", person_id="bea") for number in range(50)]
    mine = [a_document(f"m{number}", body="unmistakable zanzibar", person_id="ana") for number in range(50)]
    opened.index.put([*others, *mine])
    assert b"zanzibar" in opened.stored()

    assert opened.index.forget_person(TENANT, "ana") == 50

    assert b"zanzibar" not in opened.stored()
    assert b"unmistakable" not in opened.stored()
    assert len(opened.ids("boots", limit=50)) == 50


@pytest.mark.slow
@pytest.mark.services
def test_nothing_of_an_erased_person_stays_in_deleted_documents(elastic: ElasticWorld) -> None:
    index = OpenedElsewhere(elastic).index
    assert isinstance(index, ElasticsearchSearch)
    index.put([a_document("1", body="boots", person_id="ana"), a_document("2", body="hats", person_id="bea")])
    index.forget_person(TENANT, "ana")

    until_s = time.monotonic() + 120
    while not index.expunge() and time.monotonic() < until_s:
        time.sleep(1)

    docs = elastic.client.indices.stats(index=elastic.indices.alias(POSTS), metric="docs")["_all"]["total"]["docs"]
    assert (docs["count"], docs["deleted"]) == (1, 0)


def test_met_words_are_marked_and_marks_of_the_text_are_not_believed(opened: Opened) -> None:
    opened.index.put([a_document("1", title=f"red {MARK_BEGIN}hat{MARK_END}", body="<b>boots</b> " + "word " * 60)])

    (found,) = opened.find("boots")
    assert found.snippet.startswith(f"<b>{MARK_BEGIN}boots{MARK_END}</b>")
    assert len(found.snippet) < 200
    assert found.title == "red hat"


@pytest.mark.parametrize(
    "word", ['"', "OR", "NOT x", "a*", "title:", "(", "^a", "-a", "scope", "' OR 1=1 --", "\u0000"]
)
def test_nothing_in_a_word_is_a_command(opened: Opened, word: str) -> None:
    opened.index.put([a_document("1", body="boots")])

    assert opened.ids(word) == []
