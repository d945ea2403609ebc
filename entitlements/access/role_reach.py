"""What belongs to the systems and departments that an admin role is limited to: one rule for reading and for acting.

Lists filter by `within`; `covers` asks the same of one row before a change. A kind of row that declares no rule belongs
to no system and no department, and is therefore out of reach of each limited role (decision 91).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BooleanField,
    Case,
    Exists,
    F,
    Func,
    Model,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    UUIDField,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat

from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients.models import Client, ClientCredential
from entitlements.connections.models import Connection
from entitlements.grants.models import Grant, GrantSubject
from entitlements.people.models import Person, RoleAssignment
from entitlements.people.role_limits import RoleLimit
from entitlements.people_sources.models import SourcedPerson
from entitlements.revocation.models import Drill, Revocation
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from entitlements.unmanaged_agents.models import Workflow
from entitlements.workload_identity.models import WorkloadRule

from . import relations
from .caller import Caller

type Rule = Callable[[RoleLimit], Q]
"""Returns which rows of its kind belong to what a limit names."""

NONE: Final = Q(pk__in=())
"""No row at all; beside another condition it costs nothing."""
_ALL: Final = ~NONE
"""Every row, also beside another condition: an empty Q would leave that one alone in force."""


def within(limit: RoleLimit, kind: type[Model]) -> Q:
    """Return the condition that a row of a kind is within a limit."""
    if limit.everything:
        return _ALL
    rule = _RULES.get(kind)
    return rule(limit) if rule is not None and (limit.systems or limit.departments) else NONE


def covers(limit: RoleLimit, thing: object) -> bool:
    """Whether a thing is within a limit; None, what is made anew and what is company-wide only without a limit."""
    if limit.everything or not isinstance(thing, Model):
        return limit.everything
    kind = type(thing)
    return QuerySet(kind).filter(within(limit, kind), pk=thing.pk).exists()


def holders(role: str, *, system: System, people: Iterable[Person]) -> QuerySet[Person]:
    """Return the active people whose role, if limited, names this system or a department of one of these people."""
    held = RoleAssignment.objects.current().filter(role=role)
    departments = SourcedPerson.objects.filter(person__in=[person.pk for person in people]).values("department")
    names = Q(limit_systems__contains=[system.pk]) | Q(limit_departments__overlap=departments)
    return Person.objects.filter(is_active=True, pk__in=held.filter(Q(is_limited=False) | names).values("person"))


def reaches(caller: Caller, thing: object) -> bool:
    """Whether a thing is a caller's business: by what they are to it, or by a role that reaches it."""
    return bool(relations.of(caller, thing)) or covers(caller.seen_reach, thing)


def declare(kind: type[Model], rule: Rule) -> None:
    """Say which rows of a kind belong to systems and departments; rooms of the floor above do so when they start."""
    _RULES[kind] = rule


def one_of(column: str, rows: QuerySet[Any, Any]) -> Q:
    """Return the condition that a column is one of these values: read once, then looked up by the column's index."""
    any_of = Func(
        F(column), ArraySubquery(rows), template="(%(expressions)s))", arg_joiner=" = ANY(", output_field=BooleanField()
    )
    return Q(any_of)


def people_of(departments: Collection[str]) -> QuerySet[SourcedPerson, Any]:
    """Return the keys of the people of departments, as the people source says."""
    return SourcedPerson.objects.filter(department__in=sorted(departments)).values("person")


def agents_of(departments: Collection[str]) -> QuerySet[Agent, Any]:
    """Return the keys of the agents whose sponsor is of the departments."""
    return Agent.objects.filter(sponsor__in=people_of(departments)).order_by().values("pk")


def _entitlements_of(systems: Collection[int]) -> QuerySet[Entitlement, Any]:
    return Entitlement.objects.filter(system__in=sorted(systems)).order_by().values("pk")


def by(*, system: str = "", entitlement: str = "", agent: str = "", person: str = "") -> Rule:
    """Return the rule of a kind by its columns: of a system, or an entitlement of it; of an agent or person of one.

    An empty name says that the kind has no such column.
    """

    def rule(limit: RoleLimit) -> Q:
        found = NONE
        if limit.systems and system:
            found |= Q(**{f"{system}__in": sorted(limit.systems)})
        if limit.systems and entitlement:
            found |= one_of(entitlement, _entitlements_of(limit.systems))
        if limit.departments and agent:
            found |= one_of(agent, agents_of(limit.departments))
        if limit.departments and person:
            found |= one_of(person, people_of(limit.departments))
        return found

    return rule


def _grants(limit: RoleLimit) -> Q:
    """Grants at the systems, of the agents, and those that name a person; not those that name a group of theirs."""
    named = GrantSubject.objects.filter(person__in=people_of(limit.departments)).order_by().values("grant")
    found = by(entitlement="entitlement_id", agent="agent_id")(limit)
    return found | one_of("pk", named) if limit.departments else found


def _sessions(limit: RoleLimit) -> Q:
    """Sessions of the agents or for the people, and those with a token for one of the systems."""
    found = by(agent="agent_id", person="person_id")(limit)
    at_system = IssuedToken.objects.filter(session=OuterRef("pk"), system__in=sorted(limit.systems))
    return found | Q(Exists(at_system)) if limit.systems else found


def _rules(limit: RoleLimit) -> Q:
    clients = Client.objects.filter(within(limit, Client)).order_by().values("pk")
    return one_of("client_id", clients) if limit.departments else NONE


def _revocations(limit: RoleLimit) -> Q:
    """Revocations of what is within the limit. The type is looked at first: only then is the id of its form."""
    whens = [
        *(_when(name, kind, {column: OuterRef("target_id")}, limit) for name, (kind, column) in _NAMED.items()),
        *(_when(name, kind, {"pk": Cast(OuterRef("target_id"), UUIDField())}, limit) for name, kind in _KEYED.items()),
    ]
    return Q(Case(*whens, default=Value(value=False), output_field=BooleanField()))


_NAMED: Final[dict[str, tuple[type[Model], str]]] = {
    "system": (System, "slug"),
    "tool": (Tool, "link"),
    "agent": (Agent, "slug"),
    "client": (Client, "client_id"),
    "person": (Person, "login"),
    "person_agents": (Person, "login"),
}
_KEYED: Final[dict[str, type[Model]]] = {
    "grant": Grant,
    "session": Session,
    "token": IssuedToken,
    "token_family": TokenFamily,
}


def _when(target_type: str, kind: type[Model], key: dict[str, object], limit: RoleLimit) -> When:
    rows: QuerySet[Any] = QuerySet(kind)
    if kind is Tool:
        rows = rows.alias(link=Concat("system__slug", Value("/"), "name", output_field=TextField()))
    return When(target_type=target_type, then=Exists(rows.filter(within(limit, kind), **key)))


def _events(limit: RoleLimit) -> Q:
    """Events that are about one of the systems, one of the people, or one of the agents, by the links of the log."""
    found = NONE
    if limit.systems:
        found |= _linked("system:", System.objects.filter(pk__in=sorted(limit.systems)), "slug")
    if limit.departments:
        found |= _linked("agent:", Agent.objects.filter(sponsor__in=people_of(limit.departments)), "slug")
        found |= _linked("person:", Person.objects.filter(pk__in=people_of(limit.departments)), "login")
    return found


def _linked(prefix: str, rows: QuerySet[Any], name: str) -> Q:
    return Q(
        links__overlap=rows.order_by()
        .annotate(link=Concat(Value(prefix), name, output_field=TextField()))
        .values("link")
    )


_AGENT: Final = by(agent="agent_id")
_AT_OR_OF: Final = by(system="system", agent="agent_id", person="person_id")
_RULES: Final[dict[type[Model], Rule]] = {
    System: by(system="pk"),
    Tool: by(system="system"),
    Entitlement: by(system="system"),
    Person: by(person="pk"),
    Agent: by(agent="pk"),
    Client: _AGENT,
    ClientCredential: _AGENT,
    WorkloadRule: _rules,
    Connection: by(agent="agent_id", person="person_id"),
    Grant: _grants,
    Session: _sessions,
    IssuedToken: _AT_OR_OF,
    TokenFamily: _AT_OR_OF,
    Workflow: by(system="system", agent="agent_id"),
    Revocation: _revocations,
    Drill: _revocations,
    Event: _events,
}
