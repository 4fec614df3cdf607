from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from common.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from exchange.balances import Balance
from exchange.invoice_pdf import invoice_pdf
from exchange.invoice_ports import CREDIT_NOTE, Invoice, InvoiceLine, Party, days_of
from exchange.invoices import TAKEN_BACK, InvoiceAsked
from tests.money_worlds import MoneyWorld, money_world

pytestmark = pytest.mark.on_every_database

# The stepped clock of a world begins in November 2023.
MONTH = "2023-11"
MONTH_MS = 31 * 86_400_000


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


def issue(money: MoneyWorld, key: str = "", **changes: object) -> Invoice:
    asked = InvoiceAsked(advertiser_id=money.advertiser_id, currency="", month=MONTH)
    return money.invoices.issue(money.operator(key), replace(asked, **changes))


def balance_of(money: MoneyWorld) -> Balance:
    return money.balances.balance(money.world.tenant_a, money.advertiser_id, "")


def sums(money: MoneyWorld) -> dict[str, int]:
    return {line.account: line.balance_micros for line in money.balances.trial_balance()}


def test_an_invoice_lists_what_the_ledger_has(money: MoneyWorld) -> None:
    other = money.world.a_line_item(money.campaign, money.creative)
    money.spend(1_234)
    money.spend(0, kind=2)
    money.world.clock.step(MONTH_MS)

    invoice = issue(money)

    assert invoice.invoice_number == "INV-2023-000001"
    assert [(line.line_item_id, line.impressions, line.clicks, line.amount_micros) for line in invoice.lines] == [
        (money.item.line_item_id, 1, 1, 1_234)
    ]
    assert other.line_item_id not in {line.line_item_id for line in invoice.lines}
    assert invoice.net_micros == invoice.total_micros == balance_of(money).owed_micros == 1_234


def test_what_comes_late_is_on_the_next_invoice_of_the_month_and_nothing_twice(money: MoneyWorld) -> None:
    money.spend(1_000)
    first = issue(money, interim=True)
    money.spend(234)
    second = issue(money, interim=True)

    assert (first.net_micros, second.net_micros) == (1_000, 234)
    assert second.invoice_number == "INV-2023-000002"
    with pytest.raises(Conflict, match="nothing"):
        issue(money, interim=True)


def test_what_cost_nothing_waits_for_an_invoice_with_an_amount(money: MoneyWorld) -> None:
    money.spend(0, kind=2)
    with pytest.raises(Conflict, match="nothing"):
        issue(money, interim=True)
    money.spend(500)
    invoice = issue(money, interim=True)

    assert [(line.impressions, line.clicks, line.amount_micros) for line in invoice.lines] == [(1, 1, 500)]
    assert invoice.invoice_number == "INV-2023-000001"


def test_what_is_taken_back_after_it_was_billed_comes_on_a_credit_note_and_once(money: MoneyWorld) -> None:
    money.spend(1_000)
    billed = issue(money, interim=True, vat_percent="19")
    money.spend(-400)
    money.spend(100)

    back = issue(money, interim=True, vat_percent="19")

    assert (back.kind, back.invoice_number) == (CREDIT_NOTE, "CN-2023-000001")
    assert (back.of_invoice_id, back.of_invoice_number) == (billed.invoice_id, billed.invoice_number)
    assert (back.net_micros, back.vat_micros, back.reason) == (-300, -57, TAKEN_BACK)
    assert balance_of(money).owed_micros == billed.total_micros + back.total_micros == 833
    assert invoice_pdf(back).startswith(b"%PDF")
    with pytest.raises(Conflict, match="nothing"):
        issue(money, interim=True)
    money.spend(50)
    assert issue(money, interim=True).net_micros == 50


def test_numbers_have_no_gaps_whatever_fails_and_whoever_hurries(money: MoneyWorld) -> None:
    for _ in range(3):
        with pytest.raises(Conflict):
            issue(money, interim=True)

    def one(at: int) -> str:
        other = money.world.an_advertiser(domain=f"brand{at}.example")
        campaign, creative = money.world.a_campaign(other), money.world.a_creative(other)
        item = money.world.a_line_item(campaign, creative)
        from exchange.ports import Spend

        offset = money.world.ledger.counted_upto()
        spend = Spend(item.number, campaign.number, 10, money.world.clock.now_ms(), 1, 1, "EUR")
        money.world.ledger.settle("a", [spend], offset + 1)
        return other.advertiser_id

    ids = [one(at) for at in range(6)]
    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(lambda id: issue(money, advertiser_id=id, interim=True).invoice_number, ids))

    assert sorted(numbers) == [f"INV-2023-{n:06d}" for n in range(1, 7)]


def test_the_same_issue_sent_again_answers_the_same_for_ever(money: MoneyWorld) -> None:
    money.spend(1_000)
    first = issue(money, "key", interim=True)

    assert issue(money, "key", interim=True) == first
    with pytest.raises(Conflict, match="another request"):
        issue(money, "key", interim=True, vat_percent="19")


def test_vat_is_owed_beside_and_posted(money: MoneyWorld) -> None:
    money.spend(1_000)

    invoice = issue(money, interim=True, vat_percent="7.7")

    assert (invoice.vat_micros, invoice.total_micros) == (77, 1_077)
    assert balance_of(money).owed_micros == 1_077
    assert sums(money)["vat_payable"] == -77
    assert sum(sums(money).values()) == 0


def test_a_credit_note_gives_back_to_the_balance_and_takes_its_part_of_the_vat(money: MoneyWorld) -> None:
    money.pay(10_000)
    money.spend(1_000)
    invoice = issue(money, interim=True, vat_percent="19")

    part = money.invoices.credit(money.operator("c1"), invoice.invoice_id, 333, "Invalid clicks")
    again = money.invoices.credit(money.operator("c1"), invoice.invoice_id, 333, "Invalid clicks")
    rest = money.invoices.credit(money.operator(), invoice.invoice_id, 0, "The rest")

    assert part == again
    assert (part.invoice_number, rest.invoice_number) == ("CN-2023-000001", "CN-2023-000002")
    assert (part.net_micros, rest.net_micros) == (-333, -667)
    assert part.vat_micros + rest.vat_micros == -190
    assert sum(line.amount_micros for line in rest.lines) == -667
    assert (balance_of(money).balance_micros, balance_of(money).owed_micros) == (10_000, 0)
    assert sum(sums(money).values()) == 0
    with pytest.raises(InvalidInput, match="nothing is left"):
        money.invoices.credit(money.operator(), invoice.invoice_id, 1, "More")
    with pytest.raises(InvalidInput, match="is a credit note"):
        money.invoices.credit(money.operator(), part.invoice_id, 1, "Of a credit note")


def test_a_month_that_is_not_over_is_billed_only_when_asked_for(money: MoneyWorld) -> None:
    money.spend(1_000)

    for month, remedy in ((MONTH, "interim"), ("2023-12", "when it is over")):
        with pytest.raises(InvalidInput, match=remedy):
            issue(money, month=month)


def test_spend_is_billed_in_its_own_month(money: MoneyWorld) -> None:
    money.spend(1_000)
    money.world.clock.step(MONTH_MS)
    money.spend(50)

    assert issue(money).net_micros == 1_000
    assert issue(money, month="2023-12", interim=True).net_micros == 50


def test_everything_wrong_is_named(money: MoneyWorld) -> None:
    with pytest.raises(InvalidInput) as caught:
        issue(
            money, month="2023-13", currency="USD", advertiser_id="", vat_percent="NaN",
            issuer=Party("x" * 201, ("a",) * 7),
        )  # fmt: skip

    fields = [error.field for error in caught.value.errors]
    assert fields == ["month", "vat_percent", "currency", "advertiser_id", "issuer.address", "issuer.name"]


@pytest.mark.parametrize("vat", ["-1", "101", "1e999999", "0.00001", "sNaN", "Infinity", "1_0" * 9, "x"])
def test_rates_of_vat_that_make_no_sense_are_refused(money: MoneyWorld, vat: str) -> None:
    money.spend(1_000)

    with pytest.raises(InvalidInput) as caught:
        issue(money, interim=True, vat_percent=vat)

    assert [error.field for error in caught.value.errors] == ["vat_percent"]


def test_invoices_are_the_tenants_own_and_come_in_pages(money: MoneyWorld) -> None:
    made = []
    for _ in range(3):
        money.spend(10)
        made.append(issue(money, interim=True).invoice_id)

    first = money.invoices.invoices(money.world.tenant_a, "", 2)
    second = money.invoices.invoices(money.world.tenant_a, "", 2, first.next_page_token)

    assert [invoice.invoice_id for invoice in [*first.items, *second.items]] == made
    assert money.invoices.invoices(money.world.tenant_b).items == []
    with pytest.raises(NotFound):
        money.invoices.invoice(money.world.tenant_b, made[0])
    with pytest.raises(NotFound):
        money.invoices.invoices(money.world.tenant_b, money.advertiser_id)
    with pytest.raises(PermissionDenied):
        money.invoices.issue(money.world.write(), InvoiceAsked(money.advertiser_id, "", MONTH))


@pytest.mark.slow
def test_the_document_is_the_same_each_time_and_holds_any_name(money: MoneyWorld) -> None:
    money.spend(1_000)
    invoice = issue(money, interim=True, vat_percent="19", recipient=Party("ঢাকা চেয়ার", ("Straße 1",) * 6, "X"))

    assert invoice_pdf(invoice) == invoice_pdf(invoice)
    assert invoice_pdf(invoice).startswith(b"%PDF-")


@pytest.mark.slow
def test_a_long_invoice_has_pages(money: MoneyWorld) -> None:
    money.spend(1_000)
    invoice = issue(money, interim=True)
    line = invoice.lines[0]
    lines = tuple(
        InvoiceLine(n, f"c{n // 3}", "x" * 200, f"l{n}", "y" * 200, 10**12, n, n, 10**15 + n) for n in range(120)
    )

    pdf = invoice_pdf(replace(invoice, lines=(line, *lines)))

    assert pdf.count(b"/Type /Page\n") >= 4


def test_a_months_days_are_those_of_the_calendar() -> None:
    assert [beyond - first for first, beyond in map(days_of, (202402, 202302, 202312))] == [29, 28, 31]
