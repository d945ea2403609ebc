"""The state of what a decision looks at, at a past moment: what the audit log says of changes before and after it.

Where nothing changed after the moment, the state is that of now. Otherwise its events up to the moment are followed
from the state in which such a thing begins. The log is never shortened, so this reaches back to its first event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from audit.actions import Action
from audit.bodies import Members
from audit.export import timeline
from audit.models import Event
from governance.reviews.pack_tables import past_grants

EVERYTHING: Final = "guardrail:everything"
NOT_RECONSTRUCTED: Final = (
    "client_documents",
    "client_authentication",
    "delegation_permissions",
    "definitions",
    "guardrails",
    "session_policies",
)
"""What no event tells exactly enough: it counts as it is now."""
OWNER_ENDS_AFTER: Final = timedelta(days=7)
"""An agent works on for this long after its owner left (`entitlements/decisions/facts.py`)."""

_ON_OFF: Final[Mapping[str, tuple[str, bool]]] = {
    Action.CLIENT_DISABLED: ("client", False),
    Action.CLIENT_CLOSED: ("client", False),
    Action.CLIENT_DELETED: ("client", False),
    Action.CLIENT_ENABLED: ("client", True),
    Action.SYSTEM_DISABLED: ("system", False),
    Action.SYSTEM_ENABLED: ("system", True),
    Action.KILL_SWITCH_ENGAGED: ("guardrail", False),
    Action.KILL_SWITCH_RELEASED: ("guardrail", True),
}
"""Which event turns which kind of thing on or off. Each begins on."""
_AGENT: Final = (
    Action.AGENT_REGISTERED,
    Action.AGENT_ACTIVATED,
    Action.AGENT_SUSPENDED,
    Action.AGENT_RESTORED,
    Action.AGENT_RETIRED,
)
_OFFICES: Final = {"sponsor": Action.AGENT_SPONSOR_CHANGED, "owner": Action.AGENT_OWNER_CHANGED}
_TOOL: Final[Mapping[str, str]] = {
    Action.TOOL_FOUND: "pending",
    Action.TOOL_APPROVED: "approved",
    Action.TOOL_QUARANTINED: "quarantined",
    Action.TOOL_DISABLED: "disabled",
    Action.TOOL_REMOVED: "removed",
    Action.TOOL_CHANGED: "",
    Action.TOOL_ENABLED: "",
    Action.TOOL_RETURNED: "",
}
"""The state of a tool after each event; empty where the event's detail says it."""
_READ: Final = (*_ON_OFF, *_AGENT, *_OFFICES.values(), *_TOOL, Action.ENTITLEMENT_EDITED)
_GRANT: Final = past_grants.FOLLOWED


@dataclass(frozen=True, slots=True)
class Change:
    """One event about a thing: when, what, and its detail."""

    at: datetime
    action: str
    detail: Members


@dataclass(slots=True)
class History:
    """What happened to some things before and after a moment, by link. Only of things that changed after it."""

    moment: datetime
    before: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    after: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    people: dict[str, bool] = field(default_factory=dict)
    """Whom the first change after the moment enabled (true) or disabled."""

    def is_on(self, link: str, *, now: bool) -> bool:
        """Say whether a client, system, entitlement, or the gateway as a whole (EVERYTHING) was on."""
        kind = link.partition(":")[0]
        if not self._about(link, kind, self.after):
            return now
        return self._about(link, kind, self.before)[-1:] != [False]

    def is_person_active(self, login: str, *, now: bool) -> bool:
        """Say whether a person was active: the first change after the moment says what they were before it."""
        return not self.people[login] if login in self.people else now

    def owner_until(self, login: str) -> datetime | None:
        """Return until when agents of an owner who had left before the moment went on working; None where unknown."""
        events = Event.objects.filter(
            action=Action.PERSON_DISABLED, links__contains=[f"person:{login}"], at__lte=self.moment
        )
        last = events.order_by(*(f"-{name}" for name in timeline.ORDER)).first()
        return last.at + OWNER_ENDS_AFTER if last else None

    def _about(self, link: str, kind: str, changes: Mapping[str, list[Change]]) -> list[bool]:
        """Return what each change of a thing made of it."""
        if kind == "entitlement":
            edits = [change.detail for change in changes.get(link, ()) if change.action == Action.ENTITLEMENT_EDITED]
            return [bool(detail["enabled"]) for detail in edits if "enabled" in detail]
        turned = [_ON_OFF.get(change.action, ("", False)) for change in changes.get(link, ())]
        return [is_on for about, is_on in turned if about == kind]

    def agent(self, link: str, now: str) -> str:
        """Return the status of an agent."""
        if not any(change.action in _AGENT for change in self.after.get(link, ())):
            return now
        status = first = "active"
        for change in self.before.get(link, ()):
            if change.action == Action.AGENT_REGISTERED:
                status = first = "staged" if change.detail.get("staged") else "active"
            elif change.action == Action.AGENT_ACTIVATED:
                status = first = "active"
            elif change.action == Action.AGENT_RESTORED:
                status = first
            elif change.action in _AGENT:
                status = "suspended" if change.action == Action.AGENT_SUSPENDED else "retired"
        return status

    def office(self, link: str, office: str, now: str | None) -> str | None:
        """Return the login of an agent's sponsor or owner."""
        changed = [change for change in self.after.get(link, ()) if change.action == _OFFICES[office]]
        return (changed[0].detail.text("from") or None) if changed else now

    def tool(self, link: str, state: str, risk: str) -> tuple[str, str]:
        """Return the state and the risk level of a tool."""
        changed = [change for change in self.after.get(link, ()) if change.action in _TOOL]
        if not changed:
            return state, risk
        known = [change for change in self.before.get(link, ()) if change.action in _TOOL]
        approvals = [change for change in known if change.action == Action.TOOL_APPROVED]
        was = _tool_after(known[-1]) if known else changed[0].detail.text("from", "pending")
        return was, approvals[-1].detail.text("risk", risk) if approvals else risk


def _tool_after(change: Change) -> str:
    return _TOOL[change.action] or change.detail.text("to") or change.detail.text("state", "pending")


def read(links: Collection[str], moment: datetime) -> History:
    """Read what happened to things and people before and after a moment; the past only of what changed since."""
    history = History(moment)
    wanted = {*links, EVERYTHING}
    _add(history.after, wanted, Event.objects.filter(action__in=_READ, links__overlap=[*wanted], at__gt=moment))
    if changed := {*history.after}:
        _add(history.before, changed, Event.objects.filter(action__in=_READ, links__overlap=[*changed], at__lte=moment))
    # In groups there may be many people, and of these events there are few: all are read.
    turned = Event.objects.filter(action__in=[Action.PERSON_DISABLED, Action.PERSON_ENABLED], at__gt=moment)
    for event in turned.order_by(*timeline.ORDER):
        login = event.key("person")
        history.people.setdefault(login, event.action == Action.PERSON_ENABLED)
    return history


def _add(to: dict[str, list[Change]], links: Collection[str], events: QuerySet[Event]) -> None:
    for event in events.order_by(*timeline.ORDER):
        for link in event.about:
            if link in links:
                to[link].append(Change(event.at, event.action, event.detail))


def grants(keys: Collection[str], moment: datetime) -> dict[str, past_grants.Terms]:
    """Return the terms at a moment of those of some grants that changed after it: lines, people, state and end."""
    links = [f"grant:{key}" for key in keys]
    changed = Event.objects.filter(action__in=_GRANT, links__overlap=links, at__gt=moment)
    names = {link for event in changed for link in event.about if link.startswith("grant:")} & {*links}
    if not names:
        return {}
    held: dict[str, past_grants.Terms] = {}
    events = Event.objects.filter(action__in=_GRANT, links__overlap=[*names], at__lte=moment)
    for event in events.order_by(*timeline.ORDER):
        past_grants.follow(held, event)
    return held


def gone_lines(system: str, tool: str, moment: datetime) -> tuple[set[str], set[str]]:
    """Return the grants that lost a tool after a moment, and those that only then got it back, by key."""
    about = Event.objects.filter(links__contains=[f"system:{system}"], at__gt=moment)
    lost = [event for event in about.filter(action=Action.GRANT_REDUCED) if tool in event.detail.texts("dropped")]
    undone = about.filter(action=Action.GRANT_REDUCTION_UNDONE)
    came = {_grant(event) for event in undone if tool in event.detail.texts("lines")}
    held = grants(came, moment)
    return {_grant(event) for event in lost}, {key for key in came if tool not in held.get(key, {}).get("lines", {})}


def _grant(event: Event) -> str:
    return event.key("grant")


def members(slugs: Collection[str], now: Mapping[str, Collection[str]], moment: datetime) -> dict[str, set[str]]:
    """Return the logins in some groups at a moment, from those `now`: each change after it is taken back."""
    then = {slug: {*now.get(slug, ())} for slug in slugs}
    changes = Event.objects.filter(
        action__in=[Action.GROUP_JOINED, Action.GROUP_LEFT],
        links__overlap=[f"group:{slug}" for slug in slugs],
        at__gt=moment,
    )
    for event in changes.order_by(*(f"-{name}" for name in timeline.ORDER)):
        for slug in {*event.keys("group")} & then.keys():
            if event.action == Action.GROUP_JOINED:
                then[slug].discard(event.key("person"))
            else:
                then[slug].add(event.key("person"))
    return then
