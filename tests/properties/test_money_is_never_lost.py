"""Whatever is paid, leased, spent, given back and broken off in whichever order: the books balance, and nobody who
pays before spends what was not paid.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event, func, select

from accounts.ports import Caller
from backends.balances_sql import SqlBalanceStore
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.sql import reading
from backends.sql_tables_money import (
    BALANCE_ACCOUNTS,
    BALANCE_POSTINGS,
    BALANCE_TRANSACTIONS,
    BILLED_DAYS,
    PLACEMENT_DAYS,
)
from exchange.balances import AccountKind, Balances, Terms
from exchange.campaigns import Write
from exchange.ports import CAMPAIGN_ACCOUNTS, Spend
from tests.campaign_stores import CampaignWorld, campaign_world
from tests.examples import examples

pytestmark = pytest.mark.slow

MICROS = st.integers(1, 5_000)
WHICH = st.integers(0, 3)
HOLDERS = st.sampled_from(["a", "b"])
CREDIT_MICROS = 4_000


class Broken(Exception):
    """The process died here."""


class Paying(RuleBasedStateMachine):
    """Two who pay before, one with credit, one without terms; a campaign each, and two for the first."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.opened = campaign_world(self.folder)
        self.world: CampaignWorld = self.opened.__enter__()
        self.balances = Balances(store=SqlBalanceStore(self.world.engine), clock=self.world.clock, currency="EUR")
        self.ledger = SqlBudgetLedger(self.world.engine, least_lease_micros=100)
        self.advertisers = [self.world.an_advertiser(domain=f"brand{n}.example") for n in range(4)]
        owners = (0, 1, 2, 3, 0)
        self.campaigns = [self.world.a_campaign(self.advertisers[owner]) for owner in owners]
        self.owner = {c.number: owner for c, owner in zip(self.campaigns, owners, strict=True)}
        self.terms(0, Terms.PREPAID, 0)
        self.terms(1, Terms.PREPAID, 0)
        self.terms(2, Terms.POSTPAID, CREDIT_MICROS)
        # What anybody outside knows.
        self.paid: defaultdict[int, int] = defaultdict(int)
        self.spent: defaultdict[int, int] = defaultdict(int)
        self.leases: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.keys: dict[str, tuple[int, int]] = {}
        self.offset = 0

    def write(self, key: str = "") -> Write:
        plain = self.world.write(key)
        return Write(Caller(self.world.tenant_b, "operator"), self.world.tenant_a, plain.idempotency_key)

    def terms(self, which: int, terms: int, limit: int) -> None:
        self.balances.set_terms(self.write(), self.advertisers[which].advertiser_id, "", terms, limit)

    @rule(which=WHICH, micros=MICROS, key=st.sampled_from(["k1", "k2", "k3", "k4", "k5", "k6"]))
    def pay(self, which: int, micros: int, key: str) -> None:
        """Under one of few keys: the first time it counts, and the same again changes nothing."""
        if which == 3:
            # Its first payment would make it one that pays before.
            return
        which, micros = self.keys.setdefault(key, (which, micros))
        balance = self.balances.top_up(self.write(key), self.advertisers[which].advertiser_id, "", micros, "bank")
        self.paid[which] = sum(m for w, m in self.keys.values() if w == which)
        assert balance.terms in (Terms.PREPAID, Terms.POSTPAID)

    @rule(holder=HOLDERS, at=st.integers(0, 4), wanted=MICROS, share=st.sampled_from([1, 3]))
    def lease(self, holder: str, at: int, wanted: int, share: int) -> None:
        account = CAMPAIGN_ACCOUNTS + self.campaigns[at].number
        granted = self.ledger.lease(holder, {account: wanted}, self.world.clock.now_ms(), share=share)
        self.leases[holder, at] += granted[account]

    @rule(holder=HOLDERS, wanted=MICROS)
    def lease_everything(self, holder: str, wanted: int) -> None:
        """All campaigns in one transaction: two of them have one payer."""
        accounts = {CAMPAIGN_ACCOUNTS + campaign.number: wanted for campaign in self.campaigns}
        granted = self.ledger.lease(holder, accounts, self.world.clock.now_ms())
        for at, campaign in enumerate(self.campaigns):
            self.leases[holder, at] += granted[CAMPAIGN_ACCOUNTS + campaign.number]

    @rule(
        holder=HOLDERS,
        sales=st.lists(st.tuples(st.integers(0, 4), MICROS, st.sampled_from(["shop", "blog", ""]), st.integers(0, 2))),
        ahead_days=st.integers(0, 40),
    )
    def settle(self, holder: str, sales: list[tuple[int, int, str, int]], ahead_days: int) -> None:
        """Spend out of leases, over days and months, and what outside bidders pay."""
        spends = [Spend(0, 0, 7, self.world.clock.now_ms(), 1, 1, "EUR", "neighbour", "shop", "top")]
        for at, micros, publisher, place in sales:
            micros = min(micros, self.leases[holder, at])
            self.leases[holder, at] -= micros
            self.spent[at] += micros
            at_ms = self.world.clock.now_ms() + ahead_days * 86_400_000
            number = self.campaigns[at].number
            spends.append(Spend(at + 1, number, micros, at_ms, 1, 1, "EUR", "", publisher, f"place-{place}"))
        self.ledger.settle(holder, spends, self.offset + 1, from_offset=self.offset)
        self.offset += 1

    @rule(holder=HOLDERS, at=st.integers(0, 4), micros=MICROS)
    def give_back(self, holder: str, at: int, micros: int) -> None:
        micros = min(micros, self.leases[holder, at])
        if micros:
            self.ledger.give_back(holder, {CAMPAIGN_ACCOUNTS + self.campaigns[at].number: micros})
            self.leases[holder, at] -= micros

    @rule(holder=HOLDERS)
    def holder_dies(self, holder: str) -> None:
        self.ledger.give_back_all(holder)
        for at in range(5):
            self.leases[holder, at] = 0

    @rule(
        statement=st.integers(1, 25),
        holder=HOLDERS,
        at=st.integers(0, 4),
        what=st.sampled_from(["lease", "settle", "pay"]),
    )
    def process_dies(self, statement: int, holder: str, at: int, what: str) -> None:
        """In the middle of a transaction, at any statement: nothing of it has happened."""
        seen = 0

        def die(*_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                raise Broken

        campaign = self.campaigns[at]
        account = CAMPAIGN_ACCOUNTS + campaign.number
        lost = min(3, self.leases[holder, at])
        event.listen(self.world.engine, "after_cursor_execute", die)
        try:
            if what == "lease":
                self.leases[holder, at] += self.ledger.lease(holder, {account: 50}, self.world.clock.now_ms())[account]
            elif what == "settle":
                spend = Spend(at + 1, campaign.number, lost, self.world.clock.now_ms(), 1, 1, "EUR", "", "shop", "top")
                self.ledger.settle(holder, [spend], self.offset + 1, from_offset=self.offset)
                self.offset += 1
                self.leases[holder, at] -= lost
                self.spent[at] += lost
            else:
                self.balances.top_up(self.write(), self.advertisers[0].advertiser_id, "", 9, "bank")
                self.keys[f"whole {len(self.keys)}"] = (0, 9)
                self.paid[0] = sum(m for w, m in self.keys.values() if w == 0)
        except Broken:
            pass
        finally:
            event.remove(self.world.engine, "after_cursor_execute", die)

    @rule(days=st.integers(1, 40))
    def pass_time(self, days: int) -> None:
        self.world.clock.step(days * 86_400_000)

    @invariant()
    def books_balance(self) -> None:
        """Each transaction comes to nothing, and each account is the sum of its postings."""
        posting, account, transaction = BALANCE_POSTINGS.c, BALANCE_ACCOUNTS.c, BALANCE_TRANSACTIONS.c
        with reading(self.world.engine) as connection:
            sums = connection.execute(
                select(transaction.number, func.sum(posting.amount_micros))
                .select_from(BALANCE_TRANSACTIONS)
                .join(BALANCE_POSTINGS)
                .group_by(transaction.number)
            ).all()
            accounts = connection.execute(
                select(account.kind, account.owner, account.balance_micros, func.sum(posting.amount_micros))
                .select_from(BALANCE_ACCOUNTS)
                .join(BALANCE_POSTINGS)
                .group_by(account.number)
            ).all()
            billed = connection.execute(select(func.coalesce(func.sum(BILLED_DAYS.c.spend_micros), 0))).scalar_one()
            revenue = connection.execute(
                select(PLACEMENT_DAYS.c.publisher_id, func.sum(PLACEMENT_DAYS.c.revenue_micros)).group_by(
                    PLACEMENT_DAYS.c.publisher_id
                )
            ).all()
        assert [total for _, total in sums if total] == []
        assert all(balance == total for _, _, balance, total in accounts)
        assert sum(balance for _, _, balance, _ in accounts) == 0
        assert billed == sum(self.spent.values())
        payable = {o: -balance for kind, o, balance, _ in accounts if kind == AccountKind.PUBLISHER_PAYABLE}
        assert payable == {publisher: earned for publisher, earned in revenue if earned}

    @invariant()
    def nobody_spends_what_is_not_there(self) -> None:
        for which, advertiser in enumerate(self.advertisers):
            mine = [at for at, campaign in enumerate(self.campaigns) if self.owner[campaign.number] == which]
            spent = sum(self.spent[at] for at in mine)
            leased = sum(micros for (_, at), micros in self.leases.items() if at in mine)
            balance = self.balances.balance(self.world.tenant_a, advertiser.advertiser_id, "")
            assert balance.leased_micros == leased
            if which < 2:
                assert (balance.balance_micros, balance.owed_micros) == (self.paid[which] - spent, 0)
                assert spent + leased <= self.paid[which]
                assert balance.available_micros == self.paid[which] - spent - leased
            else:
                assert (balance.balance_micros, balance.owed_micros) == (0, spent - self.paid[which])
            if which == 2:
                assert spent + leased <= CREDIT_MICROS + self.paid[which]

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.__exit__(None, None, None)
            shutil.rmtree(self.folder)


TestMoneyIsNeverLost = Paying.TestCase
TestMoneyIsNeverLost.settings = settings(
    max_examples=examples(10), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
