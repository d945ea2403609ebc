"""Who is told that something is wrong: by event the people, the sentence, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.connectors.models import Connector
from entitlements.people.models import Person, Role
from entitlements.words import Risk
from governance.notices.models import Kind

from .audience import Message, Notifier

type People = Callable[[Event], Iterable[Person | None]]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the holders of some roles and those whom `others` finds are told, once an hour about one thing.

    `things` are the kinds of links that may name it, the first that is there; the sentence has it as `%(name)s`.
    `page` lists such things; `detail` is the page of one, and the kind of the link that names it.
    """

    kind: Kind
    things: tuple[str, ...]
    roles: tuple[Role, ...]
    sentence: Any
    page: str
    others: People = lambda _event: ()
    detail: tuple[str, str] = ("", "")


def _key(event: Event, kind: str) -> str:
    """Return the key of a kind that an event is about, or by which it names who acted; empty without one."""
    actor, _colon, name = event.actor.partition(":")
    return event.key(kind) or (name if actor == kind else "")


def _owners_of_agents(event: Event) -> Iterable[Person | None]:
    slugs = {*event.keys("agent"), _key(event, "agent")}
    agents = Agent.objects.filter(slug__in=slugs).select_related("sponsor", "owner")
    return [person for agent in agents for person in (agent.sponsor, agent.owner)]


def _owners_of_systems(event: Event) -> Iterable[Person | None]:
    return Person.objects.filter(owned_systems__slug__in=event.keys("system"))


def _who_asked(event: Event) -> Iterable[Person]:
    return Person.objects.filter(login=event.detail.text("asked_by"))


ALARMS: Final[Mapping[Action, Alarm]] = {
    Action.RISK_SIGNALLED: Alarm(
        Kind.RISK,
        ("agent", "person", "session"),
        (Role.SECURITY,),
        gettext_lazy("A risk signal says that %(name)s may be compromised. Its page says what was done."),
        "risk-signals",
        _owners_of_agents,
        detail=("risk-signal-page", "risk"),
    ),
    Action.DECOY_TOUCHED: Alarm(
        Kind.RISK,
        ("agent", "decoy"),
        (Role.SECURITY,),
        gettext_lazy("A decoy was touched by %(name)s, which had no reason to."),
        "decoy-list",
        _owners_of_agents,
        detail=("decoy-page", "decoy"),
    ),
    Action.KILL_SWITCH_ENGAGED: Alarm(
        Kind.RISK,
        (),
        (Role.SECURITY, Role.ADMIN, Role.ANALYST),
        gettext_lazy("Everything was stopped. No agent is answered until it is restored."),
        "stops",
    ),
    Action.AUDIT_LOG_RESTORED: Alarm(
        Kind.SETUP_LOST,
        (),
        (Role.SECURITY, Role.ADMIN),
        gettext_lazy("The database was restored from a backup. See what stays closed until two people open it."),
        "restored",
    ),
    Action.SYSTEM_OPENING_PROPOSED: Alarm(
        Kind.SETUP_LOST,
        ("system",),
        (Role.ANALYST, Role.SECURITY),
        gettext_lazy("A restore closed %(name)s, and one person proposes to open it. A second person opens it."),
        "restored",
    ),
    Action.ISSUER_KEYS_UNREACHABLE: Alarm(
        Kind.SETUP_LOST,
        ("issuer",),
        (Role.ADMIN,),
        gettext_lazy("The keys of %(name)s cannot be read. When the known ones change, its sign-ins are refused."),
        "trusted-issuers-page",
    ),
    Action.ANCHOR_UNREACHABLE: Alarm(
        Kind.SETUP_LOST,
        ("anchor",),
        (Role.ADMIN,),
        gettext_lazy("The anchor %(name)s gets no checkpoints. Without them no person can prove the audit log whole."),
        "setup",
    ),
    Action.BACKUP_FAILED: Alarm(
        Kind.SETUP_LOST,
        (),
        (Role.ADMIN,),
        gettext_lazy("A backup failed. What its program reported is in the audit log."),
        "setup",
    ),
    Action.BACKUP_OVERDUE: Alarm(
        Kind.SETUP_LOST,
        (),
        (Role.ADMIN,),
        gettext_lazy("A backup is overdue: none was reported or attested in time. Make one."),
        "setup",
    ),
    Action.CONNECTOR_UNREACHABLE: Alarm(
        Kind.SETUP_LOST,
        ("connector",),
        (Role.ADMIN,),
        gettext_lazy("The connector %(name)s is connected to no node. Start it, or revoke it."),
        "system-list",
        _owners_of_systems,
        detail=("system-network-page", "system"),
    ),
    Action.SYSTEM_CALLS_PAUSED: Alarm(
        Kind.SETUP_LOST,
        ("system",),
        (),
        gettext_lazy("%(name)s fails or does not answer, so calls to it are paused until it does."),
        "system-list",
        _owners_of_systems,
        detail=("system-page", "system"),
    ),
    Action.DISCOVERY_RUN_FINISHED: Alarm(
        Kind.SETUP_LOST,
        ("discovery_source",),
        (Role.ADMIN,),
        gettext_lazy("The discovery of agents failed: %(name)s. Agents that are new there are not seen."),
        "discovery-list",
        detail=("discovery-page", "discovery_source"),
    ),
    Action.DELIVERY_GIVEN_UP: Alarm(
        Kind.SETUP_LOST,
        ("webhook", "person"),
        (Role.ADMIN,),
        gettext_lazy("Messages to %(name)s were given up after ten tries."),
        "delivery-list",
    ),
    Action.PERSON_ADDRESS_BOUNCED: Alarm(
        Kind.SETUP_LOST,
        ("person",),
        (Role.ADMIN,),
        gettext_lazy("Mail to %(name)s comes back. Nothing is mailed there until the address is right."),
        "delivery-list",
    ),
    Action.CAMPAIGN_STAGING_FAILED: Alarm(
        Kind.REVIEW_WAITING,
        ("campaign",),
        (),
        gettext_lazy("The access review that you prepare found nothing to review. Change its scope."),
        "review-list",
        _who_asked,
        detail=("review-page", "campaign"),
    ),
    Action.EVIDENCE_SEALING_FAILED: Alarm(
        Kind.REVIEW_WAITING,
        ("campaign",),
        (),
        gettext_lazy("The evidence that you asked for does not add up, so it was not sealed. Its review says why."),
        "review-list",
        _who_asked,
        detail=("review-page", "campaign"),
    ),
}
_LESS: Final = (Risk.LOW, Risk.MEDIUM)
"""What a risk signal leaves its subject at without mail at once."""
_MAY_SUCCEED: Final = (Action.DISCOVERY_RUN_FINISHED,)
"""Events that also say that all is well."""


def _tell(alarm: Alarm, event: Event) -> Iterator[Message]:
    if event.action in _MAY_SUCCEED and event.outcome != "failure":
        return
    kind, key = next(((kind, key) for kind in alarm.things if (key := _key(event, kind))), ("", ""))
    link = f"{kind}:{key}" if kind else event.action
    yield Message(
        alarm.kind,
        [*Person.objects.holding(*alarm.roles), *alarm.others(event)],
        link[:200],
        (str(alarm.sentence) % {"name": _name(kind, key)})[:500],
        _address(alarm, event),
        urgent=event.detail.get("subject_level") not in _LESS,
        dedupe=f"{event.action} {link} {event.at:%Y-%m-%dT%H}"[:200],
    )


def _address(alarm: Alarm, event: Event) -> str:
    """Return the page of the thing; the list, where the event does not say which it is."""
    page, kind = alarm.detail
    try:
        return reverse(page, args=[event.key(kind)])
    except NoReverseMatch:
        return reverse(alarm.page)


_NAMED: Final[Mapping[str, tuple[type[Model], str]]] = {
    "agent": (Agent, "slug"),
    "connector": (Connector, "pk"),
    "person": (Person, "login"),
    "system": (System, "slug"),
}


def _name(kind: str, key: str) -> str:
    """Return how people call a thing."""
    if kind in _NAMED:
        model, field = _NAMED[kind]
        return str(model._default_manager.filter(**{field: key}).values_list("name", flat=True).first() or key)  # noqa: SLF001 - Django's
    return _("a session") if kind == "session" else key


NOTIFIERS: Final[Mapping[Action, Notifier]] = {action: partial(_tell, alarm) for action, alarm in ALARMS.items()}
