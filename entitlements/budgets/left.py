"""What is left of budgets, asked without taking anything of it: for calls as well as for questions about them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final

from entitlements import codes
from entitlements.budgets import in_force, rules
from entitlements.budgets.rules import Terms
from entitlements.codes import Code
from entitlements.decisions import policy
from entitlements.decisions.reads import Reads
from entitlements.decisions.snapshot import AgentFacts, Call
from entitlements.decisions.verdicts import Effect, Reason, Remedy, Verdict

LEFT: Final = """
SELECT b.id::text,
       CASE WHEN u.began + make_interval(secs => b.window_seconds) <= clock_timestamp()
            THEN b.amount ELSE b.amount - u.taken END,
       b.window_seconds - mod(extract(epoch FROM clock_timestamp()), b.window_seconds)
FROM entitlements_budget b JOIN entitlements_budgetuse u ON u.budget_id = b.id WHERE b.id = ANY(%s::uuid[])
"""
"""Of each budget what is left in its present window, and in how many seconds that ends: null where it never does."""
_NOTHING: Final = Decimal(0)

type Rule = Callable[[Call, AgentFacts, float], Verdict]
type Decide = Callable[[Rule], Awaitable[Verdict]]
"""Asks a rule about a call."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A budget of which too little is left for a call; `why` says so where it is not that. `seconds`: until it ends."""

    terms: Terms
    code: Code
    why: str = ""
    seconds: float | None = None

    @property
    def verdict(self) -> Verdict:
        """The denial."""
        meaning, terms = codes.meaning(self.code), self.terms
        reason = Reason(self.code, self.why or terms.sentence, terms.named if terms.kind == "grant" else None)
        wait = None if self.seconds is None else max(1, math.ceil(self.seconds))
        remedy = Remedy(meaning.next, meaning.sentence, retry_after=wait)
        return Verdict(Effect.DENY, self.code, (reason,), remedy=remedy)


def nothing_held(key: str) -> Decimal:  # noqa: ARG001 - as nodes ask it
    """Return what a process holds of a budget that leases none."""
    return _NOTHING


@dataclass(slots=True)
class Left:
    """What is left of budgets at one moment; each is read once. `held` is what this node has leased of one."""

    reads: Reads
    held: Callable[[str], Decimal] = nothing_held
    _known: dict[str, tuple[Decimal, float | None]] = field(default_factory=dict)

    async def shortfall(self, call: Call, verdict: Verdict) -> Shortfall | None:
        """Return the first budget that denies an allowed call; any such call, where no arguments are stated.

        Raises Closed.
        """
        if not verdict.allowed or not (terms := await in_force.concerning(self.reads, call, verdict)):
            return None
        await self.read(each.key for each in terms)
        for each in terms:
            need = rules.need(each, call.arguments) if call.states_arguments else rules.LEAST
            if isinstance(need, str):
                return Shortfall(each, Code.BUDGET_NOT_MEASURABLE, need)
            if self.of(each) < need.least:
                return self.used_up(each)
        return None

    async def read(self, keys: Iterable[str]) -> None:
        """Read what is left of these budgets, where that is not known yet. Raises Closed."""
        if unknown := [key for key in keys if key not in self._known]:
            for key, left, seconds in await self.reads.rows(LEFT, [unknown]):
                self._known[key] = left, None if seconds is None else float(seconds)

    def of(self, terms: Terms) -> Decimal:
        """Return what is left of a budget that was read; nothing of one that is gone."""
        return self._known.get(terms.key, (_NOTHING, None))[0] + self.held(terms.key)

    async def used_up_among(
        self, budgets: Collection[Terms], agents: Collection[str], system: str, tool: str, grants: Collection[str]
    ) -> Shortfall | None:
        """Return the first of some budgets that is about such a call, whatever its arguments, and is used up."""
        named = {("system", system), *(("agent", agent) for agent in agents), *(("grant", grant) for grant in grants)}
        about = [each for each in budgets if (each.kind, each.named) in named and each.tool in ("", tool)]
        await self.read(each.key for each in about)
        return next((self.used_up(each) for each in about if self.of(each) < rules.LEAST.least), None)

    def used_up(self, terms: Terms) -> Shortfall:
        """Return the shortfall of a budget that was read."""
        return Shortfall(terms, terms.code, seconds=self._known.get(terms.key, (_NOTHING, None))[1])


async def first_with_room(
    decide: Decide, shortfall: Callable[[Verdict], Awaitable[Shortfall | None]]
) -> tuple[Verdict, Shortfall | None]:
    """Decide a call; where the budget of the grant that covers it has too little left, by the next grant that does.

    Returns the verdict, and the budget that denies an allowed call: that of the first grant, where no other has room.
    """
    tried, first = set[str](), None
    while True:
        verdict = await decide(partial(decide_without, tried) if tried else policy.decide)
        if not verdict.allowed:
            return first or (verdict, None)
        if (short := await shortfall(verdict)) is None:
            return verdict, None
        first = first or (short.verdict, short)
        if short.terms.kind != "grant" or short.terms.named != verdict.grant:
            return first
        tried.add(short.terms.named)


def decide_without(grants: Collection[str], call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Decide a call as if the agent did not have these grants."""
    kept: dict[Any, Any] = {
        key: tuple(line for line in lines if line.grant not in grants) for key, lines in facts.lines.items()
    }
    return policy.decide(call, replace(facts, lines=kept), now)
