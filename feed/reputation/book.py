"""How are reputations looked up while a page waits? In arrays that are swapped in whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from feed.reputation.beta import cautious
from feed.reputation.standing import Standing, reach, standing_of

_NOTHING = np.zeros(1)
NEWCOMER = standing_of(float(cautious(_NOTHING, _NOTHING)[0]), 0.0, 0.0)


class TenantPage(msgspec.Struct, frozen=True):
    """The standings of one tenant's creators. `row_of` maps a creator to its row; the last row is a newcomer's."""

    row_of: Mapping[str, int]
    values: NDArray[np.float32]
    reach: NDArray[np.float32]
    standings: Sequence[Standing]


class ReputationBook:
    """CreatorReputation in memory. One thread swaps, any thread reads."""

    def __init__(self) -> None:
        self._pages: Mapping[str, TenantPage] = {}
        self._newcomers = page_of({})

    def swap(self, pages: Mapping[str, TenantPage]) -> None:
        """From now on these standings hold."""
        self._pages = pages

    def values(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float32]:
        """Standing of each, 0 to 1; shape (creators,)."""
        page = self._page(tenant_id)
        return page.values[_rows(page, creator_ids)]

    def reach(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float32]:
        """The factor for each one's posts; shape (creators,)."""
        page = self._page(tenant_id)
        return page.reach[_rows(page, creator_ids)]

    def standing(self, tenant_id: str, creator_id: str) -> Standing:
        """All that is known of one."""
        page = self._page(tenant_id)
        return page.standings[page.row_of.get(creator_id, len(page.row_of))]

    def reputation(self, tenant_id: str, author_id: str) -> float:
        """The record of one, 0 to 1, as reports are weighed by it."""
        return self.standing(tenant_id, author_id).reputation

    def __len__(self) -> int:
        return sum(len(page.row_of) for page in self._pages.values())

    def _page(self, tenant_id: str) -> TenantPage:
        return self._pages.get(tenant_id, self._newcomers)


class TierOfCreators:
    """Which commission a creator gets: what a partner network reads for each sale, in memory."""

    def __init__(self, book: ReputationBook) -> None:
        self._book = book

    def tier(self, tenant_id: str, creator_id: str) -> int:
        """0 without a tier, 1 bronze, 2 silver, 3 gold: the number that the topic `creator_tiers` and rules of
        commission name.
        """
        return int(self._book.standing(tenant_id, creator_id).tier)


class ReachOfCreators:
    """The factor that the feed's scorers multiply by."""

    def __init__(self, book: ReputationBook) -> None:
        self._book = book

    def reputation(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float64]:
        """One factor for each creator, above 0; shape (creators,)."""
        return self._book.reach(tenant_id, creator_ids).astype(np.float64)


def page_of(standings: Mapping[str, Standing]) -> TenantPage:
    """A page of these creators, and of newcomers behind them."""
    listed = [*standings.values(), NEWCOMER]
    values = np.array([standing.value for standing in listed], np.float64)
    return TenantPage(
        {creator_id: row for row, creator_id in enumerate(standings)},
        values.astype(np.float32),
        reach(values).astype(np.float32),
        listed,
    )


def _rows(page: TenantPage, creator_ids: Sequence[str]) -> NDArray[np.intp]:
    newcomer = len(page.row_of)
    return np.array([page.row_of.get(creator_id, newcomer) for creator_id in creator_ids], np.intp)
