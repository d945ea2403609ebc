"""The scope of a campaign as a small typed language: conditions over a list of fields, never free SQL.

A scope is an object, each part optional: `systems` and `agents` by slug, `departments` by the name that a people source
gives them (an agent is of the department of its sponsor), `where` a condition, `exclude` a list of conditions with a
reason. A condition is {"field": ..., "op": ..., "value": ...}, or {"and": [...]}, {"or": [...]},
{"not": {...}}. A condition on `tool.*` or `person` matches a grant if any of its tools or people matches. The scope is
evaluated whenever a campaign is staged; excluded grants stay in the population, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from entitlements.access import role_reach
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from entitlements.people_sources.models import SourcedPerson
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import BadScope
from governance.reviews.usage import usage

from . import open_findings

_DEEPEST, _MOST_CONDITIONS, _MOST_VALUES, _LONGEST, _LARGEST = 6, 50, 200, 200, 1_000_000
_TEXT: Final = frozenset({"eq", "in", "isnull"})
_NUMBER: Final = frozenset({"eq", "gte", "lte"})
_SOME: Final = frozenset({"has", "eq", "in"})
_RANKED: Final = frozenset({"has", "eq", "in", "gte", "lte"})
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PRIVILEGED: Final = {"field": "tool.risk", "op": "gte", "value": "high"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the column it reads, the operators it takes, and what it is a property of."""

    column: str
    ops: frozenset[str]
    of: str = "grant"


FIELDS: Final[Mapping[str, Field]] = {
    "agent.slug": Field("agent__slug", _TEXT),
    "agent.kind": Field("agent__kind", _TEXT),
    "agent.status": Field("agent__status", _TEXT),
    "agent.sponsor": Field("agent__sponsor__login", _TEXT),
    "agent.owner": Field("agent__owner__login", _TEXT),
    "system.slug": Field("entitlement__system__slug", _TEXT),
    "system.kind": Field("entitlement__system__kind", _TEXT),
    "system.owner": Field("entitlement__system__owner__login", _TEXT),
    "entitlement.scope": Field("entitlement__scope", _TEXT),
    "grant.id": Field("pk", frozenset({"eq", "in"}), "grant_id"),
    "grant.state": Field("state", _TEXT),
    "grant.age_days": Field("starts_at", _NUMBER, "age"),
    "grant.expires_in_days": Field("expires_at", _NUMBER, "rest"),
    "grant.calls_90d": Field("calls", _NUMBER, "calls"),
    "tool.name": Field("tool__name", _SOME, "tool"),
    "tool.action": Field("tool__action", _SOME, "tool"),
    "tool.data_class": Field("tool__data_class", _SOME, "tool"),
    "tool.state": Field("tool__state", _SOME, "tool"),
    "tool.risk": Field("tool__risk", _RANKED, "tool"),
    "person": Field("person__login", _SOME, "person"),
}
_SIGNS: Final = {"eq": "=", "gte": ">=", "lte": "<="}
_CALLED: Final = f"""
WITH RECURSIVE chain AS ({
    usage.chain(
        "SELECT id, starts_at, request_id FROM entitlements_grant WHERE ended_at IS NULL OR ended_at > %s::timestamptz"
    )
}) SELECT c.grant_id FROM chain c LEFT JOIN governance_usageday u ON u.grant_id = c.member AND u.day >= %s
GROUP BY 1 HAVING coalesce(sum(u.calls), 0) {{op}} %s
"""  # noqa: S608 - made of constants
"""The grants with so many calls, including calls under the grants that they renew."""
OF_ACCESS: Final = (Campaign.Kind.AGENT_OWNER, Campaign.Kind.RESOURCE_OWNER, Campaign.Kind.PRIVILEGED_TOOLS)
"""The kinds of campaigns that select access by its own terms alone, which stay known after it has ended."""
_NAMED: Final[Mapping[str, tuple[Callable[[], QuerySet[Any]], str]]] = {
    "systems": (System.objects.all, "slug"),
    "agents": (Agent.objects.all, "slug"),
    "departments": (SourcedPerson.objects.all, "department"),
}
"""The parts that name things: the rows that there are, and their field with the name."""


def check(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scope as it is stored. Raises BadScope with the field that is wrong."""
    checked: dict[str, Any] = {}
    for part, data in scope.items():
        if part in _NAMED:
            checked[part] = _names(part, data)
        elif part == "where":
            checked[part] = _condition(data)
        elif part == "exclude" and isinstance(data, list) and len(data) <= _MOST_CONDITIONS:
            checked[part] = [_exclusion(each) for each in data]
        else:
            raise BadScope(field=str(part)[:64])
    return checked


def _names(part: str, data: object) -> list[str]:
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise BadScope(field=part)
    rows, field = _NAMED[part]
    known = set(rows().filter(**{f"{field}__in": data}).values_list(field, flat=True)) - {""}
    if not data or known != set(data):
        raise BadScope(field=part, unknown=sorted(set(data) - known)[:20])
    return sorted(known)


def _exclusion(data: object) -> dict[str, Any]:
    if not isinstance(data, dict) or set(data) != {"where", "reason"}:
        raise BadScope(field="exclude")
    reason = data["reason"]
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _LONGEST:
        raise BadScope(field="exclude.reason")
    return {"where": _condition(data["where"]), "reason": reason.strip()}


def _condition(data: object) -> dict[str, Any]:
    left = [_MOST_CONDITIONS]
    return _read(data, 0, left)


def _read(data: object, depth: int, left: list[int]) -> dict[str, Any]:
    left[0] -= 1
    if not isinstance(data, dict) or depth > _DEEPEST or left[0] < 0:
        raise BadScope(field="where")
    match data:
        case {"and": list() as parts, **rest} if parts and not rest:
            return {"and": [_read(part, depth + 1, left) for part in parts]}
        case {"or": list() as parts, **rest} if parts and not rest:
            return {"or": [_read(part, depth + 1, left) for part in parts]}
        case {"not": part, **rest} if not rest:
            return {"not": _read(part, depth + 1, left)}
        case {"field": str() as name, "op": str() as op, "value": value, **rest} if not rest and name in FIELDS:
            _check_value(name, op, value)
            return {"field": name, "op": op, "value": value}
    raise BadScope(field=str(data.get("field", "where"))[:64])


def _check_value(name: str, op: str, value: object) -> None:
    """Raise BadScope unless the field knows the operator and the value is of its type."""
    field = FIELDS[name]
    values = value if op == "in" and isinstance(value, list) else [value]
    if field.ops == _NUMBER:
        fits = type(value) is int and 0 <= value <= _LARGEST
    elif op == "isnull":
        fits = isinstance(value, bool)
    elif (op == "in") != isinstance(value, list):
        fits = False
    else:
        fits = 0 < len(values) <= _MOST_VALUES and all(
            isinstance(each, str) and 0 < len(each) <= _LONGEST for each in values
        )
        if field.of == "grant_id":
            fits = fits and all(_UUID.fullmatch(str(each)) for each in values)
        if name == "tool.risk":
            fits = fits and all(each in set(Risk) for each in values)
    if op not in field.ops or not fits:
        raise BadScope(field=name, op=op[:16])


def matching(scope: Mapping[str, Any], kind: str, now: datetime) -> QuerySet[Grant]:
    """Return the grants in force within a checked scope, including those that it excludes."""
    return _within(Grant.objects.filter(ended_at=None, expires_at__gt=now), scope, kind, now)


def ended_grants(campaign: Campaign, grant_ids: Collection[UUID] | None = None) -> QuerySet[Grant]:
    """Return the grants within the scope of a campaign that ended in the window before its population was taken.

    With `grant_ids` it selects among those, whatever end their rows have: the audit log named them.
    """
    taken = campaign.snapshot_at
    if taken is None or campaign.kind not in OF_ACCESS:
        return Grant.objects.none()
    rows = Grant.objects.filter(ended_at__gt=taken - usage.WINDOW, ended_at__lte=taken)
    rows = rows if grant_ids is None else Grant.objects.filter(pk__in=grant_ids)
    return _within(rows, campaign.scope, campaign.kind, taken)


def _within(rows: QuerySet[Grant], scope: Mapping[str, Any], kind: str, now: datetime) -> QuerySet[Grant]:
    if scope.get("systems"):
        rows = rows.filter(entitlement__system__slug__in=scope["systems"])
    if scope.get("agents"):
        rows = rows.filter(agent__slug__in=scope["agents"])
    if scope.get("departments"):
        rows = rows.filter(agent__in=role_reach.agents_of(scope["departments"]))
    if scope.get("where"):
        rows = rows.filter(compiled(scope["where"], now))
    if kind == Campaign.Kind.PRIVILEGED_TOOLS:
        rows = rows.filter(compiled(PRIVILEGED, now))
    if kind == Campaign.Kind.FINDINGS:
        rows = rows.filter(open_findings.open_findings())
    return rows


def compiled(data: Mapping[str, Any], now: datetime, *, negated: bool = False) -> Q:
    """Turn a checked condition, or its opposite with `negated`, into a filter of grants.

    What is not known matches neither: for calls that bypass our gateway no number is true, nor its opposite.
    """
    if "not" in data:
        return compiled(data["not"], now, negated=not negated)
    if "and" in data or "or" in data:
        parts = [compiled(part, now, negated=negated) for part in data.get("and", data.get("or"))]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined & part if ("and" in data) is not negated else joined | part
        return joined
    field = FIELDS[data["field"]]
    condition = _comparison(field, data["op"], data["value"], now)
    condition = ~condition if negated else condition
    return condition & _is_seen() if field.of == "calls" else condition


def _is_seen() -> Q:
    """Select the grants whose every call passes our gateway."""
    past = GrantLine.objects.filter(grant=OuterRef("pk")).exclude(tool__system__kind__in=usage.GATEWAY)
    return ~Q(Exists(past))


def _comparison(field: Field, op: str, value: Any, now: datetime) -> Q:  # noqa: ANN401 - checked by `_check_value`
    if field.of == "age":
        return _days(field.column, op, now - timedelta(days=value), turned=True)
    if field.of == "rest":
        return _days(field.column, op, now + timedelta(days=value), turned=False)
    if field.of == "calls":
        since = now - usage.WINDOW
        return Q(pk__in=RawSQL(_CALLED.format(op=_SIGNS[op]), [since, since.date(), value]))  # noqa: S611 - constants
    if field.of == "tool":
        return Q(Exists(GrantLine.objects.filter(_lookup(field.column, op, value), grant=OuterRef("pk"))))
    if field.of == "person":
        named = _lookup("person__login", op, value) | _lookup("group__slug", op, value)
        return Q(Exists(GrantSubject.objects.filter(named, grant=OuterRef("pk"))))
    return _lookup(field.column, op, value)


def _lookup(column: str, op: str, value: Any) -> Q:  # noqa: ANN401 - as above
    if op in ("gte", "lte"):  # risks alone are ranked
        bound = Risk(value).rank
        fitting = [risk.value for risk in Risk if (risk.rank >= bound if op == "gte" else risk.rank <= bound)]
        return Q(**{f"{column}__in": fitting})
    return Q(**{f"{column}__{ {'eq': 'exact', 'has': 'exact'}.get(op, op) }": value})


def _days(column: str, op: str, bound: datetime, *, turned: bool) -> Q:
    """Compare a time with a bound; `turned` for an age, which grows as its beginning moves back."""
    if op == "eq":
        return Q(**{f"{column}__gt": bound - timedelta(days=1), f"{column}__lte": bound})
    return Q(**{f"{column}__{('lte' if op == 'gte' else 'gte') if turned else op}": bound})


def as_sql(rows: QuerySet[Any], prefix: str) -> tuple[str, dict[str, Any]]:
    """Return the statement that selects the ids of rows, and its parameters, whose names begin with `prefix`."""
    sql, values = rows.order_by().values("pk").query.sql_with_params()
    names = iter(range(len(values)))
    named = re.sub(r"%(%|s)", lambda match: "%%" if match[1] == "%" else f"%({prefix}{next(names)})s", sql)
    return named, {f"{prefix}{number}": value for number, value in enumerate(values)}
