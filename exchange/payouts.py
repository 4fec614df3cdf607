"""What is a publisher owed, and what was it paid? Statements by month (UTC) out of the ledger, payouts booked to it.

What a publisher earned is posted to its account as it is billed (exchange/settlement.py); a payout takes it off again,
against the bank. A statement is of now: what is counted late, or refunded, changes the month that it was billed in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

import msgspec

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, PermissionDenied
from common.money import ABSURD_BUDGET_MICROS
from exchange.balances import MAX_REFERENCE_CHARS, AccountKind, Entry, Transaction, month_of
from exchange.campaign_text import check_key, checked_text
from exchange.campaigns import Write
from exchange.invoice_ports import days_of
from exchange.settlement import UNKNOWN_PUBLISHER

PAYOUT: Final = "payout"
_MONTH = re.compile(r"(20\d\d|2100)-(0[1-9]|1[0-2])")


class EarnedLine(msgspec.Struct, frozen=True):
    """What one placement brought in the month: the publisher's part."""

    placement_id: str
    impressions: int
    clicks: int
    conversions: int
    earned_micros: int


class Payout(msgspec.Struct, frozen=True):
    """Money that was sent to a publisher; `number` is the transaction's."""

    number: int
    at_ms: int
    amount_micros: int
    reference: str


class Statement(msgspec.Struct, frozen=True):
    """A publisher's month: `opening_micros` was owed before, `owed_micros` is owed after. Of `made_at_ms`."""

    publisher_id: str
    currency: str
    month: int
    made_at_ms: int
    opening_micros: int
    earned_micros: int
    paid_micros: int
    lines: tuple[EarnedLine, ...]
    payouts: tuple[Payout, ...]

    @property
    def owed_micros(self) -> int:
        """What is owed at the end of the month."""
        return self.opening_micros + self.earned_micros - self.paid_micros


class PayoutUnit(Protocol):
    """One transaction of the store."""

    def owed(self, publisher_id: str, currency: str) -> int:
        """What the publisher is owed now; below zero where refunds came after a payout. Locked while writing."""

    def months(self, publisher_id: str, currency: str) -> list[tuple[int, int, int]]:
        """(month as 202603, earned, paid) of all months that have either, in their order."""

    def lines(self, publisher_id: str, currency: str, first_day: int, beyond: int) -> list[EarnedLine]:
        """What its placements brought on these days (since 1970, UTC), the most first."""

    def payouts(self, publisher_id: str, currency: str, month: int) -> list[Payout]:
        """What was paid in a month, in order."""

    def posted(self, tenant_id: str, idempotency_key: str) -> Transaction | None:
        """The transaction of this key, however long ago."""

    def post(self, transaction: Transaction) -> int:
        """Write it; its number. AssertionError unless it adds up to nothing."""


class PayoutStore(Protocol):
    """Where publishers' accounts are kept: in the ledger, beside all other money."""

    def reading(self) -> AbstractContextManager[PayoutUnit]:
        """One state of everything."""

    def writing(self) -> AbstractContextManager[PayoutUnit]:
        """One transaction: all of it or nothing."""


class Payouts:
    """The use cases. InvalidInput names the fields; a publisher of whom nothing is known has earned nothing."""

    def __init__(self, *, store: PayoutStore, clock: Clock, currency: str) -> None:
        self._store = store
        self._clock = clock
        self._currency = currency

    def statement(self, publisher_id: str, month: str) -> Statement:
        """The month (2026-03; empty is this one) of a publisher."""
        now_ms = self._clock.now_ms()
        wanted = _checked_month(month, now_ms)
        with self._store.reading() as unit:
            return self._statement(unit, publisher_id, wanted, now_ms)

    def record(self, write: Write, micros: int, reference: str) -> tuple[Payout, int]:
        """(the payout, what is owed after it): money was sent to the publisher that the write is for. For operators.

        0 is all that is owed, and more is refused. The key is kept for ever: the same said again changes nothing.
        """
        if write.caller.role != "operator":
            raise PermissionDenied("payouts are booked by operators: use the API key of one")
        errors: list[FieldError] = []
        if not 0 <= micros <= ABSURD_BUDGET_MICROS:
            remedy = f"give 1 to {ABSURD_BUDGET_MICROS} micros, or 0 for all that is owed"
            errors.append(FieldError("amount_micros", f"is {micros}", remedy))
        if write.tenant_id == UNKNOWN_PUBLISHER:
            errors.append(
                FieldError("tenant_id", f"is {UNKNOWN_PUBLISHER!r}", "name a publisher: nobody gets this money")
            )
        reference = checked_text("reference", reference, MAX_REFERENCE_CHARS, errors)
        if not reference:
            errors.append(FieldError("reference", "is empty", "say what the bank calls it"))
        check_key("idempotency_key", write.idempotency_key, errors)
        if errors:
            raise InvalidInput(errors)
        now_ms = self._clock.now_ms()
        with self._store.writing() as unit:
            owed = unit.owed(write.tenant_id, self._currency)
            said = unit.posted(write.tenant_id, write.idempotency_key)
            if said is not None:
                return _again(said, write, micros, reference), owed
            amount = micros or owed
            if not 0 < amount <= owed:
                remedy = f"give 1 to {owed} micros, what is owed" if owed > 0 else "nothing is owed"
                raise InvalidInput([FieldError("amount_micros", f"is {micros}", remedy)])
            entries = (
                Entry(AccountKind.PUBLISHER_PAYABLE, write.tenant_id, amount),
                Entry(AccountKind.CASH, "", -amount),
            )
            number = unit.post(
                Transaction(
                    PAYOUT, write.tenant_id, write.idempotency_key, now_ms, month_of(now_ms), self._currency, reference,
                    entries,
                )
            )  # fmt: skip
            return Payout(number, now_ms, amount, reference), owed - amount

    def _statement(self, unit: PayoutUnit, publisher_id: str, month: int, now_ms: int) -> Statement:
        months = unit.months(publisher_id, self._currency)
        first_day, beyond = days_of(month)
        return Statement(
            publisher_id=publisher_id,
            currency=self._currency,
            month=month,
            made_at_ms=now_ms,
            opening_micros=sum(earned - paid for of, earned, paid in months if of < month),
            earned_micros=_of(months, month)[0],
            paid_micros=_of(months, month)[1],
            lines=tuple(unit.lines(publisher_id, self._currency, first_day, beyond)),
            payouts=tuple(unit.payouts(publisher_id, self._currency, month)),
        )


def _of(months: Sequence[tuple[int, int, int]], month: int) -> tuple[int, int]:
    return next(((earned, paid) for of, earned, paid in months if of == month), (0, 0))


def _again(said: Transaction, write: Write, micros: int, reference: str) -> Payout:
    """What was booked under this key; Conflict when it was something else."""
    paid = {entry.kind: entry.amount_micros for entry in said.entries}.get(AccountKind.PUBLISHER_PAYABLE, 0)
    if said.kind != PAYOUT or said.reference != reference or micros not in (0, paid):
        remedy = "give every payout a key of its own"
        raise Conflict(f"idempotency key {write.idempotency_key!r} was used for another payout: {remedy}")
    return Payout(0, said.at_ms, paid, said.reference)


def _checked_month(text: str, now_ms: int) -> int:
    if not text:
        return month_of(now_ms)
    if not _MONTH.fullmatch(text):
        raise InvalidInput([FieldError("month", repr(text[:20]), "give a month as 2026-03")])
    month = int(text.replace("-", ""))
    if month > month_of(now_ms):
        raise InvalidInput(
            [FieldError("month", f"{text} is not over, nor has it begun", "give this month or an earlier")]
        )
    return month
