"""Asks the decision function again about recorded calls, on the facts of now and on the same with a change.

A recorded call counts as *denied* where it passes now and would not with the change; as *denied anyway* where it does
not even pass now. Grants, agents and people are those of now; the time of day and the age of session and sign-in are
those of the call, as when the same is done again. Of its arguments the log holds a digest, and the numbers under a
bound. Where the answer hangs on what is not recorded the call is *unknown*, never harmless. A budget that is used up
now denies; a rate, which begins again within the hour, does not.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from audit import clock
from entitlements.budgets import in_force
from entitlements.budgets.left import Left, Rule, Shortfall, first_with_room
from entitlements.budgets.rules import Terms
from entitlements.codes import Code
from entitlements.decisions import facts, limits, own_connection, policy
from entitlements.decisions.limits import Compiled
from entitlements.decisions.snapshot import UNLIMITED, AgentFacts, Call, Chain, Issuance, Line, SessionFacts
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.grants.models import GrantLine
from entitlements.guardrails import argument_matches
from entitlements.guardrails.rules import Guardrail
from entitlements.people.models import Person
from entitlements.strict import known_uuid
from entitlements.words import Flow, Risk, Status
from governance.reviews.pack_tables import past_grants
from governance.what_if.change import Change
from governance.what_if.past_sessions import Sessions, Use, used_at
from governance.what_if.recorded_calls import RecordedCall

_OUTSIDE: Final = Compiled(broken="The arguments would be outside the limits.")


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    """One end of what is not recorded: limits, whether the arguments that a guardrail names match, the risk.

    Less access, more matches and a higher risk never loosen an answer: where both ends have one answer, it is known.
    """

    limits: Compiled
    arguments_match: bool
    risk: Risk


_BEST: Final = _Unrecorded(UNLIMITED, arguments_match=False, risk=Risk.LOW)
_WORST: Final = _Unrecorded(_OUTSIDE, arguments_match=True, risk=Risk.CRITICAL)


class _Unknown(Exception):
    """What is recorded does not tell."""


@dataclass(slots=True)
class Tally:
    """What a replay adds up to. `by` counts the calls that would be denied by agent, tool and code, and `people`.

    `over_budget` are those of the `denied_anyway` that a budget denies.
    """

    calls: int = 0
    denied: int = 0
    denied_anyway: int = 0
    over_budget: int = 0
    unknown: int = 0
    by: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)

    def add(self, call: RecordedCall, now: Verdict | None, then: Verdict | None) -> None:
        """Count a call by what is decided now and with the change; None is unknown."""
        self.calls += 1
        if now is not None and not now.allowed:
            self.denied_anyway += 1
            self.over_budget += now.code is Code.BUDGET_EXHAUSTED
        elif now is None or then is None:
            self.unknown += 1
        elif not then.allowed:
            self.denied += 1
            self.by[call.agent, f"{call.system}/{call.tool}", then.code.value] += 1
            if call.person is not None:
                self.people[call.person] += 1


@dataclass(frozen=True, slots=True)
class _Known:
    """The facts about an agent and those behind it at a system; with or without the change (`is_changed`)."""

    facts: AgentFacts
    is_changed: bool


@dataclass(frozen=True, slots=True)
class _Both:
    """The facts about a call's agents now and with the change, and whether they look at time or session."""

    now: _Known
    then: _Known
    is_timed: bool


class Replay:
    """Decides recorded calls on the facts of now, and on those with a change."""

    def __init__(self, change: Change, since: datetime, sessions: Sessions) -> None:
        """Prepare to decide calls that were made since a moment, in these sessions."""
        self._change, self._since, self._sessions = change, since, sessions
        self._now = max(clock.now().timestamp(), change.begins())
        self._facts: dict[tuple[str, str], AgentFacts | None] = {}
        self._known: dict[tuple[tuple[str, ...], str], _Both | None] = {}
        self._used: dict[tuple[str, bool, Risk], list[float]] = {}
        self._limits: dict[tuple[str, str], Mapping[str, object]] = {}
        self._people: dict[str, dict[str, Status]] = {}
        self._decided: dict[RecordedCall, tuple[Verdict | None, Verdict | None]] = {}
        self._budgets: dict[tuple[tuple[str, ...], str], list[Terms]] = {}
        self._left = Left(own_connection.READS)

    def decide(self, call: RecordedCall) -> tuple[Verdict | None, Verdict | None]:
        """Decide a call now and with the change; None where what is recorded does not tell."""
        known = None if call.behind is None else self._facts_of(call.agent, call.behind, call.system)
        if known is None or call.client is None:
            return None, None
        if known.is_timed:
            is_lost = bool(call.session) and call.session not in self._sessions.known
            return (None, None) if is_lost else (self._verdict(call, known.now), self._verdict(call, known.then))
        same = replace(call, at=0.0, session="")  # neither matters, so it is decided once for all such calls
        if same not in self._decided:
            self._decided[same] = self._verdict(same, known.now), self._verdict(same, known.then)
        return self._decided[same]

    def _facts_of(self, agent: str, behind: Chain, system: str) -> _Both | None:
        key = (agent, *(each for each, _ in behind)), system
        if key not in self._known:
            now = self._chain(*key)
            self._known[key] = None if now is None else self._both(now)
        return self._known[key]

    def _both(self, now: AgentFacts) -> _Both:
        behind = tuple(map(self._change.apply, now.behind))
        then = replace(self._change.apply(now), behind=behind)
        is_timed = any(map(_is_timed, (now, then, *now.behind, *behind)))
        return _Both(_Known(now, is_changed=False), _Known(then, is_changed=True), is_timed)

    def _chain(self, agents: tuple[str, ...], system: str) -> AgentFacts | None:
        """Return the facts about an agent and those behind it."""
        acting, *behind = (self._load(agent, system) for agent in agents)
        known = [each for each in behind if each is not None]
        if acting is None or len(known) < len(behind) or len(known) > policy.MOST_BEHIND:
            return None
        return replace(acting, behind=tuple(known))

    def _load(self, agent: str, system: str) -> AgentFacts | None:
        if (agent, system) not in self._facts:
            self._facts[agent, system] = facts.load(agent, system)
        return self._facts[agent, system]

    def _verdict(self, call: RecordedCall, known: _Known) -> Verdict | None:
        """Decide a call by its grants and what is left of budgets; None where what is recorded does not tell."""

        async def decide(rule: Rule) -> Verdict:
            if (verdict := self._by_grants(call, known, rule)) is None:
                raise _Unknown
            return verdict

        try:
            verdict, short = own_connection.run(first_with_room(decide, partial(self._shortfall, call)))
        except _Unknown:
            return None
        return verdict if short is None else short.verdict

    async def _shortfall(self, call: RecordedCall, verdict: Verdict) -> Shortfall | None:
        key = agents, system = (call.agent, *(each for each, _ in call.behind or ())), call.system
        if key not in self._budgets:
            found = await in_force.of_many(own_connection.READS, agents, system)
            self._budgets[key] = [each for each in found.values() if each.code is Code.BUDGET_EXHAUSTED]
        grants = {verdict.grant or "", *verdict.behind}
        return await self._left.used_up_among(self._budgets[key], agents, system, call.tool, grants)

    def _by_grants(self, call: RecordedCall, known: _Known, rule: Rule) -> Verdict | None:
        best, worst = (self._at_end(call, known, end, rule) for end in (_BEST, _WORST))
        tool = known.facts.tools.get((call.system, call.tool))
        is_same_tool = tool is not None and tool.version == call.version
        if best.allowed != worst.allowed or (best.allowed and not is_same_tool):
            return None
        return best

    def _at_end(self, call: RecordedCall, known: _Known, end: _Unrecorded, rule: Rule) -> Verdict:
        session = self._sessions.at(call, end.risk)
        if session is not None:
            times = self._times(call.session, session, known)
            session = used_at(session, times[max(bisect_right(times, call.at) - 1, 0)])
        asked = Call(
            call.agent,
            call.client or "",
            call.person,
            call.system,
            call.tool,
            {},
            session=call.session or None,
            states_arguments=False,
            chain=call.behind or (),
        )
        behind = tuple(self._of_call(call, each, end, session) for each in known.facts.behind)
        judged = replace(self._of_call(call, known.facts, end, session), behind=behind)
        return rule(asked, judged, call.at or self._now)

    def _times(self, sid: str, session: SessionFacts, known: _Known) -> list[float]:
        """Return when a session was used, if tokens were issued by the facts of now or by those with the change."""
        key = (sid, known.is_changed, session.risk)
        if key not in self._used:
            self._used[key] = self._sessions.used(sid, session, lambda use, then: self._may_use(sid, use, then, known))
        return self._used[key]

    def _may_use(self, sid: str, use: Use, session: SessionFacts, known: _Known) -> bool:
        """Say whether a token would be issued; one of which the log does not tell enough, or of agents gone, was."""
        is_told = use.system and use.scopes and use.client and use.behind is not None
        both = self._facts_of(use.agent, use.behind or (), use.system) if is_told else None
        if both is None:
            return True
        found = (both.then if known.is_changed else both.now).facts
        asked = Issuance(
            Flow.TOKEN_EXCHANGE,
            use.agent,
            use.client,
            session.person,
            use.system,
            use.scopes,
            lifetime=300.0,
            session=sid,
            chain=use.behind or (),
        )
        behind = tuple(self._at_use(each, sid, session) for each in found.behind)
        judged = replace(self._at_use(found, sid, session), behind=behind)
        return policy.may_issue(asked, judged, use.at).issue is not None

    def _at_use(self, known: AgentFacts, sid: str, session: SessionFacts) -> AgentFacts:
        lines = {key: tuple(map(self._held, lines)) for key, lines in known.lines.items()}
        return replace(self._standing(known, session.person), lines=lines, sessions={sid: session})

    def _of_call(
        self, call: RecordedCall, known: AgentFacts, end: _Unrecorded, session: SessionFacts | None
    ) -> AgentFacts:
        """Return the facts about one agent for one call."""
        key = (call.system, call.tool, call.person)
        return replace(
            self._standing(known, call.person),
            lines={key: tuple(self._judged(call, line, end.limits) for line in known.lines.get(key, ()))},
            sessions={} if session is None else {call.session: session},
            guardrails=tuple(_that_may_match(known.guardrails, call, is_match=end.arguments_match)),
        )

    def _standing(self, known: AgentFacts, person: str | None) -> AgentFacts:
        """Return facts of which what ends by now has ended, at whatever time they are asked about."""
        return replace(
            known,
            people=self._of(person),
            owner_until=self._lasting(known.owner_until),
            agent_until=self._lasting(known.agent_until),
        )

    def _held(self, line: Line) -> Line:
        starts = -math.inf if line.starts <= self._now else math.inf
        return replace(line, starts=starts, expires=self._lasting(line.expires), because=())

    def _lasting(self, moment: float) -> float:
        return math.inf if self._now < moment else -math.inf

    def _judged(self, call: RecordedCall, line: Line, unsure: Compiled) -> Line:
        covers = self._covers(call, line)
        return replace(self._held(line), limits={True: UNLIMITED, False: _OUTSIDE, None: unsure}[covers])

    def _covers(self, call: RecordedCall, line: Line) -> bool | None:
        """Whether a call passes a line's limits, by those of each grant that it passed; None where none tells."""
        passed = sorted(call.grants, key=lambda grant: grant != line.grant) or [""]
        answers = (_covers(line, self._limits_then(grant, call.tool), dict(call.measured)) for grant in passed)
        return next((answer for answer in answers if answer is not None), None)

    def _limits_then(self, grant: str, tool: str) -> Mapping[str, object]:
        """Return the limits that surely held when a call was made; none where its grant was reduced since."""
        if (place := (grant, tool)) not in self._limits:
            self._limits[place] = self._limits_of(*place)
        return self._limits[place]

    def _limits_of(self, grant: str, tool: str) -> Mapping[str, object]:
        if (key := known_uuid(grant)) is None or past_grants.is_changed(grant, self._since):
            return {}
        line = GrantLine.objects.filter(grant=key, tool__name=tool).first()
        return {} if line is None else line.limits

    def _of(self, person: str | None) -> dict[str, Status]:
        if person is None:
            return {}
        if person not in self._people:
            is_active = Person.objects.filter(login=person).values_list("is_active", flat=True).first()
            known = {} if is_active is None else {person: Status.ACTIVE if is_active else Status.DISABLED}
            self._people[person] = known
        return self._people[person]


def _is_timed(known: AgentFacts) -> bool:
    """Say whether decisions look at the time of day, or at session and sign-in."""
    return bool(known.session_terms) or any(
        rule.hours is not None
        or rule.labels is not None
        or rule.session_risk is not None
        or rule.effect is Effect.STEP_UP
        for rule in known.guardrails
    )


def _that_may_match(rules: Iterable[Guardrail], call: RecordedCall, *, is_match: bool) -> Iterable[Guardrail]:
    """Leave those out whose arguments surely do not match, or where that is not recorded, by `is_match`."""
    for rule in rules:
        if rule.arguments is None:
            yield rule
            continue
        matches = argument_matches.recorded_match(rule.arguments, dict(call.measured))
        if matches or (matches is None and is_match):
            yield rule


def _covers(line: Line, before: Mapping[str, object], numbers: Mapping[str, float]) -> bool | None:
    """Whether a call that passed the limits `before` passes those of a line; None where its numbers do not tell."""
    now = line.limits.written
    if line.limits.free:
        return True
    if line.limits.broken:
        return False
    if now == before:
        return True
    if any(name.startswith("/") for name in (*now, *before)):  # the log cannot tell these from names with dots
        return None
    if before.keys() == now.keys() and limits.tightens(now, before):
        return True
    return limits.would_pass(before, now, numbers)
