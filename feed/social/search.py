"""How are posts, products and people found, and what of what is found may be shown?"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Sequence

import regex

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from feed.muting import text_of
from feed.ports import ProductLookup
from feed.post import Post, PostState
from feed.post_rules import is_id, normalised_hashtags, shown
from feed.social.calls import SearchHit, SearchRequest, SearchResults
from feed.social.pages import cursor_of, place_of, size_of
from feed.social.ports import PeopleStore, PostReader, Search
from feed.social.sights import Sight, Sights
from feed.social.signed_in import SignedIn
from feed.social.words import MARK_BEGIN, MARK_END, Document, Found, Person, Query, SearchKind
from streams.product import Product

MAX_WORDS_CHARS = 200
MOST_WORDS = 16
MAX_WORD_CHARS = 64
# Nobody looks further.
_MOST_OFFSET = 500
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def document_of_post(post: Post) -> Document:
    """What of a post is found."""
    return Document(
        tenant_id=post.tenant_id,
        kind=SearchKind.POST,
        id=post.post_id,
        title="",
        body=post.caption,
        tags=post.hashtags,
        person_id=post.creator_id,
        at_ms=post.published_at_ms,
    )


def document_of_person(person: Person) -> Document | None:
    """What of a person is found: the handle whole and in its parts, the name, the bio; None when nothing may be."""
    seen = person.shown
    if seen is None or not seen.findable:
        return None
    return Document(
        tenant_id=person.tenant_id,
        kind=SearchKind.PERSON,
        id=person.person_id,
        title=f"{seen.display_name} @{seen.handle}",
        body=seen.bio,
        person_id=person.person_id,
    )


def follow_person(search: Search, person: Person) -> None:
    """The index has what others may find of a person by now."""
    document = document_of_person(person)
    if document is None:
        search.forget(person.tenant_id, SearchKind.PERSON, [person.person_id])
    else:
        search.put([document])


def document_of_product(product: Product) -> Document:
    """What of a product is found."""
    body = " · ".join(part for part in (product.brand, product.category) if part)
    return Document(
        tenant_id=product.tenant_id, kind=SearchKind.PRODUCT, id=product.product_id, title=product.name, body=body
    )


class Finder:
    """The use case of searching; blocks on the index and the stores.

    What the index finds is looked up in the records before it is shown, so that an index that is behind shows nothing
    that is not clean, not published, sold out or of somebody who is blocked.
    """

    def __init__(
        self,
        *,
        search: Search,
        posts: PostReader,
        people: PeopleStore,
        products: ProductLookup,
        sights: Sights,
        signed_in: SignedIn,
        clock: Clock,
    ) -> None:
        self._search = search
        self._posts = posts
        self._people = people
        self._products = products
        self._sights = sights
        self._signed_in = signed_in
        self._clock = clock

    def find(self, tenant_id: str, request: SearchRequest) -> SearchResults:
        """One page of hits, best first; pages of one cursor chain fit together while nothing is removed."""
        if errors := _errors(request):
            raise InvalidInput(errors)
        viewer_id = self._signed_in.viewer(tenant_id, request.viewer_id)
        sight = self._sights.of(tenant_id, viewer_id)
        size, listed = size_of(request.page_size), _listed(request)
        now_ms, offset_text = place_of(listed, request.cursor, (self._clock.now_ms(), "0"))
        offset = int(offset_text) if offset_text.isdecimal() and len(offset_text) < 6 else 0
        hits: list[SearchHit] = []
        more = True
        while more and len(hits) < size and offset < _MOST_OFFSET:
            query = Query(
                tenant_id=tenant_id,
                words=_words_of(request.words),
                kinds=request.kinds or tuple(SearchKind),
                now_ms=now_ms,
                person_id=request.creator_id,
                tag=normalised_hashtags([request.hashtag])[0] if request.hashtag else "",
                offset=offset,
                limit=size,
            )
            found = self._search.find(query)
            may = self._shown(tenant_id, found, viewer_id, sight)
            for one in found:
                offset += 1
                if (one.kind, one.id) in may:
                    hits.append(_hit(one))
                if len(hits) == size:
                    break
            more = len(found) == size
        goes_on = (more or len(hits) == size) and offset < _MOST_OFFSET
        return SearchResults(tuple(hits), cursor_of(listed, now_ms, str(offset)) if goes_on else "")

    def _shown(
        self, tenant_id: str, found: Sequence[Found], viewer_id: str, sight: Sight
    ) -> set[tuple[SearchKind, str]]:
        ids: dict[SearchKind, list[str]] = {kind: [] for kind in SearchKind}
        for one in found:
            ids[one.kind].append(one.id)
        products = self._products.products(tenant_id, ids[SearchKind.PRODUCT]) if ids[SearchKind.PRODUCT] else ()
        buyable = {
            product.product_id
            for product in products
            if product is not None and product.in_stock and not sight.mutes(_said(document_of_product(product)))
        }
        known = self._people.some(tenant_id, ids[SearchKind.PERSON]).values()
        documents = (document for person in known if (document := document_of_person(person)) is not None)
        people = {document.id for document in documents if sight.sees(document.id, _said(document))}
        posts = (self._posts.get(tenant_id, post_id) for post_id in ids[SearchKind.POST])
        clean = {
            post.post_id
            for post in posts
            if post is not None and post.state is PostState.CLEAN and sight.sees(post.creator_id, text_of(post))
        }
        return {
            *((SearchKind.PRODUCT, one) for one in buyable),
            *((SearchKind.PERSON, one) for one in people),
            *((SearchKind.POST, one) for one in clean),
        }


def index_all(
    search: Search,
    posts: PostReader,
    people: PeopleStore,
    products: Callable[[], Sequence[Product]],
    portion: int = 500,
) -> int:
    """Make an empty index anew from the records; how many documents it holds."""
    waiting: list[Document] = []

    def put(document: Document) -> None:
        waiting.append(document)
        if len(waiting) >= portion:
            search.put(waiting)
            waiting.clear()

    for post in posts.all():
        if post.state is PostState.CLEAN:
            put(document_of_post(post))
    for person in people.all():
        if (document := document_of_person(person)) is not None:
            put(document)
    for product in products():
        put(document_of_product(product))
    search.put(waiting)
    return search.count()


def escaped(marked: str) -> str:
    """HTML of a marked text: `<mark>` around what was met, all else escaped."""
    return html.escape(marked).replace(MARK_BEGIN, "<mark>").replace(MARK_END, "</mark>")


def _said(document: Document) -> str:
    return f"{document.title}\n{document.body}"


def _hit(one: Found) -> SearchHit:
    return SearchHit(one.kind, one.id, escaped(one.title), escaped(one.snippet), one.score)


def _words_of(text: str) -> tuple[str, ...]:
    words = _WORD.findall(unicodedata.normalize("NFC", text))
    return tuple(word[:MAX_WORD_CHARS] for word in words[:MOST_WORDS])


def _errors(request: SearchRequest) -> list[FieldError]:
    errors = []
    if len(request.words) > MAX_WORDS_CHARS:
        errors.append(FieldError("words", f"{len(request.words)} characters", f"give at most {MAX_WORDS_CHARS}"))
    elif not _words_of(request.words):
        errors.append(FieldError("words", shown(request.words), "give at least one letter or digit"))
    if request.creator_id and not is_id(request.creator_id):
        errors.append(FieldError("creator_id", shown(request.creator_id), "give the id of a creator, or nothing"))
    if len(request.hashtag) > MAX_WORDS_CHARS:
        errors.append(FieldError("hashtag", f"{len(request.hashtag)} characters", "give one word, or nothing"))
    if len(request.kinds) > len(SearchKind):
        errors.append(FieldError("kinds", f"{len(request.kinds)} kinds", "give each at most once"))
    return errors


def _listed(request: SearchRequest) -> str:
    kinds = ",".join(kind.name for kind in sorted(set(request.kinds)))
    # A cursor belongs to one question; only its beginning need be told apart.
    return f"search {request.words[:60]} {kinds} {request.creator_id} {request.hashtag[:30]}"
