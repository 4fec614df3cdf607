"""Who has money here, and who owes? Balances of advertisers, over a ledger of double entries.

Debits are above zero, credits below; every transaction adds up to nothing in its currency. An advertiser pays before
(its campaigns lease no more than its balance) or later (up to a credit limit). One without terms pays later without
limit, and what it spends is posted all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date
from enum import IntEnum, StrEnum
from typing import Protocol

import msgspec

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, NotFound, PermissionDenied
from common.money import ABSURD_BUDGET_MICROS
from exchange.campaign_pages import Page, asked_page
from exchange.campaign_text import check_key, checked_text
from exchange.campaigns import Write

MAX_REFERENCE_CHARS = 200
_EPOCH = date(1970, 1, 1).toordinal()


class Terms(IntEnum):
    """When an advertiser pays; numbers of haat.billing.v1.Terms."""

    PREPAID = 1
    POSTPAID = 2


class Towards(IntEnum):
    """What a payment is for; numbers of haat.billing.v1.Towards. Unsaid, it goes where the terms send it."""

    UNSAID = 0
    BALANCE = 1
    OWED = 2


class AccountKind(StrEnum):
    """What an account of the ledger stands for; each has an owner where there are several."""

    CASH = "cash"
    # What was paid before and is not spent: a debt to the advertiser, so it is zero or below.
    ADVERTISER_BALANCE = "advertiser_balance"
    # What an advertiser or an outside bidder has spent or been billed and not paid.
    RECEIVABLE = "receivable"
    PUBLISHER_PAYABLE = "publisher_payable"
    MARGIN = "exchange_margin"
    VAT_PAYABLE = "vat_payable"


class Entry(msgspec.Struct, frozen=True):
    """One side of a transaction; `owner` is an advertiser's number, a publisher or a bidder, as text."""

    kind: AccountKind
    owner: str
    amount_micros: int


class Transaction(msgspec.Struct, frozen=True):
    """Entries that happen together and once: `tenant_id` and `idempotency_key` name it for ever."""

    kind: str
    tenant_id: str
    idempotency_key: str
    at_ms: int
    month: int
    currency: str
    reference: str
    entries: tuple[Entry, ...]


class PaymentTerms(msgspec.Struct, frozen=True):
    """How one advertiser pays in one currency; a credit limit of 0 is none, and prepaid has none."""

    terms: int
    credit_limit_micros: int = 0
    revision: int = 0


class Balance(msgspec.Struct, frozen=True):
    """How an advertiser stands, in micros.

    `balance_micros` is paid and not spent, `owed_micros` spent and not paid, `leased_micros` what its campaigns may
    spend at this moment, `available_micros` what they may still lease: unlimited reads as -1.
    """

    advertiser_id: str
    currency: str
    terms: int
    credit_limit_micros: int
    balance_micros: int
    owed_micros: int
    leased_micros: int
    available_micros: int
    revision: int


class Posting(msgspec.Struct, frozen=True):
    """One line of an advertiser's account; `balance_after_micros` is the account's after it."""

    number: int
    transaction: int
    kind: str
    account: str
    amount_micros: int
    balance_after_micros: int
    currency: str
    at_ms: int
    reference: str


class AccountSum(msgspec.Struct, frozen=True):
    """One line of the trial balance: all accounts of a kind together."""

    account: str
    currency: str
    balance_micros: int


class BalanceUnit(Protocol):
    """One transaction of the store."""

    def advertiser(self, tenant_id: str, advertiser_id: str) -> int | None:
        """Its number; None when it is unknown or another tenant's."""

    def first_time(self, tenant_id: str, idempotency_key: str, method: str, digest: str, at_ms: int) -> bool:
        """False when this write was done before; Conflict when its key was used for another."""

    def terms(self, advertiser: int, currency: str) -> PaymentTerms | None:
        """How it pays; locked until the transaction ends."""

    def set_terms(self, advertiser: int, currency: str, terms: PaymentTerms) -> None:
        """Pay like this from now on."""

    def standing(self, advertiser: int, currency: str) -> tuple[int, int, int]:
        """(paid and not spent, owed, leased by its campaigns)."""

    def posted(self, tenant_id: str, idempotency_key: str) -> Transaction | None:
        """The transaction of this key, however long ago."""

    def post(self, transaction: Transaction) -> int:
        """Write it; its number. AssertionError unless it adds up to nothing."""

    def funded(self, advertiser: int, currency: str, by_transaction: int) -> None:
        """From now on alerts measure by what is there now."""

    def postings(self, advertiser: int, currency: str, after_number: int, limit: int) -> list[Posting]:
        """The lines of its accounts, oldest first."""

    def trial_balance(self) -> list[AccountSum]:
        """All accounts, by kind and currency."""

    def changed(self, tenant_id: str, advertiser_id: str, at_ms: int) -> None:
        """Tell whoever leases for its campaigns to look again."""


class BalanceStore(Protocol):
    """Where balances are kept, beside the budgets that are leased out of them."""

    def reading(self) -> AbstractContextManager[BalanceUnit]:
        """One state of everything."""

    def writing(self) -> AbstractContextManager[BalanceUnit]:
        """One transaction: all of it or nothing."""


class Balances:
    """The use cases. InvalidInput names the fields, NotFound hides what is another tenant's."""

    def __init__(self, *, store: BalanceStore, clock: Clock, currency: str) -> None:
        self._store = store
        self._clock = clock
        self._currency = currency

    def set_terms(
        self, write: Write, advertiser_id: str, currency: str, terms: int, credit_limit_micros: int
    ) -> Balance:
        """From now on an advertiser pays before or later; sent again it changes nothing. For operators."""
        _require_operator(write, "payment terms are set")
        errors: list[FieldError] = []
        currency = self._checked_currency(currency, errors)
        if terms not in list(Terms):
            errors.append(FieldError("terms", f"is {terms}", "choose prepaid or postpaid"))
        if not 0 <= credit_limit_micros <= ABSURD_BUDGET_MICROS:
            remedy = f"give 0 (no limit) to {ABSURD_BUDGET_MICROS} micros"
            errors.append(FieldError("credit_limit_micros", f"is {credit_limit_micros}", remedy))
        elif credit_limit_micros and terms == Terms.PREPAID:
            errors.append(FieldError("credit_limit_micros", "is set", "leave it 0: a prepaid advertiser has no credit"))
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.writing() as unit:
            number = _advertiser(unit, write.tenant_id, advertiser_id)
            digest = hashlib.sha256(
                f"{advertiser_id} {currency} {terms} {credit_limit_micros}".encode("utf-8", "surrogatepass")
            ).hexdigest()
            now_ms = self._clock.now_ms()
            if not unit.first_time(write.tenant_id, write.idempotency_key, "SetTerms", digest, now_ms):
                return _balance(unit, number, advertiser_id, currency)
            before = unit.terms(number, currency)
            wanted = PaymentTerms(terms, credit_limit_micros, (before.revision if before else 0) + 1)
            if before is None or (before.terms, before.credit_limit_micros) != (terms, credit_limit_micros):
                unit.set_terms(number, currency, wanted)
                unit.funded(number, currency, 0)
                unit.changed(write.tenant_id, advertiser_id, now_ms)
            return _balance(unit, number, advertiser_id, currency)

    def top_up(
        self, write: Write, advertiser_id: str, currency: str, micros: int, reference: str, towards: int = 0
    ) -> Balance:
        """A payment came in. An advertiser without terms becomes a prepaid one by its first. For operators.

        The key is kept for ever: the same payment said again, a year later, changes nothing.
        """
        _require_operator(write, "payments are booked")
        errors: list[FieldError] = []
        currency = self._checked_currency(currency, errors)
        if not 0 < micros <= ABSURD_BUDGET_MICROS:
            errors.append(FieldError("amount_micros", f"is {micros}", f"give 1 to {ABSURD_BUDGET_MICROS} micros"))
        if towards not in list(Towards):
            errors.append(FieldError("towards", f"is {towards}", "choose balance or owed, or leave it out"))
        reference = checked_text("reference", reference, MAX_REFERENCE_CHARS, errors)
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        now_ms = self._clock.now_ms()
        with self._store.writing() as unit:
            number = _advertiser(unit, write.tenant_id, advertiser_id)
            terms = unit.terms(number, currency)
            said = unit.posted(write.tenant_id, write.idempotency_key)
            if terms is None and said is None and towards != Towards.OWED:
                terms = PaymentTerms(Terms.PREPAID, 0, 1)
                unit.set_terms(number, currency, terms)
            prepaid = terms is not None and terms.terms == Terms.PREPAID
            to_balance = towards == Towards.BALANCE or (towards == Towards.UNSAID and prepaid)
            if to_balance and not prepaid and said is None:
                remedy = "set its terms to prepaid first, or book towards what it owes"
                raise InvalidInput([FieldError("towards", "is balance, and the advertiser pays later", remedy)])
            kind = AccountKind.ADVERTISER_BALANCE if to_balance else AccountKind.RECEIVABLE
            entries = (Entry(AccountKind.CASH, "", micros), Entry(kind, str(number), -micros))
            wanted = Transaction(
                "payment",
                write.tenant_id,
                write.idempotency_key,
                now_ms,
                month_of(now_ms),
                currency,
                reference,
                entries,
            )
            if said is None:
                posted = unit.post(wanted)
                if terms is not None:
                    unit.funded(number, currency, posted)
                unit.changed(write.tenant_id, advertiser_id, now_ms)
            elif not _same_payment(said, wanted):
                remedy = "give every payment a key of its own"
                raise Conflict(f"idempotency key {write.idempotency_key!r} was used for another payment: {remedy}")
            return _balance(unit, number, advertiser_id, currency)

    def balance(self, tenant_id: str, advertiser_id: str, currency: str) -> Balance:
        """How an advertiser stands."""
        errors: list[FieldError] = []
        currency = self._checked_currency(currency, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            return _balance(unit, _advertiser(unit, tenant_id, advertiser_id), advertiser_id, currency)

    def postings(
        self, tenant_id: str, advertiser_id: str, currency: str, page_size: int = 0, page_token: str = ""
    ) -> Page[Posting]:
        """The lines of an advertiser's accounts, oldest first."""
        errors: list[FieldError] = []
        currency = self._checked_currency(currency, errors)
        asked = asked_page(f"postings {advertiser_id} {currency}", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        with self._store.reading() as unit:
            number = _advertiser(unit, tenant_id, advertiser_id)
            return asked.cut(lambda after, limit: unit.postings(number, currency, after, limit))

    def trial_balance(self) -> list[AccountSum]:
        """All accounts by kind; the sums of a currency come to nothing."""
        with self._store.reading() as unit:
            return unit.trial_balance()

    def _checked_currency(self, currency: str, errors: list[FieldError]) -> str:
        currency = currency or self._currency
        if currency != self._currency:
            errors.append(FieldError("currency", f"is {currency[:10]!r}", f"this exchange trades in {self._currency}"))
        return currency


def month_of(at_ms: int) -> int:
    """The month (UTC) that something is billed in, as 202603."""
    return month_of_day(at_ms // 86_400_000)


def month_of_day(day: int) -> int:
    """The month of a day (days since 1970, UTC), as 202603."""
    on = date.fromordinal(_EPOCH + day)
    return on.year * 100 + on.month


def adds_up(entries: Sequence[Entry]) -> bool:
    """Do debits and credits come to nothing?"""
    return sum(entry.amount_micros for entry in entries) == 0


def available(terms: PaymentTerms | None, balance_micros: int, owed_micros: int, leased_micros: int) -> int | None:
    """What campaigns may still lease, in micros, 0 and more; None is without limit."""
    if terms is None or (terms.terms == Terms.POSTPAID and not terms.credit_limit_micros):
        return None
    fund = balance_micros if terms.terms == Terms.PREPAID else terms.credit_limit_micros - owed_micros
    return max(fund - leased_micros, 0)


def _balance(unit: BalanceUnit, number: int, advertiser_id: str, currency: str) -> Balance:
    terms = unit.terms(number, currency)
    balance, owed, leased = unit.standing(number, currency)
    left = available(terms, balance, owed, leased)
    return Balance(
        advertiser_id=advertiser_id,
        currency=currency,
        terms=terms.terms if terms else Terms.POSTPAID,
        credit_limit_micros=terms.credit_limit_micros if terms else 0,
        balance_micros=balance,
        owed_micros=owed,
        leased_micros=leased,
        available_micros=-1 if left is None else left,
        revision=terms.revision if terms else 0,
    )


def _same_payment(said: Transaction, wanted: Transaction) -> bool:
    return (said.kind, said.currency, {e.owner: e.amount_micros for e in said.entries}) == (
        wanted.kind,
        wanted.currency,
        {e.owner: e.amount_micros for e in wanted.entries},
    )


def _advertiser(unit: BalanceUnit, tenant_id: str, advertiser_id: str) -> int:
    if not advertiser_id:
        raise InvalidInput([FieldError("advertiser_id", "is empty", "name the advertiser")])
    number = unit.advertiser(tenant_id, advertiser_id)
    if number is None:
        raise NotFound(f"the tenant has no advertiser {advertiser_id[:40]!r}: operators give another tenant_id")
    return number


def _require_operator(write: Write, what: str) -> None:
    if write.caller.role != "operator":
        raise PermissionDenied(f"{what} by operators: use the API key of one")
