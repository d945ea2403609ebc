"""Reading the audit log for causes of event-triggered reviews, in the order of the sealed events.

The cursor moves in the transaction that notes the causes, so a worker that is killed reads again what it had not
finished. Only actions that can be a cause are read, so that tool calls, which are most of the log, cost nothing here.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import clock, stream
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people.models import Person
from governance.sod import check
from governance.sod import facts as sod_facts
from governance.sod.models import SodPolicy

from . import causes
from .causes import Kind
from .reach import rise

logger = logging.getLogger(__name__)
CURSOR: Final = "micro-reviews"
AT_ONCE: Final = 20_000


def listen(limit: int = AT_ONCE) -> int:
    """Note what the next sealed events are a cause for; says how many were passed. Begins with what comes from now."""
    with stream.consume(CURSOR, limit, from_now=True) as leaves:
        for sealed in stream.events(leaves, [*_HANDLERS]):
            note_event(sealed.event)
    return len(leaves)


def note_event(event: Event) -> None:
    """Note the causes that one event gives. One that cannot be read is logged, and the next is read all the same."""
    if event.outcome == "refused":
        return
    try:
        with transaction.atomic():
            _HANDLERS[Action(event.action)](event)
    except Exception:
        logger.exception("event %s could not be read for causes of reviews", event.uuid)


def _agents(event: Event) -> Iterable[Agent]:
    return Agent.objects.filter(slug__in=event.keys("agent")).exclude(status=Agent.Status.RETIRED)


def _live() -> Any:  # noqa: ANN401 - a query set of grants
    return Grant.objects.filter(ended_at=None, expires_at__gt=clock.now())


def _fact(event: Event, **values: object) -> dict[str, Any]:
    return {"event": str(event.uuid), **values}


def _tool_changed(event: Event) -> None:
    """Note a tool whose definition changed or that was quarantined, for each agent that holds it."""
    if event.detail.text("change") in ("none", "cosmetic"):
        return
    for key in event.keys("tool"):
        slug, _slash, name = key.partition("/")
        rows = _live().filter(lines__tool__system__slug=slug, lines__tool__name=name).select_related("agent")
        grants_by_agent: dict[Agent, list[UUID]] = defaultdict(list)
        for grant in rows.order_by("agent__slug", "pk"):
            grants_by_agent[grant.agent].append(grant.pk)
        fact = _fact(
            event, tool=key, change=event.detail.text("change"), difference=event.detail.texts("difference")[:10]
        )
        for agent, held in grants_by_agent.items():
            causes.note(Kind.TOOL_CHANGED, agent, fact, grants=held, at=event.at)


def _left(event: Event) -> None:
    """Note a leaver: for the agents they were sponsor or owner of, and for access that serves them."""
    for login in event.keys("person")[:1]:
        person = Person.objects.filter(login=login, is_active=False).first()
        if person is None:
            continue
        fact = _fact(event, person=login, name=person.name)
        for agent in _answered_by(person):
            office = "sponsor" if agent.sponsor_id == person.pk else "owner"
            causes.note(Kind.LEAVER, agent, {**fact, "office": office}, at=event.at)
        grants_by_agent: dict[Agent, list[UUID]] = defaultdict(list)
        served = GrantSubject.objects.filter(person=person, grant__in=_live()).select_related("grant__agent")
        for subject in served.order_by("grant"):
            grants_by_agent[subject.grant.agent].append(subject.grant_id)
        for agent, held in grants_by_agent.items():
            causes.note(Kind.DELEGATE_LEFT, agent, fact, grants=held, at=event.at)


def _moved(event: Event) -> None:
    """Note a mover: a person with a new manager, for the agents they own. It is no move where the old manager left."""
    manager = event.detail.part("manager")
    before = Person.objects.filter(login=manager.text("from"), is_active=True).first()
    now = Person.objects.filter(login=manager.text("to")).first()
    person = Person.objects.filter(login__in=event.keys("person")[:1], is_active=True).first()
    if before is None or now is None or person is None:
        return
    fact = _fact(event, person=person.login, name=person.name, **{"from": before.name, "to": now.name})
    for agent in _answered_by(person):
        office = "sponsor" if agent.sponsor_id == person.pk else "owner"
        causes.note(Kind.MOVED, agent, {**fact, "office": office}, at=event.at)


def _answered_by(person: Person) -> list[Agent]:
    """Return the agents that a person is sponsor or technical owner of, and that hold access."""
    rows = Agent.objects.filter(Q(sponsor=person) | Q(owner=person)).exclude(status=Agent.Status.RETIRED)
    return [agent for agent in rows.order_by("slug") if causes.in_force(agent)]


def _about_agent(kind: str, *names: str) -> Callable[[Event], None]:
    """Return a handler that notes a cause for the agents of an event, with these parts of its detail."""

    def handler(event: Event) -> None:
        fact = _fact(event, **{name: event.detail.text(name) for name in names})
        for agent in _agents(event):
            if causes.in_force(agent):
                causes.note(kind, agent, fact, at=event.at)

    return handler


def _version(event: Event) -> None:
    """Note an agent that runs another model, prompt or client than before; the first report is no change."""
    before, now = event.detail.part("from"), event.detail.part("to")
    if not before:
        return
    changed = sorted(
        name for name in ("model", "prompt_sha256", "client_metadata_sha256") if before.get(name) != now.get(name)
    )
    for agent in _agents(event):
        if changed and causes.in_force(agent):
            fact = _fact(event, changed=changed, before=before.text("model"), now=now.text("model"))
            causes.note(Kind.AGENT_CHANGED, agent, fact, at=event.at)


def _granted(event: Event) -> None:
    """Note new access that raises the blast radius by much, or that completes an SoD violation."""
    for grant in _live().select_related("agent").filter(pk=event.key_uuid("grant")):
        if (risen := rise(grant)) is not None:
            values = {"before": risen.before, "after": risen.after, "grants": len(risen.grants)}
            fact = _fact(event, **values, until=clock.now().isoformat())
            causes.note(Kind.REACH_GREW, grant.agent, fact, grants=risen.grants, at=event.at)
    _combined(event)


def _combined(event: Event) -> None:
    """Note SoD violations that an agent may have now: by new access, by an agent it may call, or by an exception."""
    for agent in _agents(event):
        for holder in sod_facts.callers(agent):
            _note_combinations(event, holder)


def _ruled(event: Event) -> None:
    """Note the agents that violate an SoD policy after it was published, or after a tool was classified again."""
    for rule in sod_facts.in_force():
        if event.keys("sod_policy") in ([], [rule.name]):
            _note_holders(event, rule)


def _note_holders(event: Event, rule: SodPolicy) -> None:
    for broken in check.all_violating(rule.sides):
        _note_combination(event, broken.agent, rule, broken.sides)


def _note_combinations(event: Event, agent: Agent) -> None:
    for each in check.current_violations(agent):
        _note_combination(event, each.agent, each.rule, each.sides)


def _note_combination(event: Event, agent: Agent, rule: SodPolicy, sides: Iterable[Iterable[object]]) -> None:
    """Note a violation the first time that an agent has it under this version of the policy."""
    if causes.known(Kind.COMBINATION, agent, rule=rule.name, number=rule.number):
        return
    tools = [[str(tool) for tool in side][:10] for side in sides]
    fact = _fact(event, rule=rule.name, number=rule.number, sentence=rule.sentence, sides=tools)
    causes.note(Kind.COMBINATION, agent, fact, at=event.at)


def _signalled(event: Event) -> None:
    """Note a risk signal that the policy answers with a review: for the agent, or for those that act for the person.

    A touched decoy is a cause unless it is only noted. The review does not say so: the agent's owner may decide in it.
    """
    said = event.detail
    is_decoy = said.get("kind") == "decoy_touched" and said.get("response") != "note"
    if not is_decoy and (said.get("response") != "review" or said.get("outcome") != "done"):
        return
    named = "unusual behaviour" if is_decoy else said.text("kind").replace("_", " ")
    fact = _fact(event, signal=named, level=said.text("subject_level"))
    agents = [*_agents(event)]
    if not agents:
        served = _live().filter(subjects__person__login__in=event.keys("person")).values("agent")
        agents = [*Agent.objects.filter(pk__in=served).order_by("slug")]
    for agent in agents:
        if causes.in_force(agent):
            causes.note(Kind.RISK_SIGNAL, agent, fact, at=event.at)


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
    Action.SOD_EXCEPTION_GIVEN: _combined,
    Action.RISK_SIGNALLED: _signalled,
    Action.SOD_POLICY_PUBLISHED: _ruled,
    Action.TOOL_APPROVED: _ruled,
}
