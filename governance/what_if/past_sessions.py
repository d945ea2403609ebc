"""The sessions in which recorded calls were made, as they were then: what session policies and guardrails look at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from audit.actions import Action
from audit.models import Event
from entitlements import prepared
from entitlements.decisions import facts
from entitlements.decisions.snapshot import Chain, SessionFacts
from entitlements.risk.models import RiskDecision, RiskSignal
from entitlements.strict import known_uuid
from entitlements.words import Risk
from governance.what_if import recorded_calls
from governance.what_if.recorded_calls import RecordedCall

_SESSIONS: Final = facts.SESSION.replace("n.id = %s AND a.slug = %s", "n.id = ANY(%s)")


@dataclass(frozen=True, slots=True)
class Use:
    """A token that was issued in a session: to an agent, for a system with scopes, at a time in epoch seconds.

    `system` is empty for a token that is not for one system. `behind` is as of a recorded call.
    """

    at: float
    agent: str
    client: str
    behind: Chain | None
    system: str
    scopes: frozenset[str]


type MayUse = Callable[[Use, SessionFacts], bool]
"""Whether a token would be issued in a session as it is at that time."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of some calls as they are, their uses in order, and when a risk level last moved, by link."""

    known: Mapping[str, SessionFacts] = field(default_factory=dict)
    uses: Mapping[str, Sequence[Use]] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)

    def at(self, call: RecordedCall, unsure: Risk) -> SessionFacts | None:
        """Return the session of a call but for its last use; None where its row is gone.

        It was open, since the call was allowed. Where a risk level moved after the call, it is `unsure`.
        """
        session = self.known.get(call.session)
        if session is None:
            return None
        risk = unsure if self._is_moved(call) else session.risk
        return replace(session, absolute_until=math.inf, ended=False, reauthenticate_at=math.inf, risk=risk)

    def _is_moved(self, call: RecordedCall) -> bool:
        agents = (f"agent:{agent}" for agent in (call.agent, *(each for each, _ in call.behind or ())))
        links = (f"session:{call.session}", f"person:{call.person}", *agents)
        return any(self.moved.get(link, -math.inf) > call.at for link in links)

    def used(self, sid: str, session: SessionFacts, may: MayUse) -> list[float]:
        """Return when a session was used, where only what `may` be issued uses it: a session that lapsed stays so."""
        times = [session.began]
        for use in self.uses.get(sid, ()):
            then = used_at(session, times[-1])
            if not use.at < then.idle_until:
                break
            if may(use, then):
                times.append(use.at)
        return times


def used_at(session: SessionFacts, moment: float) -> SessionFacts:
    """Return a session that was last used at a moment."""
    return replace(session, last_used=moment, idle_until=moment + session.idle_until - session.last_used)


def read(calls: Iterable[RecordedCall], since: datetime) -> Sessions:
    """Return the sessions of some calls, made since a moment."""
    ids = {call.session for call in calls if known_uuid(call.session)}
    if not ids:
        return Sessions()
    known = dict(map(facts.session_of, prepared.rows(_SESSIONS, [list(ids)])))
    uses: dict[str, list[Use]] = {}
    issued = Event.objects.filter(action=Action.TOKEN_ISSUED, links__overlap=[f"session:{each}" for each in ids])
    for event in issued.order_by("at", "uuid"):
        uses.setdefault(event.session, []).append(_use(event))
    return Sessions(known, uses, _moved(since))


def _use(event: Event) -> Use:
    agent = event.actor.partition(":")[2]
    systems = event.keys("system")
    behind = recorded_calls.chain(agent, event.detail.texts("chain"), event.detail)
    clients = [client for client in event.keys("client") if client not in {name for _, name in behind or ()}]
    return Use(
        event.at.timestamp(),
        agent,
        clients[0] if len(clients) == 1 else "",
        behind,
        systems[0] if len(systems) == 1 else "",
        frozenset(event.detail.text("scope").split()),
    )


def _moved(since: datetime) -> dict[str, float]:
    """Return when the risk level of each agent, person and session moved last, by link."""
    named = ("agent", "person", "session")
    moved: dict[str, float] = {}
    for signal in RiskSignal.objects.filter(noted_at__gte=since).select_related(*named):
        moved[signal.about] = max(moved.get(signal.about, 0.0), signal.noted_at.timestamp())
    decided = RiskDecision.objects.filter(at__gte=since).select_related(*(f"signal__{name}" for name in named))
    for decision in decided:
        moved[decision.signal.about] = max(moved.get(decision.signal.about, 0.0), decision.at.timestamp())
    return moved
