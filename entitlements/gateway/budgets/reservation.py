"""What one call reserves of its budgets before it is forwarded, and what it gives back.

A call that was surely not carried out gives all back. One that may have been keeps what it reserved, but for what its
answer did not use. An answer that is larger than what is reserved is not passed on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from entitlements.budgets import in_force, rules
from entitlements.budgets.leases import Exhausted, Share
from entitlements.budgets.left import Shortfall
from entitlements.budgets.rules import Need, Terms
from entitlements.codes import Code
from entitlements.decisions.snapshot import Call
from entitlements.decisions.verdicts import Verdict
from entitlements.gateway.budgets.measure import Measure, ReadAnswer, unmeasured
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Refused


class TooLarge(Refused):
    """The answer of a call that was carried out is larger than what is left of a budget for it."""

    def __init__(self, terms: Terms, sentence: str) -> None:
        super().__init__(Code.ANSWER_OVER_BUDGET, sentence, data={"certain": False, "budget": terms.key})


@dataclass(slots=True)
class Spending:
    """What one call takes of its budgets."""

    node: Node
    about: CallDetails
    is_answer_alone: bool = False
    """Whether the call itself was counted before, and only what is answered now is to be counted."""
    _shares: Sequence[Share] = ()
    _bytes: int = 0

    async def take(self, call: Call, verdict: Verdict) -> Shortfall | None:
        """Reserve for a call that is allowed; return the budget that has too little left. Raises Closed."""
        self.give_back()
        return await self._reserve(call, await self._concerning(call, verdict))

    async def take_more(self, call: Call, verdict: Verdict) -> Shortfall | None:
        """Reserve for a call that is decided again between two tries as `take` does, but of no budget twice.

        A call counts once, however often the system asks its client for input.
        """
        held = {share.terms.key for share in self._shares}
        terms = [terms for terms in await self._concerning(call, verdict) if terms.key not in held]
        return await self._reserve(call, terms)

    async def _reserve(self, call: Call, terms: Sequence[Terms]) -> Shortfall | None:
        if not terms:
            return None
        needs: list[tuple[Terms, Need]] = []
        for each in terms:
            need = rules.need(each, call.arguments)
            if isinstance(need, str):
                return Shortfall(each, Code.BUDGET_NOT_MEASURABLE, need)
            needs.append((each, need))
        answer = await self.node.budgets.reserve(needs)
        if isinstance(answer, Exhausted):
            return Shortfall(answer.terms, answer.terms.code, seconds=answer.seconds)
        self._shares = (*self._shares, *answer)
        return None

    @property
    def measure(self) -> Measure:
        """What looks at the answer before it is passed on."""
        is_about_answers = any(share.terms.largest is not None for share in self._shares)
        return self._measure if is_about_answers else unmeasured

    def give_back(self) -> None:
        """Give back all: the call was surely not carried out."""
        shares, self._shares = self._shares, ()
        if shares:
            self.node.budgets.give_back(shares)

    def close(self, *, was_sent: bool) -> None:
        """Give back what is still reserved, unless the system may have seen the call."""
        if not was_sent:
            self.give_back()

    async def _concerning(self, call: Call, verdict: Verdict) -> list[Terms]:
        """Return the budgets that are about a call, or about its answer alone."""
        found = await in_force.concerning(self.node.reads(), call, verdict)
        return [terms for terms in found if terms.largest is not None or not self.is_answer_alone]

    def _measure(self, size: int, read: ReadAnswer | None) -> None:
        """Count what is about to be passed on, and give back what an answer did not use. Raises TooLarge."""
        self._bytes += size
        used: list[Decimal] = []
        for share in self._shares:
            used.append(self._used(share, read))
            if used[-1] > share.amount:
                raise TooLarge(share.terms, f"The answer is larger than what the budget allows. {share.terms.sentence}")
        if read is not None:
            rest = [
                replace(share, amount=share.amount - spent) for share, spent in zip(self._shares, used, strict=True)
            ]
            self._shares = ()
            self.node.budgets.give_back(rest)

    def _used(self, share: Share, read: ReadAnswer | None) -> Decimal:
        terms = share.terms
        if terms.unit == rules.BYTES:
            return Decimal(self._bytes)
        if terms.unit != rules.ROWS:
            return share.amount
        if read is None or (answer := read()) is None:
            return Decimal(0)
        count = rules.rows(answer, terms.argument)
        if count is None:
            raise TooLarge(terms, f"The answer has no array {terms.argument}, whose rows the budget counts.")
        return Decimal(count)
