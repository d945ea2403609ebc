"""What made a denial true: the event that took the right away, disabled what it needs, or never gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from audit.actions import Action
from audit.export import timeline
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.codes import Code
from entitlements.grants.models import Grant

type About = Mapping[str, Sequence[str]]
"""What a decision is about, as the links of its event: keys by kind."""

_OF_GUARDRAIL: Final = ("guardrail", (Action.GUARDRAIL_PUBLISHED,))
_CAUSES: Final[Mapping[Code, tuple[str, tuple[Action, ...]]]] = {
    Code.SYSTEM_DISABLED: ("system", (Action.SYSTEM_DISABLED,)),
    Code.AGENT_STAGED: ("agent", (Action.AGENT_REGISTERED,)),
    Code.AGENT_SUSPENDED: ("agent", (Action.AGENT_SUSPENDED,)),
    Code.AGENT_RETIRED: ("agent", (Action.AGENT_RETIRED,)),
    Code.SPONSOR_DISABLED: ("sponsor", (Action.PERSON_DISABLED,)),
    Code.OWNER_DISABLED: ("owner", (Action.PERSON_DISABLED,)),
    Code.CLIENT_DISABLED: ("client", (Action.CLIENT_DISABLED, Action.CLIENT_CLOSED, Action.CLIENT_DELETED)),
    Code.PERSON_DISABLED: ("person", (Action.PERSON_DISABLED,)),
    Code.TOKEN_REVOKED: ("token", (Action.TOKEN_REVOKED,)),
    Code.SESSION_ENDED: ("session", (Action.SESSION_ENDED,)),
    Code.TOOL_NOT_APPROVED: ("tool", (Action.TOOL_FOUND,)),
    Code.TOOL_QUARANTINED: ("tool", (Action.TOOL_QUARANTINED, Action.TOOL_CHANGED)),
    Code.TOOL_DISABLED: ("tool", (Action.TOOL_DISABLED,)),
    Code.TOOL_REMOVED: ("tool", (Action.TOOL_REMOVED,)),
    Code.TOOL_CHANGED: ("tool", (Action.TOOL_CHANGED,)),
    **dict.fromkeys((Code.GUARDRAIL, Code.APPROVAL_REQUIRED, Code.APPROVAL_OF_CALL_REQUIRED), _OF_GUARDRAIL),
}
"""Which events of which kind of thing make a code true."""
_OF_GRANTS: Final[Mapping[Code, tuple[Action, ...]]] = {
    Code.NO_GRANT: (Action.GRANT_REVOKED, Action.GRANT_EXPIRED, Action.GRANT_REDUCED),
    Code.GRANT_EXPIRED: (Action.GRANT_EXPIRED,),
    Code.GRANT_SUSPENDED: (Action.GRANT_SUSPENDED,),
    Code.CALL_WITHDRAWN: (Action.GRANT_REVOKED, Action.GRANT_EXPIRED, Action.GRANT_REDUCED, Action.GRANT_SUSPENDED),
}
_MOST: Final = 50
"""As many grants, and as many events of them, are looked at."""


def find(code: Code, about: About, at: datetime) -> Event | None:
    """Return the newest event until a moment that made a denial of a code true; None where no record tells."""
    past = Event.objects.filter(at__lte=at).order_by(*(f"-{name}" for name in timeline.ORDER))
    if code is Code.EVERYTHING_STOPPED:
        return past.filter(action=Action.KILL_SWITCH_ENGAGED).first()
    if code in _OF_GRANTS:
        found = next(_of_grants(past.filter(action__in=_OF_GRANTS[code]), about), None)
        return _denied_request(past, about) if found is None and code is Code.NO_GRANT else found
    if code not in _CAUSES:
        return None
    kind, actions = _CAUSES[code]
    links = (
        [f"person:{login}" for login in _office(kind, about)] if kind in ("sponsor", "owner") else _links(kind, about)
    )
    return past.filter(action__in=actions, links__overlap=links).first() if links else None


def _links(kind: str, about: About) -> list[str]:
    return [f"{kind}:{key}" for key in about.get(kind, ())]


def _office(office: str, about: About) -> list[str]:
    rows = Agent.objects.filter(slug__in=about.get("agent", ())).exclude(**{office: None})
    return list(rows.values_list(f"{office}__login", flat=True))


def _of_grants(past: QuerySet[Event], about: About) -> Iterator[Event]:
    """Yield the events that took a tool from the grants of an agent at a system for a person, the newest first."""
    tools, people = {key.partition("/")[2] for key in about.get("tool", ())}, {*about.get("person", ())}
    named = Q(subjects__person__login__in=people) | Q(subjects__group__people__login__in=people)
    rows = Grant.objects.filter(
        agent__slug__in=about.get("agent", ()), entitlement__system__slug__in=about.get("system", ())
    )
    rows = (rows.filter(named) if people else rows).distinct().order_by("-created_at")
    held = {
        f"grant:{row.pk}": {line.tool.name for line in row.lines.all()}
        for row in rows.prefetch_related("lines__tool")[:_MOST]
    }
    for event in past.filter(links__overlap=[*held])[:_MOST]:
        if event.action == Action.GRANT_REDUCED:
            if tools & {*event.detail.texts("dropped")} or event.detail.text("person") in people:
                yield event
        elif any(tools <= held[link] for link in event.about if link in held):
            yield event


def _denied_request(past: QuerySet[Event], about: About) -> Event | None:
    agents, systems = _links("agent", about), _links("system", about)
    denied = past.filter(action=Action.APPROVAL_DENIED, links__overlap=agents)
    return denied.filter(links__overlap=systems).first() if agents and systems else None
