from __future__ import annotations

from exchange.by_identity import ByIdentity


def test_an_object_is_looked_at_once_and_its_like_by_itself() -> None:
    made: list[tuple[str, ...]] = []

    def count(words: tuple[str, ...]) -> int:
        made.append(words)
        return len(words)

    known = ByIdentity(count)
    one, like_it = tuple("abc"), tuple("abc")

    assert [known.of(one), known.of(like_it), known.of(one), known.of(like_it)] == [3] * 4
    assert made == [one, like_it]


def test_no_other_object_takes_an_identity_over() -> None:
    known: ByIdentity[list[int], int] = ByIdentity(lambda words: words[0])

    # Each dies at once where nobody keeps it, and the next one stands in its place.
    assert [known.of([number]) for number in range(1_000)] == list(range(1_000))


def test_what_is_known_is_bounded() -> None:
    known = ByIdentity(len, most=10)
    kept = [[0] * size for size in range(95)]

    assert [known.of(one) for one in kept] == list(range(95))
    assert len(known._known) <= 10
