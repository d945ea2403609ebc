"""What narrows the audit log: parts, outcomes, names, tickets and times, each as a condition on events.

Links, actions and times are found by indexes. An outcome, a code, an actor and a ticket stand in the bytes that were
sealed, which no index reads: lists seek them in windows. The keys of a body are sorted (`audit.chain.canonical`), so a
key is looked for with the one beside it, which no detail of an event can pretend to be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Final

from django.db.models import BooleanField, Func, Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy as _

from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.codes import Code
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
    "sign_in": "sign-in",
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
    "drill": "policy",
    "kill_switch": "policy",
    "call": "call",
    "tool_list": "call",
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


DECISIONS: Final = frozenset(
    {
        *(Action.CALL_ALLOWED, Action.CALL_DENIED, Action.EVALUATION_ALLOWED, Action.EVALUATION_DENIED),
        *(Action.TOKEN_REFUSED, Action.DECOY_TOUCHED),
    }
)
"""The events that say what was decided, and why."""


def is_decision(event: Event) -> bool:
    """Whether an event says what the decision function decided. A token may also be refused before it is asked."""
    return event.action in DECISIONS and (not event.code or event.code in Code)


class BadTimeRange(Malformed):
    """`from` and `to` must be dates, or times in ISO 8601."""

    code = "time_range_malformed"


class _Ticketed(Func):
    """Whether some link of an event is a ticket."""

    template = "EXISTS (SELECT FROM unnest(%(expressions)s) AS held (link) WHERE held.link LIKE 'ticket:%%%%')"
    output_field = BooleanField()


TICKETED: Final = Q(_Ticketed("links"))
"""The condition that an event belongs to a ticket: whatever has one is linked to it."""


def actions_of(lanes: Iterable[str]) -> list[str]:
    """Return the events of some parts."""
    wanted = {*lanes}
    return [action.value for action in Action if lane_of(action) in wanted]


def lane_of(action: str) -> str:
    """Return the lane of an event."""
    return "sign-in" if action == "person.signed_in" else _LANE.get(action.partition(".")[0], "admin")


def with_outcome(outcome: str) -> Q:
    """Return the condition that an event had an outcome."""
    return Q(body__contains=f'{_said("outcome", outcome)},"personal":{{')


def with_code(rows: QuerySet[Event], code: str) -> QuerySet[Event]:
    """Return the events that a code was answered to."""
    return rows.filter(body__contains=f'Z",{_said("code", code)},"detail":{{')


def acted(rows: QuerySet[Event], actor: str) -> QuerySet[Event]:
    """Return the events of an actor: a link, or the name of a person or an agent."""
    return named(rows, actor).filter(body__contains=f'{_said("actor", _actor(actor))},"at":"')


def named(rows: QuerySet[Event], actor: str) -> QuerySet[Event]:
    """Return the events that have an actor among their links, where those of an actor are; the product has none."""
    link = _actor(actor)
    return rows if link.startswith("system:") else rows.filter(links__contains=[link])


def at_agent(rows: QuerySet[Event], slug: str) -> QuerySet[Event]:
    """Return the events about an agent."""
    return rows.filter(links__contains=[f"agent:{slug}"])


def at_system(rows: QuerySet[Event], slug: str) -> QuerySet[Event]:
    """Return the events at a system."""
    return rows.filter(links__contains=[f"system:{slug}"])


def with_text(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Return the events that hold a text: in their reasons, details, names, codes or ids."""
    return rows.filter(body__icontains=json.dumps(text, ensure_ascii=False)[1:-1])


def since(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Return the events from a date or a time on. Raises BadTimeRange."""
    return rows.filter(at__gte=_moment(text))


def until(rows: QuerySet[Event], text: str) -> QuerySet[Event]:
    """Return the events before a time, or to the end of a date. Raises BadTimeRange."""
    return rows.filter(at__lt=_moment(text, ends=True))


def _said(name: str, value: str) -> str:
    return json.dumps({name: value}, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _actor(text: str) -> str:
    """Return the link of a person or an agent by its name; an unknown name finds nothing."""
    if ":" in text:
        return text
    if person := people_queries.named(text):
        return f"person:{person.login}"
    agents = Agent.objects.filter(name__iexact=text) | Agent.objects.filter(slug=text)
    agent = agents.first()
    return f"agent:{agent.slug}" if agent else f"person:{text}"


def _moment(text: str, *, ends: bool = False) -> datetime:
    """Read a date or a time, in UTC where it says no zone; a date at the end of a range is included."""
    try:
        if (day := parse_date(text)) is not None:
            return datetime.combine(day, time(), UTC) + timedelta(days=int(ends))
        at = parse_datetime(text)
    except (ValueError, OverflowError) as error:  # no such day
        raise BadTimeRange from error
    if at is None:
        raise BadTimeRange
    return at if at.tzinfo else at.replace(tzinfo=UTC)
