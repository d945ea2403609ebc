"""What a call needs of a budget, and what its answer used. Pure.

Money is counted in ten-thousandths and rounded up, so that no fraction is lost in favour of the caller.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from entitlements.codes import Code
from entitlements.decisions.limits import fold

CALLS, BYTES, ROWS, MONEY = "calls", "bytes", "rows", "money"
LONGEST_RATE: Final = 3600
"""Seconds: a budget whose window is no longer than this is a rate."""
ONE: Final = Decimal(1)
_SMALLEST: Final = Decimal("0.0001")
_LARGEST: Final = Decimal(10) ** 15
_AMOUNT: Final = re.compile(r"(0|[1-9]\d{0,14})(\.\d{1,4})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """One budget in force. `kind` and `named` say what it is for: a grant, an agent or a system."""

    key: str
    kind: str
    named: str
    unit: str
    amount: Decimal
    seconds: int | None
    tool: str
    argument: str
    currency: str
    currency_argument: str
    largest: Decimal | None

    @property
    def code(self) -> Code:
        """The code of a call for which too little is left."""
        return (
            Code.RATE_EXCEEDED if self.seconds is not None and self.seconds <= LONGEST_RATE else Code.BUDGET_EXHAUSTED
        )

    @property
    def sentence(self) -> str:
        """Say which budget it is."""
        amount = f"{self.amount.normalize():f} {self.currency or self.unit}"
        window = "for as long as it lasts" if self.seconds is None else f"in each window of {self.seconds} seconds"
        return f"The {self.kind} {self.named} has a budget of {amount} {window}."


@dataclass(frozen=True, slots=True)
class Need:
    """What is reserved before a call is forwarded: `wanted`, or what is left if that is `least` or more."""

    least: Decimal
    wanted: Decimal


LEAST: Final = Need(_SMALLEST, _SMALLEST)
"""What there is left of each budget that is not used up."""


def concerns(terms: Terms, tool: str, grants: Collection[str]) -> bool:
    """Say whether a budget is about a call of a tool that these grants cover."""
    return terms.tool in ("", tool) and (terms.kind != "grant" or terms.named in grants)


def need(terms: Terms, arguments: Mapping[str, object]) -> Need | str:
    """Return what a call needs of a budget, or in a sentence why that cannot be said."""
    if terms.unit == CALLS:
        return Need(ONE, ONE)
    if terms.largest is not None:
        return Need(ONE, terms.largest)
    amount = money(at(arguments, terms.argument))
    if amount is None:
        return f"The argument {terms.argument} is no amount of money from 0 up, with four decimal places at most."
    if terms.currency_argument and at(arguments, terms.currency_argument) != terms.currency:
        return f"The argument {terms.currency_argument} is not {terms.currency}, the currency of the budget."
    return Need(amount, amount)


def money(value: object) -> Decimal | None:
    """Return an amount: a number, or a text of digits with at most one point; None for all else, and below 0."""
    if isinstance(value, str):
        return Decimal(value) if _AMOUNT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    amount = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    if not amount.is_finite() or not 0 <= amount < _LARGEST:
        return None
    return amount.quantize(_SMALLEST, ROUND_CEILING)


def rows(structured: object, path: str) -> int | None:
    """Return how many rows the array at a path holds; None where there is no array."""
    found = at(structured, path)
    return len(found) if isinstance(found, list) else None


def at(value: object, path: str) -> object:
    """Return what lies at a path of names, joined by dots; None where nothing does.

    A name that occurs again in another case or form is nothing: a system might read the other one.
    """
    for step in path.split("."):
        if not isinstance(value, Mapping) or sum(fold(name) == fold(step) for name in value) != 1:
            return None
        value = value.get(step)
    return value
