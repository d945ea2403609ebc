"""What is shown of policy domains: who sees which, their sizes, and whom of ours their subjects are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import F, Func, IntegerField, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import QueryDict

from entitlements.access.caller import SEE_EVERYTHING, Caller
from entitlements.people.models import Person
from entitlements.policy_domains import domains, rules
from entitlements.policy_domains.models import PolicyDomain
from entitlements.policy_domains.rules import Entity

ON_A_PAGE: Final = 25
_LONGEST: Final = 200
_PARTS: Final = ("subjects", "resources", "rules")


@dataclass(frozen=True, slots=True)
class ShownEntity:
    """A subject or a resource: its type, id and properties, and of a subject the person of ours that it is, if any."""

    kind: str
    id: str
    properties: str
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class ShownType:
    """A type of resources: its actions, which properties a caller may state, and how much there is of it."""

    name: str
    actions: Sequence[str]
    stated: Sequence[str]
    is_open: bool
    resources: int
    rules: int


def in_force() -> QuerySet[PolicyDomain]:
    """Return the policy domains in force, with what each document lists counted, without reading it."""
    sizes = {f"n_{part}": Coalesce(_length(f"document__{part}"), Value(0)) for part in _PARTS}
    return domains.current().annotate(**sizes, n_points=_length("points")).defer("document")


def _length(path: str) -> Func:
    return Func(F(path), function="jsonb_array_length", output_field=IntegerField())


def versions(row: PolicyDomain) -> QuerySet[PolicyDomain]:
    """Return the versions of the same system, the newest first, without their documents."""
    rows = PolicyDomain.objects.select_related("loaded_by", "system").filter(system=row.system)
    return rows.defer("document").order_by("-number")


def people_of(subjects: Mapping[Entity, rules.Properties], caller: Caller) -> dict[Entity, Person]:
    """Return the people of ours that subjects are: by login, and by mail address for who may see everybody's.

    A subject is matched by its id, and by its property `email`. Two queries, whatever their number.
    """
    named: dict[str, list[Entity]] = {}
    for entity, properties in subjects.items():
        for name in {entity[1], properties.get("email")}:
            if isinstance(name, str) and name:
                named.setdefault(name.casefold(), []).append(entity)
    everybody = Person.objects.only("login", "name", "email", "is_active")
    found = {person.login: person for person in everybody.filter(login__in=named)}
    if caller.has(*SEE_EVERYTHING):
        addressed = everybody.exclude(email="").annotate(lower=Func(F("email"), function="lower"))
        found = {person.lower: person for person in addressed.filter(lower__in=named)} | found
    return {entity: person for name, person in found.items() for entity in named[name]}


def subjects(domain: rules.PolicyDomain, caller: Caller, asked: QueryDict) -> tuple[Page[ShownEntity], int]:
    """Return a page of the subjects, and how many of all match no person in Mandate."""
    known = people_of(domain.subjects, caller)
    shown = _page(domain.subjects, asked, "subjects")
    rows = [_entity(entity, domain.subjects[entity], known.get(entity)) for entity in shown.object_list]
    shown.object_list = rows
    return shown, len(domain.subjects) - len(known)


def resources(domain: rules.PolicyDomain, asked: QueryDict) -> Page[ShownEntity]:
    """Return a page of the resources."""
    shown = _page(domain.resources, asked, "resources")
    shown.object_list = [_entity(entity, domain.resources[entity]) for entity in shown.object_list]
    return shown


def rules_of(document: Mapping[str, Any], asked: QueryDict) -> Page[dict[str, Any]]:
    """Return a page of the rules, as the document has them, each with its conditions in words."""
    said = [
        {**each, "conditions": [_spoken(one) for one in each.get("when", ())]} for each in document.get("rules", ())
    ]
    return Paginator(said, ON_A_PAGE).get_page(asked.get("rules"))


def types(domain: rules.PolicyDomain) -> list[ShownType]:
    """Return the types of resources, in the order of the document."""
    counted: dict[str, int] = {}
    for kind, _ in domain.resources:
        counted[kind] = counted.get(kind, 0) + 1
    permitting: dict[str, set[str]] = {}
    for (kind, _), found in domain.rules.items():
        permitting.setdefault(kind, set()).update(rule.name for rule in found)
    return [
        ShownType(
            name, kind.actions, sorted(kind.stated), kind.is_open, counted.get(name, 0), len(permitting.get(name, ()))
        )
        for name, kind in domain.resource_types.items()
    ]


def _page(entities: Mapping[Entity, rules.Properties], asked: QueryDict, name: str) -> Page[Any]:
    text = asked.get("find", "").strip().casefold()
    found = [entity for entity in entities if text in f"{entity[0]}/{entity[1]}".casefold()]
    return Paginator(found, ON_A_PAGE).get_page(asked.get(name))


def _entity(entity: Entity, properties: rules.Properties, person: Person | None = None) -> ShownEntity:
    text = json.dumps(properties, ensure_ascii=False) if properties else ""
    return ShownEntity(*entity, text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…", person)


def _spoken(condition: Mapping[str, Any]) -> str:
    (operator,) = condition.keys() - {"attribute"}
    operand = condition[operator]
    value = operand if operator == "same_as" else json.dumps(operand, ensure_ascii=False)
    return f"{condition['attribute']} {operator} {value}"[:_LONGEST]
