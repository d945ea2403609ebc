"""What a call needs of a budget, and what its answer used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.budgets import rules
from entitlements.budgets.rules import Need, Terms
from entitlements.codes import Code


def terms(unit: str, **more: object) -> Terms:
    values: dict[str, Any] = {
        "key": "k", "kind": "agent", "named": "bot", "unit": unit, "amount": Decimal(100), "seconds": 60, "tool": "",
        "argument": "", "currency": "", "currency_argument": "", "largest": None, **more,
    }  # fmt: skip
    return Terms(**values)


MONEY = terms("money", argument="payment.amount", currency="EUR", currency_argument="payment.currency")


def paid(amount: object, currency: object = "EUR", **more: object) -> dict[str, object]:
    return {"payment": {"amount": amount, "currency": currency, **more}}


def test_a_call_is_one_call_and_an_answer_at_most_its_bound() -> None:
    assert rules.need(terms("calls"), {}) == Need(Decimal(1), Decimal(1))
    assert rules.need(terms("rows", largest=Decimal(50)), {}) == Need(Decimal(1), Decimal(50))


@pytest.mark.parametrize(
    ("amount", "counted"),
    [(12, "12"), (12.5, "12.5"), ("12.50", "12.50"), (0, "0"), (0.00001, "0.0001"), (1e14, "100000000000000")],
)
def test_money_is_the_amount_in_the_arguments_rounded_up(amount: object, counted: str) -> None:
    assert rules.need(MONEY, paid(amount)) == Need(Decimal(counted), Decimal(counted))


@pytest.mark.parametrize(
    "amount",
    [None, True, -1, -0.01, "-2", "1e3", "1,5", " 1", "\u0663", "1.00001", float("nan"), float("inf"), 10**15, [1], {}],
)
def test_what_is_no_amount_is_not_measured(amount: object) -> None:
    assert "no amount of money" in str(rules.need(MONEY, paid(amount)))


def test_an_amount_that_could_be_read_in_two_ways_is_not_measured() -> None:
    assert "no amount" in str(rules.need(MONEY, paid(1, Amount=1000)))
    assert "no amount" in str(rules.need(MONEY, {**paid(1), "PAYMENT": {"amount": 1000}}))


def test_another_currency_is_not_measured() -> None:
    assert "is not EUR" in str(rules.need(MONEY, paid(1, "JPY")))
    assert "is not EUR" in str(rules.need(MONEY, {"payment": {"amount": 1}}))


@given(st.floats(min_value=0, max_value=1e14, allow_nan=False))
def test_no_fraction_is_lost_in_favour_of_the_caller(amount: float) -> None:
    counted = rules.money(amount)
    assert counted is not None
    assert counted >= Decimal(repr(amount))


def test_rows_are_the_length_of_the_named_array() -> None:
    assert rules.rows({"page": {"rows": [1, 2, 3]}}, "page.rows") == 3
    assert rules.rows({"page": {"rows": "abc"}}, "page.rows") is None
    assert rules.rows({"page": {}}, "page.rows") is None


def test_a_budget_is_about_its_tool_and_the_grant_that_covers() -> None:
    of_grant = terms("calls", kind="grant", named="g1")
    assert rules.concerns(of_grant, "read", {"g1"})
    assert not rules.concerns(of_grant, "read", {"g2"})
    assert not rules.concerns(terms("rows", tool="list"), "read", {"g1"})


def test_a_window_of_an_hour_or_less_is_a_rate() -> None:
    assert [terms("calls", seconds=each).code for each in (3600, 3601, None)] == [
        Code.RATE_EXCEEDED, Code.BUDGET_EXHAUSTED, Code.BUDGET_EXHAUSTED,
    ]  # fmt: skip
