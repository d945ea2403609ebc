"""Asks the decision function again about recorded calls, on the facts of now and on the same with a change.

A recorded call counts as *denied* where it passes now and would not with the change; as *denied anyway* where it does
not even pass now. Of its arguments the log holds a digest, and the numbers under a bound: where those do not tell
whether limits cover it, the question is asked twice, as if they did and as if they did not, and where the answers
differ the call is *unknown*, never harmless.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.db import connection

from audit import bodies, clock
from entitlements.decisions import facts, limits, policy
from entitlements.decisions.limits import Compiled
from entitlements.decisions.snapshot import UNLIMITED, AgentFacts, Call, Line
from entitlements.decisions.verdicts import Verdict
from entitlements.grants.models import GrantLine
from entitlements.people.models import Person
from entitlements.strict import known_uuid
from entitlements.words import Status
from governance.decisions.changes import Change
from governance.reviews.pack_tables import past_grants

_OUTSIDE: Final = Compiled(broken="The arguments would be outside the limits.")
_CALLS: Final = f"""
SELECT actor, client, person, split_part(tool, '/', 1), substr(tool, strpos(tool, '/') + 1), held, version,
       chain, measured::text, count(*)
FROM (
    SELECT substr(b.body ->> 'actor', 7) AS actor, substr(b.body ->> 'on_behalf_of', 8) AS person,
           b.body -> 'detail' ->> 'version' AS version, b.body -> 'detail' -> 'measured' AS measured,
           n.client, n.tool, n.held, n.chain
    FROM events v
    CROSS JOIN LATERAL (SELECT {bodies.as_jsonb("v.body")} AS body) b
    CROSS JOIN LATERAL (
        SELECT max(substr(x, 8)) FILTER (WHERE starts_with(x, 'client:')) AS client,
               max(substr(x, 6)) FILTER (WHERE starts_with(x, 'tool:')) AS tool,
               max(substr(x, 7)) FILTER (WHERE starts_with(x, 'grant:')) AS held,
               coalesce(bool_or(starts_with(x, 'agent:') AND x <> b.body ->> 'actor'), false) AS chain
        FROM jsonb_array_elements_text(b.body -> 'links') x) n
    WHERE v.action = 'call.allowed' AND v.at >= %(since)s AND v.at < %(until)s AND v.links && %(agents)s
      AND b.body ->> 'actor' = ANY(%(agents)s)
) c WHERE tool IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""  # noqa: S608 - made of a constant
"""The allowed calls of some agents in a while, counted where nothing that is recorded tells them apart."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """What the log says of a call: who called what, under which grant, with which numbers; and how often."""

    agent: str
    client: str | None
    person: str | None
    system: str
    tool: str
    grant: str | None
    version: str | None
    is_chained: bool
    measured: Mapping[str, float]
    calls: int


@dataclass(slots=True)
class Tally:
    """What a replay adds up to. `by` counts the calls that would be denied, by agent, tool and code."""

    calls: int = 0
    denied: int = 0
    denied_anyway: int = 0
    unknown: int = 0
    by: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, call: RecordedCall, now: Verdict | None, then: Verdict | None) -> None:
        """Count a call by what is decided now and with the change; None is unknown."""
        self.calls += call.calls
        if now is not None and not now.allowed:
            self.denied_anyway += call.calls
        elif now is None or then is None:
            self.unknown += call.calls
        elif not then.allowed:
            self.denied += call.calls
            self.by[call.agent, f"{call.system}/{call.tool}", then.code.value] += call.calls


def read(agents: Collection[str], since: datetime, until: datetime) -> Iterator[RecordedCall]:
    """Yield the allowed calls of some agents in a while."""
    links = [f"agent:{agent}" for agent in agents]
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, {"since": since, "until": until, "agents": links})
        for agent, client, person, system, tool, grant, version, is_chained, measured, calls in cursor.fetchall():
            numbers = _numbers(measured)
            yield RecordedCall(agent, client, person, system, tool, grant, version, is_chained, numbers, calls)


def _numbers(measured: str | None) -> dict[str, float]:
    values = json.loads(measured or "{}")
    return {name: value for name, value in values.items() if type(value) in (int, float)}


class Replay:
    """Decides recorded calls on the facts of now, and on those with a change."""

    def __init__(self, change: Change, since: datetime) -> None:
        """Prepare to decide calls that were made since a moment."""
        self._change, self._since = change, since
        self._now = max(clock.now().timestamp(), change.begins())
        self._facts: dict[tuple[str, str], tuple[AgentFacts, AgentFacts] | None] = {}
        self._held: dict[tuple[str, str], Mapping[str, object]] = {}
        self._people: dict[str, dict[str, Status]] = {}

    def decide(self, call: RecordedCall) -> tuple[Verdict | None, Verdict | None]:
        """Decide a call now and with the change; None where what is recorded does not tell."""
        known = self._known(call.agent, call.system)
        if known is None or call.client is None or call.is_chained:
            return None, None
        now, then = known
        return self._verdict(call, now), self._verdict(call, then)

    def _known(self, agent: str, system: str) -> tuple[AgentFacts, AgentFacts] | None:
        if (agent, system) not in self._facts:
            now = facts.load(agent, system)
            self._facts[agent, system] = None if now is None else (now, self._change.apply(now))
        return self._facts[agent, system]

    def _verdict(self, call: RecordedCall, known: AgentFacts) -> Verdict | None:
        key = (call.system, call.tool, call.person)
        before = self._limits_then(call)
        lines = known.lines.get(key, ())
        covered = [_covers(line, before, call.measured) for line in lines]
        asked = Call(call.agent, call.client or "", call.person, call.system, call.tool, {}, states_arguments=False)
        verdicts = []
        for unsure in (UNLIMITED, _OUTSIDE):
            judged = tuple(_judged(line, covers, unsure) for line, covers in zip(lines, covered, strict=True))
            facts_of_call = replace(known, lines={key: judged}, people=self._of(call.person))
            verdicts.append(policy.decide(asked, facts_of_call, self._now))
        with_them, without = verdicts
        tool = known.tools.get((call.system, call.tool))
        is_same_tool = tool is not None and tool.version == call.version
        if with_them.allowed != without.allowed or (without.allowed and not is_same_tool):
            return None
        return without

    def _limits_then(self, call: RecordedCall) -> Mapping[str, object]:
        """Return the limits that surely held when a call was made; none where its grant was reduced since."""
        if (place := (call.grant or "", call.tool)) not in self._held:
            self._held[place] = self._limits_of(*place)
        return self._held[place]

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


def _judged(line: Line, covers: bool | None, unsure: Compiled) -> Line:  # noqa: FBT001 - a state
    within = {True: UNLIMITED, False: _OUTSIDE, None: unsure}
    return replace(line, limits=within[covers], because=())


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
