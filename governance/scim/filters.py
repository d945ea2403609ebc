"""SCIM's filters as conditions on rows (RFC 7644, section 3.4.2.2): what a directory asks to find its own people."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from scim2_models import InvalidFilterException
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from .door import plain

PEOPLE: Final = {
    "username": "user_name__iexact",
    "externalid": "external_id",
    "id": "pk",
    "displayname": "person__name__iexact",
    "emails": "person__email__iexact",
    "emails.value": "person__email__iexact",
    "active": "active",
}
GROUPS: Final = {
    "displayname": "group__name__iexact",
    "externalid": "external_id",
    "id": "pk",
    "members": "group__people__sourced__pk",
    "members.value": "group__people__sourced__pk",
}


def condition(node: FilterNode, fields: dict[str, str]) -> Q:
    """Return the condition of a filter: `eq`, `and`, `or`. Raises InvalidFilterException for anything else."""
    match node:
        case LogicalExpr():
            parts = [condition(term, fields) for term in node.terms]
            return reduce(and_ if node.op == LogicalOperator.and_ else or_, parts)
        case Comparison(op=CompareOperator.eq):
            name = ".".join(part for part in (node.attr_path.attr, node.attr_path.sub_attr) if part).lower()
            if name in fields:
                return _equals(fields[name], node.value)
    names = ", ".join(sorted(fields))
    raise InvalidFilterException(detail=f"Filters are eq, and, or on: {names}.")


def _equals(field: str, value: Any) -> Q:  # noqa: ANN401 - whatever the filter says
    plain(value)
    if field.endswith("pk"):
        try:
            return Q(**{field: UUID(str(value))})
        except ValueError:
            return Q(pk__in=[])
    if (field == "active") is not isinstance(value, bool):
        raise InvalidFilterException(detail="The value does not have the attribute's type.")
    return Q(**{field: value})
