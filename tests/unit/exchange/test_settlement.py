from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from exchange.ports import Spend
from exchange.settlement import settlement

DAY = 86_400_000
SPENDS = st.lists(
    st.builds(
        Spend,
        line_item_number=st.integers(0, 3),
        campaign_number=st.integers(0, 2),
        billed_micros=st.integers(-50, 10**9),
        taken_at_ms=st.integers(0, 90).map(lambda day: day * DAY),
        kind=st.integers(1, 3),
        verdict=st.integers(1, 5),
        currency=st.sampled_from(["EUR", "USD"]),
        bidder=st.sampled_from(["", "neighbour"]),
        publisher_id=st.sampled_from(["", "shop", "blog"]),
        placement_id=st.sampled_from(["top", "left"]),
    ),
    max_size=30,
)


@given(SPENDS, st.decimals(0, 1, places=3))
def test_what_payers_are_charged_is_what_is_earned_to_the_micro(spends: list[Spend], share: Decimal) -> None:
    settled = settlement(spends, share)

    for (currency, month), charges in settled.charges.items():
        credits = settled.credits(currency, month)
        assert sum(charges.values()) + sum(entry.amount_micros for entry in credits) == 0
    assert sum(sum(charges.values()) for charges in settled.charges.values()) == sum(s.billed_micros for s in spends)
    earned = sum(sum(of.values()) for of in settled.earned.values())
    assert earned == sum(settled.revenue.values())
    # A rounding for each publisher, currency, month and sign.
    assert abs(earned - sum(s.billed_micros for s in spends) * share) <= 48


@given(SPENDS)
def test_line_items_and_placements_count_the_same_notices(spends: list[Spend]) -> None:
    settled = settlement(spends)

    inside = [s for s in spends if s.line_item_number]
    assert sum(sale.spend_micros for sale in settled.line_items.values()) == sum(s.billed_micros for s in inside)
    assert sum(sale.impressions for sale in settled.placements.values()) == sum(
        s.kind == 1 and s.verdict in (1, 5) for s in spends
    )


def test_placements_of_a_publisher_share_what_it_earns_by_what_they_sold() -> None:
    def spend(micros: int, placement: str) -> Spend:
        return Spend(1, 1, micros, 0, 1, 1, "EUR", "", "shop", placement)

    settled = settlement([spend(1, "top"), spend(1, "left"), spend(1, "right")], Decimal("0.8"))

    # Four fifths of 3 micros are 2.4: two for the publisher, one for the exchange.
    assert sorted(settled.revenue.values()) == [0, 1, 1]


def test_a_publisher_that_is_not_named_is_unknown() -> None:
    settled = settlement([Spend(1, 1, 10, 0, 1, 1, "EUR")])

    assert {key.publisher_id for key in settled.placements} == {"unknown"}
