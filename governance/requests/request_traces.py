"""The trace of a new request: it goes on with what led to it, so that one trace holds the request and its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit import clock, context
from entitlements.agents.models import Agent
from entitlements.people.models import Person
from entitlements.sessions.models import Session, is_open

if TYPE_CHECKING:
    from governance.eligibility.eligibility import Requester


def of_new(agent: Agent, by: Requester, denied: str | None) -> str:
    """Return the trace of the denied call, else the one that the caller names, else that of the agent's session.

    The last is known where the agent has one open session for the person who asks. Without any, the request goes on in
    the trace of the moment.
    """
    now = context.current()
    if denied is not None or now.is_of_caller or not isinstance(by, Person):
        return now.trace if denied is None else denied
    sessions = Session.objects.filter(is_open(clock.now()), agent=agent, person=by).exclude(trace="")
    known = sessions.order_by().values_list("trace", flat=True).distinct()[:2]
    return known[0] if len(known) == 1 else now.trace
