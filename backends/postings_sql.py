"""How is a transaction of money written? Entries that add up, each beside its account's new balance; append only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, tuple_, update

from backends.sql import chunks, insert_once
from backends.sql_tables_budgets import BUDGET_LEASES
from backends.sql_tables_campaigns import CAMPAIGNS
from backends.sql_tables_money import BALANCE_ACCOUNTS, BALANCE_POSTINGS, BALANCE_TRANSACTIONS, PAYMENT_TERMS
from exchange.balances import AccountKind, Entry, PaymentTerms, Terms, Transaction, adds_up, available
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.settlement import Payer, Settlement

# The turn of whoever bills, or needs that nobody does.
SETTLEMENT = "settlement"

_KEY = tuple[str, str]


def post(connection: Connection, transaction: Transaction) -> int:
    """Write a transaction; its number. AssertionError unless it adds up; Conflict when its key was used before."""
    entries = _merged(transaction.entries)
    assert adds_up(entries), f"a {transaction.kind} does not add up: {entries}"
    row = {
        "kind": transaction.kind,
        "tenant_id": transaction.tenant_id,
        "idempotency_key": transaction.idempotency_key,
        "at_ms": transaction.at_ms,
        "month": transaction.month,
        "reference": transaction.reference,
    }
    written = insert(BALANCE_TRANSACTIONS).values(row).returning(BALANCE_TRANSACTIONS.c.number)
    number = int(connection.execute(written).scalar_one())
    keys = [(str(entry.kind), entry.owner) for entry in entries]
    accounts = _accounts(connection, keys, transaction.currency)
    postings = []
    for entry, key in zip(entries, keys, strict=True):
        account, balance = accounts[key]
        postings.append(
            {
                "transaction_number": number,
                "account_number": account,
                "amount_micros": entry.amount_micros,
                "balance_after_micros": balance + entry.amount_micros,
            }
        )
    if postings:
        connection.execute(insert(BALANCE_POSTINGS), postings)
        moved = (
            update(BALANCE_ACCOUNTS)
            .where(BALANCE_ACCOUNTS.c.number == bindparam("of_account"))
            .values(balance_micros=bindparam("now_micros"))
        )
        connection.execute(
            moved, [{"of_account": p["account_number"], "now_micros": p["balance_after_micros"]} for p in postings]
        )
    return number


def post_settlement(connection: Connection, settled: Settlement, key: str, at_ms: int) -> None:
    """What a step of the ledger billed, a transaction for each currency and month. `key` names the step."""
    for (currency, month), charges in settled.charges.items():
        advertisers = _advertisers(connection, {payer.campaign_number for payer in charges if not payer.bidder})
        by_advertiser: defaultdict[int, int] = defaultdict(int)
        debits: list[Entry] = []
        for payer, micros in charges.items():
            advertiser = None if payer.bidder else advertisers.get(payer.campaign_number)
            if advertiser is None:
                debits.append(Entry(AccountKind.RECEIVABLE, _other(payer), micros))
            else:
                by_advertiser[advertiser] += micros
        terms = terms_of(connection, by_advertiser, currency, lock=True)
        prepaid = {number for number, found in terms.items() if found.terms == Terms.PREPAID}
        keys = [(str(AccountKind.ADVERTISER_BALANCE), str(number)) for number in sorted(prepaid)]
        balances = _accounts(connection, keys, currency) if keys else {}
        for number, micros in by_advertiser.items():
            _, balance = balances.get((str(AccountKind.ADVERTISER_BALANCE), str(number)), (0, 0))
            # A spend is a fact; what the balance does not hold is owed.
            paid = min(micros, -balance) if number in prepaid else 0
            debits.append(Entry(AccountKind.ADVERTISER_BALANCE, str(number), paid))
            debits.append(Entry(AccountKind.RECEIVABLE, str(number), micros - paid))
        entries = (*debits, *settled.credits(currency, month))
        post(connection, Transaction("spend", "", f"{key} {currency} {month}", at_ms, month, currency, "", entries))


def terms_of(
    connection: Connection, advertisers: Iterable[int], currency: str, *, lock: bool = False
) -> dict[int, PaymentTerms]:
    """How advertisers pay; those without terms are left out. Locked in the order of their numbers."""
    terms = PAYMENT_TERMS.c
    found = {}
    for some in chunks(sorted(advertisers)):
        query = (
            select(terms.advertiser_number, terms.terms, terms.credit_limit_micros, terms.revision)
            .where(terms.advertiser_number.in_(some), terms.currency == currency)
            .order_by(terms.advertiser_number)
        )
        for number, kind, limit, revision in connection.execute(query.with_for_update() if lock else query):
            found[number] = PaymentTerms(kind, limit, revision)
    return found


def standings_of(connection: Connection, advertisers: Iterable[int], currency: str) -> dict[int, tuple[int, int, int]]:
    """(paid and not spent, owed, leased by all campaigns in the currency) of each advertiser."""
    wanted = list(advertisers)
    paid: dict[int, int] = {}
    owed: dict[int, int] = {}
    leased: dict[int, int] = {}
    accounts = BALANCE_ACCOUNTS.c
    for some in chunks(wanted):
        rows = connection.execute(
            select(accounts.kind, accounts.owner, accounts.balance_micros).where(
                accounts.owner.in_([str(number) for number in some]),
                accounts.currency == currency,
                accounts.kind.in_([AccountKind.ADVERTISER_BALANCE, AccountKind.RECEIVABLE]),
            )
        )
        for kind, owner, micros in rows:
            if kind == AccountKind.RECEIVABLE:
                owed[int(owner)] = micros
            else:
                paid[int(owner)] = -micros
        leases = (
            select(CAMPAIGNS.c.advertiser_number, func.sum(BUDGET_LEASES.c.micros))
            .select_from(CAMPAIGNS)
            .join(BUDGET_LEASES, BUDGET_LEASES.c.account == CAMPAIGNS.c.number + CAMPAIGN_ACCOUNTS)
            .where(CAMPAIGNS.c.advertiser_number.in_(some), CAMPAIGNS.c.currency == currency)
            .group_by(CAMPAIGNS.c.advertiser_number)
        )
        leased.update((number, int(micros)) for number, micros in connection.execute(leases))
    return {number: (paid.get(number, 0), owed.get(number, 0), leased.get(number, 0)) for number in wanted}


class LeaseCaps:
    """What campaigns may lease of their advertisers' money, while a transaction of leases goes on.

    Campaigns of advertisers with terms take out of one fund each, whose row stays locked until the end.
    """

    def __init__(self, connection: Connection, accounts: Iterable[int]) -> None:
        numbers = [account - CAMPAIGN_ACCOUNTS for account in accounts if account >= CAMPAIGN_ACCOUNTS]
        self._fund_of: dict[int, tuple[int, str]] = {}
        self._left: dict[tuple[int, str], int] = {}
        of = CAMPAIGNS.c
        for some in chunks(numbers):
            rows = connection.execute(
                select(of.number, of.advertiser_number, of.currency)
                .select_from(CAMPAIGNS)
                .join(
                    PAYMENT_TERMS,
                    (PAYMENT_TERMS.c.advertiser_number == of.advertiser_number)
                    & (PAYMENT_TERMS.c.currency == of.currency),
                )
                .where(of.number.in_(some))
            )
            for number, advertiser, currency in rows:
                self._fund_of[CAMPAIGN_ACCOUNTS + number] = (advertiser, currency)
        by_currency: defaultdict[str, set[int]] = defaultdict(set)
        for advertiser, currency in self._fund_of.values():
            by_currency[currency].add(advertiser)
        for currency, advertisers in sorted(by_currency.items()):
            terms = terms_of(connection, advertisers, currency, lock=True)
            for advertiser, standing in standings_of(connection, terms, currency).items():
                left = available(terms[advertiser], *standing)
                if left is not None:
                    self._left[advertiser, currency] = left

    def left(self, account: int) -> int | None:
        """What the account may still lease, in micros; None is no limit of this kind."""
        fund = self._fund_of.get(account)
        return None if fund is None else self._left.get(fund)

    def take(self, account: int, micros: int) -> None:
        """The account leased so much."""
        fund = self._fund_of.get(account)
        if fund in self._left:
            self._left[fund] -= micros


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for each account, without those that come to nothing."""
    sums: defaultdict[tuple[AccountKind, str], int] = defaultdict(int)
    for entry in entries:
        sums[entry.kind, entry.owner] += entry.amount_micros
    return [Entry(kind, owner, micros) for (kind, owner), micros in sorted(sums.items()) if micros]


def _accounts(connection: Connection, keys: Iterable[_KEY], currency: str) -> dict[_KEY, tuple[int, int]]:
    """(number, balance) of each account, opened where there is none; locked in their order."""
    wanted = sorted(set(keys))
    found = _known_accounts(connection, wanted, currency)
    new: list[dict[str, Any]] = [
        {"kind": kind, "owner": owner, "currency": currency, "balance_micros": 0}
        for kind, owner in wanted
        if (kind, owner) not in found
    ]
    if new:
        for row in new:
            insert_once(connection, BALANCE_ACCOUNTS, row)
        found = _known_accounts(connection, wanted, currency)
    return found


def _known_accounts(connection: Connection, wanted: Iterable[_KEY], currency: str) -> dict[_KEY, tuple[int, int]]:
    of = BALANCE_ACCOUNTS.c
    found: dict[_KEY, tuple[int, int]] = {}
    for some in chunks(wanted, 400):
        query = (
            select(of.kind, of.owner, of.number, of.balance_micros)
            .where(tuple_(of.kind, of.owner).in_(some), of.currency == currency)
            .order_by(of.number)
            .with_for_update()
        )
        found.update({(kind, owner): (number, micros) for kind, owner, number, micros in connection.execute(query)})
    return found


def _advertisers(connection: Connection, campaigns: set[int]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for some in chunks(campaigns):
        query = select(CAMPAIGNS.c.number, CAMPAIGNS.c.advertiser_number).where(CAMPAIGNS.c.number.in_(some))
        found.update((number, advertiser) for number, advertiser in connection.execute(query))
    return found


def _other(payer: Payer) -> str:
    # A campaign that is not in the store is owed for all the same: nothing that was billed is lost.
    return f"bidder {payer.bidder}" if payer.bidder else f"campaign {payer.campaign_number}"
