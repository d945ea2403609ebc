"""What the record says that somebody should look at: it is read onward, by the place of each event in the log.

The cursor moves in the transaction that notes the causes, so a worker that is killed reads again what it had not
finished. Only events that can be a cause are read, so that calls, which are most of the record, cost nothing here.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from audit import clock, stream
from audit.actions import Action
from audit.models import Cursor, Event
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people.models import Person
from governance.sod import check
from governance.sod.models import CombinationRule

from . import causes
from .causes import Kind
from .reach import rise

logger = logging.getLogger(__name__)
CURSOR: Final = "micro-reviews"
AT_ONCE: Final = 20_000

_NEXT: Final = """
SELECT e.at, e.uuid FROM leaves l JOIN events e ON e.at = l.at AND e.uuid = l.uuid
WHERE l.index >= %(first)s AND l.index < %(end)s AND e.action = ANY(%(actions)s) ORDER BY l.index
"""


def listen(limit: int = AT_ONCE) -> int:
    """Note what the next sealed events are a cause for; says how many were passed. Begins with what comes from now."""
    Cursor.objects.get_or_create(name=CURSOR, defaults={"position": stream.end()})
    with transaction.atomic():
        cursor = Cursor.objects.select_for_update(skip_locked=True).filter(name=CURSOR).first()
        if cursor is None:
            return 0  # another worker is at it
        end = min(cursor.position + limit, stream.end())
        if end <= cursor.position:
            return 0
        with connection.cursor() as reading:
            reading.execute(_NEXT, {"first": cursor.position, "end": end, "actions": [*_HANDLERS]})
            keys = reading.fetchall()
        for at, uuid in keys:
            note_event(Event.objects.get(at=at, uuid=uuid))
        Cursor.objects.filter(pk=CURSOR).update(position=end)
    return end - cursor.position


def note_event(event: Event) -> None:
    """Note what one event is a cause for. One that cannot be read is logged and keeps nobody from the next."""
    if event.outcome == "refused":
        return
    try:
        with transaction.atomic():
            _HANDLERS[Action(event.action)](event)
    except Exception:
        logger.exception("event %s could not be looked at", event.uuid)


def _keys(event: Event, kind: str) -> list[str]:
    return [link.partition(":")[2] for link in event.about if link.startswith(f"{kind}:")]


def _agents(event: Event) -> Iterable[Agent]:
    return Agent.objects.filter(slug__in=_keys(event, "agent")).exclude(status=Agent.Status.RETIRED)


def _live() -> Any:  # noqa: ANN401 - a query set of grants
    return Grant.objects.filter(ended_at=None, expires_at__gt=clock.now())


def _fact(event: Event, **told: object) -> dict[str, Any]:
    return {"event": str(event.uuid), **told}


def _tool_changed(event: Event) -> None:
    """A tool's definition changed, or somebody stopped it: each agent that holds it is asked about."""
    if event.detail.get("change") in ("none", "cosmetic"):
        return
    for key in _keys(event, "tool"):
        slug, _slash, name = key.partition("/")
        rows = _live().filter(lines__tool__system__slug=slug, lines__tool__name=name).select_related("agent")
        of_agent: dict[Agent, list[UUID]] = defaultdict(list)
        for grant in rows.order_by("agent__slug", "pk"):
            of_agent[grant.agent].append(grant.pk)
        told = _fact(
            event, tool=key, change=event.detail.get("change", ""), difference=event.detail.get("difference", [])[:10]
        )
        for agent, held in of_agent.items():
            causes.note(Kind.TOOL_CHANGED, agent, told, grants=held, at=event.at)


def _left(event: Event) -> None:
    """Somebody left: agents they answered for, and access that was given for them."""
    for login in _keys(event, "person")[:1]:
        person = Person.objects.filter(login=login, is_active=False).first()
        if person is None:
            continue
        told = _fact(event, person=login, name=person.name)
        for agent in _answered_by(person):
            office = "sponsor" if agent.sponsor_id == person.pk else "owner"
            causes.note(Kind.LEAVER, agent, {**told, "office": office}, at=event.at)
        of_agent: dict[Agent, list[UUID]] = defaultdict(list)
        served = GrantSubject.objects.filter(person=person, grant__in=_live()).select_related("grant__agent")
        for subject in served.order_by("grant"):
            of_agent[subject.grant.agent].append(subject.grant_id)
        for agent, held in of_agent.items():
            causes.note(Kind.DELEGATE_LEFT, agent, told, grants=held, at=event.at)


def _moved(event: Event) -> None:
    """Somebody has another manager: agents they answer for may stay behind. Whose manager left has not moved."""
    said = event.detail.get("manager") or {}
    before = Person.objects.filter(login=said.get("from"), is_active=True).first()
    now = Person.objects.filter(login=said.get("to")).first()
    person = Person.objects.filter(login__in=_keys(event, "person")[:1], is_active=True).first()
    if before is None or now is None or person is None:
        return
    told = _fact(event, person=person.login, name=person.name, **{"from": before.name, "to": now.name})
    for agent in _answered_by(person):
        office = "sponsor" if agent.sponsor_id == person.pk else "owner"
        causes.note(Kind.MOVED, agent, {**told, "office": office}, at=event.at)


def _answered_by(person: Person) -> list[Agent]:
    """Return the agents that somebody is sponsor or technical owner of, and that hold something."""
    rows = Agent.objects.filter(Q(sponsor=person) | Q(owner=person)).exclude(status=Agent.Status.RETIRED)
    return [agent for agent in rows.order_by("slug") if causes.in_force(agent)]


def _about_agent(kind: str, *names: str) -> Callable[[Event], None]:
    """Note a cause for the agents an event is about, with these parts of what it says."""

    def handler(event: Event) -> None:
        told = _fact(event, **{name: event.detail.get(name) for name in names})
        for agent in _agents(event):
            if causes.in_force(agent):
                causes.note(kind, agent, told, at=event.at)

    return handler


def _version(event: Event) -> None:
    """The agent runs another model or prompt than before; the first report is no change."""
    before, now = event.detail.get("from"), event.detail.get("to") or {}
    if not before:
        return
    changed = sorted(name for name in ("model", "prompt_sha256", "client_metadata_sha256") if before[name] != now[name])
    for agent in _agents(event):
        if changed and causes.in_force(agent):
            told = _fact(event, changed=changed, before=before["model"], now=now["model"])
            causes.note(Kind.AGENT_CHANGED, agent, told, at=event.at)


def _granted(event: Event) -> None:
    """Access was given: it may reach much further than before, or stand on both sides of a rule."""
    for key in _keys(event, "grant"):
        grant = _live().select_related("agent").filter(pk=key).first()
        if grant is None:
            continue
        if (found := rise(grant)) is not None:
            told = {"before": found.before, "after": found.after, "grants": len(found.grants)}
            fact = _fact(event, **told, until=clock.now().isoformat())
            causes.note(Kind.REACH_GREW, grant.agent, fact, grants=found.grants, at=event.at)
    _combined(event)


def _combined(event: Event) -> None:
    """An agent may stand on all sides of a rule now: by what it got, whom it may call, or an exception."""
    for agent in _agents(event):
        for each in check.callers(agent):
            _note_combinations(event, each)


def _ruled(event: Event) -> None:
    """A rule was published, or what a tool does was judged anew: whoever holds both sides is asked about."""
    for rule in check.in_force():
        if _keys(event, "combination_rule") in ([], [rule.name]):
            _note_holders(event, rule)


def _note_holders(event: Event, rule: CombinationRule) -> None:
    for broken in check.everybody_breaking(rule.sides):
        _note_combination(event, broken.agent, rule, broken.sides)


def _note_combinations(event: Event, agent: Agent) -> None:
    for each in check.held_now(agent):
        _note_combination(event, each.agent, each.rule, each.sides)


def _note_combination(event: Event, agent: Agent, rule: CombinationRule, sides: Iterable[Iterable[object]]) -> None:
    """Note a combination the first time that an agent holds it under this wording of the rule."""
    if causes.known(Kind.COMBINATION, agent, rule=rule.name, number=rule.number):
        return
    said = [[str(tool) for tool in side][:10] for side in sides]
    told = _fact(event, rule=rule.name, number=rule.number, sentence=rule.sentence, sides=said)
    causes.note(Kind.COMBINATION, agent, told, at=event.at)


_HANDLERS: Final[Mapping[Action, Callable[[Event], None]]] = {
    Action.TOOL_CHANGED: _tool_changed,
    Action.TOOL_RETURNED: _tool_changed,
    Action.PERSON_DISABLED: _left,
    Action.PERSON_EDITED: _moved,
    Action.AGENT_NEED_ASKED: _about_agent(Kind.DORMANT),
    Action.AGENT_VERSION_REPORTED: _version,
    Action.AGENT_SPONSOR_CHANGED: _about_agent(Kind.NEW_OFFICE, "from", "to"),
    Action.AGENT_OWNER_CHANGED: _about_agent(Kind.NEW_OFFICE, "from", "to"),
    Action.GRANT_ISSUED: _granted,
    Action.GRANT_RESTORED: _combined,
    Action.AGENT_CALL_ALLOWED: _combined,
    Action.COMBINATION_EXCEPTION_GIVEN: _combined,
    Action.COMBINATION_RULE_PUBLISHED: _ruled,
    Action.TOOL_APPROVED: _ruled,
}
