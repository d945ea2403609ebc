"""What an address asks of the audit log: a thing, a time range, and facets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from django.http import HttpRequest
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy as _

from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.errors import Malformed
from governance.people import queries as people_queries

LANES: Final = {
    "sign-in": _("Sign-in"),
    "request": _("Request"),
    "approval": _("Approval"),
    "token": _("Token"),
    "policy": _("Policy"),
    "call": _("Tool call"),
    "review": _("Review"),
    "admin": _("Admin"),
}
_LANE: Final = {
    "session": "sign-in",
    "authentication": "sign-in",
    "request": "request",
    "approval": "approval",
    "token": "token",
    "api_token": "token",
    "key": "token",
    "evaluation": "policy",
    "attempt": "policy",
    "grant": "policy",
    "revocation": "policy",
    "kill_switch": "policy",
    "call": "call",
    "campaign": "review",
    "review": "review",
    "spot_check": "review",
}
OUTCOMES: Final = {
    "success": _("Done"),
    "failure": _("Failed"),
    "refused": _("Refused"),
    "unknown": _("Unknown"),
}
_LONGEST: Final = 300


class BadTimeRange(Malformed):
    """`from` and `to` must be dates, or times in ISO 8601."""

    code = "time_range_malformed"


@dataclass(frozen=True, slots=True)
class Filters:
    """The facets of an address; empty where it has none."""

    about: str = ""
    actor: str = ""
    agent: str = ""
    system: str = ""
    outcome: str = ""
    code: str = ""
    action: str = ""
    lanes: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    newest_first: bool = True

    @property
    def links(self) -> list[str]:
        """The links that an event must have: found by their index."""
        wanted = [f"agent:{self.agent}" if self.agent else "", f"system:{self.system}" if self.system else ""]
        return [link for link in (*wanted, "" if self.actor.startswith("system:") else self.actor) if link]

    @property
    def texts(self) -> list[str]:
        """What the body of an event must hold. No index finds it, so it is looked for in a bounded window."""
        named = {"actor": self.actor, "outcome": self.outcome, "code": self.code}
        return [
            json.dumps({name: value}, ensure_ascii=False, separators=(",", ":"))[1:-1]
            for name, value in named.items()
            if value
        ]

    @property
    def actions(self) -> list[str] | None:
        """The events of the lanes, or the one that is named; None where none is left out."""
        if not self.lanes:
            return [self.action] if self.action else None
        named = (action.value for action in Action if lane_of(action) in self.lanes)
        return [action for action in named if self.action in ("", action)]

    @property
    def narrow(self) -> bool:
        """Whether any facet narrows the list."""
        return bool(self.links or self.texts or self.actions is not None or self.since or self.until)

    def match(self, event: Event) -> bool:
        """Whether an event that was found by its text says the same where it counts."""
        wanted = ((self.actor, event.actor), (self.outcome, event.outcome), (self.code, event.code))
        return all(not want or want == said for want, said in wanted)

    def described(self) -> dict[str, Any]:
        """Return the filters as the event of an export keeps them."""
        names = ("about", "actor", "agent", "system", "outcome", "code", "action")
        told = {name: value for name in names if (value := getattr(self, name))}
        times = {"from": self.since, "to": self.until}
        told |= {name: at.isoformat() for name, at in times.items() if at}
        return told | ({"lanes": sorted(self.lanes)} if self.lanes else {})


def read(request: HttpRequest, keys: Mapping[str, str] | None = None) -> Filters:
    """Read an address; `keys` are the short names behind its actor, agent and system. Raises BadTimeRange."""
    keys = keys or {}
    wanted = {name: request.GET.get(name, "").strip()[:_LONGEST] for name in Filters.__dataclass_fields__}
    return Filters(
        about=wanted["about"],
        actor=_actor(keys.get("actor", wanted["actor"])[:_LONGEST]),
        agent=keys.get("agent", wanted["agent"])[:_LONGEST],
        system=keys.get("system", wanted["system"])[:_LONGEST],
        outcome=wanted["outcome"],
        code=wanted["code"],
        action=wanted["action"],
        lanes=frozenset(LANES.keys() & set(request.GET.getlist("lane"))),
        since=_moment(request.GET.get("from", "")),
        until=_moment(request.GET.get("to", ""), ends=True),
        newest_first=request.GET.get("order") != "oldest",
    )


def _actor(text: str) -> str:
    """Return the link of a person or an agent by its name; an unknown name finds nothing."""
    if not text or ":" in text:
        return text
    if person := people_queries.named(text):
        return f"person:{person.login}"
    agents = Agent.objects.filter(name__iexact=text) | Agent.objects.filter(slug=text)
    agent = agents.first()
    return f"agent:{agent.slug}" if agent else f"person:{text}"


def _moment(text: str, *, ends: bool = False) -> datetime | None:
    """Read a date or a time, in UTC where it says no zone; a date at the end of a range is included."""
    text = text.strip()
    if not text:
        return None
    try:
        if (day := parse_date(text)) is not None:
            return datetime.combine(day, time(), UTC) + timedelta(days=int(ends))
        at = parse_datetime(text)
    except (ValueError, OverflowError) as error:  # no such day
        raise BadTimeRange from error
    if at is None:
        raise BadTimeRange
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def lane_of(action: str) -> str:
    """Return the lane of an event."""
    return "sign-in" if action == "person.signed_in" else _LANE.get(action.partition(".")[0], "admin")
