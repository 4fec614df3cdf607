"""Is every micro that a publisher earned owed or paid, and never paid twice?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from accounts.ports import Caller
from common.errors import Conflict, InvalidInput, PermissionDenied
from exchange.campaigns import Write
from exchange.payouts import Statement
from exchange.settlement import UNKNOWN_PUBLISHER
from exchange.statement_pdf import statement_pdf
from tests.examples import examples
from tests.money_worlds import MoneyWorld, money_world

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]

DAY_MS = 86_400_000


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


def by_operator(key: str, publisher: str = "shop") -> Write:
    return Write(Caller("operator", "operator"), publisher, key)


def figures(statement: Statement) -> tuple[int, int, int, int]:
    return statement.opening_micros, statement.earned_micros, statement.paid_micros, statement.owed_micros


def sum_of_all(money: MoneyWorld) -> int:
    return sum(line.balance_micros for line in money.balances.trial_balance())


def test_months_follow_one_another(money: MoneyWorld) -> None:
    # It is the 14th of November 2023.
    money.spend(1_000)
    money.spend(500, placement="left")
    money.payouts.record(by_operator("1"), 300, "SEPA 1")
    money.world.clock.step(30 * DAY_MS)
    money.spend(2_000)
    money.payouts.record(by_operator("2"), 0, "SEPA 2")

    november, december = money.payouts.statement("shop", "2023-11"), money.payouts.statement("shop", "")

    assert figures(november) == (0, 1_200, 300, 900)
    assert [(line.placement_id, line.impressions, line.earned_micros) for line in november.lines] == [
        ("top", 1, 800), ("left", 1, 400),
    ]  # fmt: skip
    assert [(payout.amount_micros, payout.reference) for payout in november.payouts] == [(300, "SEPA 1")]
    # All of it was sent.
    assert (december.month, figures(december)) == (202312, (900, 1_600, 2_500, 0))
    assert figures(money.payouts.statement("shop", "2023-10")) == (0, 0, 0, 0)
    assert sum_of_all(money) == 0


def test_a_refund_after_a_payout_is_owed_back(money: MoneyWorld) -> None:
    money.spend(1_000)
    money.payouts.record(by_operator("1"), 0, "SEPA 1")
    money.spend(-1_000)

    assert figures(money.payouts.statement("shop", "")) == (0, 0, 800, -800)
    with pytest.raises(InvalidInput, match="nothing is owed"):
        money.payouts.record(by_operator("2"), 0, "SEPA 2")


def test_a_payout_is_booked_once_and_never_beyond_what_is_owed(money: MoneyWorld) -> None:
    money.spend(1_000)
    with pytest.raises(InvalidInput, match="give 1 to 800 micros, what is owed"):
        money.payouts.record(by_operator("1"), 801, "SEPA 1")

    first, owed = money.payouts.record(by_operator("1"), 500, "SEPA 1")
    again, owed_still = money.payouts.record(by_operator("1"), 500, "SEPA 1")

    assert (first.amount_micros, owed) == (again.amount_micros, owed_still) == (500, 300)
    for micros, reference in ((200, "SEPA 1"), (500, "SEPA 2")):
        with pytest.raises(Conflict, match="another payout"):
            money.payouts.record(by_operator("1"), micros, reference)
    # A key that booked a payment of an advertiser's books no payout.
    money.pay(10, key="shared")
    money.spend(10, publisher=money.world.tenant_a)
    with pytest.raises(Conflict, match="another payout"):
        money.payouts.record(by_operator("shared", money.world.tenant_a), 8, "SEPA")
    assert figures(money.payouts.statement("shop", ""))[2] == 500
    assert sum_of_all(money) == 0


def test_what_cannot_be_booked_is_named(money: MoneyWorld) -> None:
    money.spend(1_000, publisher="")
    with pytest.raises(InvalidInput) as caught:
        money.payouts.record(by_operator("", UNKNOWN_PUBLISHER), -1, " ")
    assert {error.field for error in caught.value.errors} == {
        "amount_micros", "tenant_id", "reference", "idempotency_key",
    }  # fmt: skip
    with pytest.raises(PermissionDenied):
        money.payouts.record(Write(Caller("shop", "storefront"), "shop", "1"), 1, "SEPA")
    for month in ("2023-13", "November", "2024-01"):
        with pytest.raises(InvalidInput, match="month"):
            money.payouts.statement("shop", month)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 3_000), st.integers(0, 20)), max_size=8), st.randoms())
def test_statements_add_up_to_the_account_whatever_was_earned_and_paid(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int]], chance: object
) -> None:
    with money_world(tmp_path_factory.mktemp("money")) as money:
        earned = paid = 0
        for at, (billed, wanted, days) in enumerate(steps):
            if billed:
                money.spend(billed)
                earned += billed * 8 // 10
            owed = money.payouts.statement("shop", "").owed_micros
            if 0 < wanted <= owed:
                paid += money.payouts.record(by_operator(str(at)), wanted, "SEPA")[0].amount_micros
            money.world.clock.step(days * DAY_MS)
        last = money.payouts.statement("shop", "")

        # Each sale is rounded by itself: less than a micro apiece.
        assert 0 <= last.owed_micros - (earned - paid) <= len(steps)
        assert sum_of_all(money) == 0
        assert last.owed_micros >= 0


def test_a_statement_is_the_same_on_paper_each_time(money: MoneyWorld) -> None:
    money.spend(1_234_567)
    money.payouts.record(by_operator("1"), 0, "SEPA – 1")
    statement = money.payouts.statement("shop", "")

    paper = statement_pdf(statement, "A shop – of Dhaka")

    assert paper.startswith(b"%PDF-")
    assert paper == statement_pdf(statement, "A shop – of Dhaka")
    many = replace(statement, lines=statement.lines * 200, payouts=statement.payouts * 60)
    assert statement_pdf(many, "A shop").count(b"/Type /Page\n") > 5
    assert statement_pdf(replace(statement, lines=(), payouts=()), "A shop").startswith(b"%PDF-")
