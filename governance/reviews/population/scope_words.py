"""The stored kind and scope of a review as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from governance.reviews.campaigns.models import Campaign

Kind = Campaign.Kind
_SUBJECTS: Final[Mapping[str, Any]] = {
    Kind.PRIVILEGED_TOOLS: gettext_lazy("All access in force with a tool of high or critical risk"),
    Kind.FINDINGS: gettext_lazy("All access in force with an open finding"),
    Kind.DELEGATION: gettext_lazy("Each agent with each person whom it acts for"),
    Kind.OWNERSHIP: gettext_lazy("All agents that are not retired"),
    Kind.CREDENTIAL: gettext_lazy("All credentials that work"),
    Kind.ENTITLEMENT_DEFINITION: gettext_lazy("All entitlements that are enabled"),
    Kind.CONSOLE_ACCESS: gettext_lazy("All roles and personal tokens in Mandate"),
}
_FIELDS: Final[Mapping[str, Any]] = {
    "agent.slug": gettext_lazy("agent"),
    "agent.kind": gettext_lazy("agent type"),
    "agent.status": gettext_lazy("state of the agent"),
    "agent.sponsor": gettext_lazy("sponsor"),
    "agent.owner": gettext_lazy("technical owner"),
    "system.slug": gettext_lazy("system"),
    "system.kind": gettext_lazy("kind of system"),
    "system.owner": gettext_lazy("owner of the system"),
    "entitlement.scope": gettext_lazy("entitlement"),
    "grant.state": gettext_lazy("state of the access"),
    "grant.age_days": gettext_lazy("age in days"),
    "grant.expires_in_days": gettext_lazy("days until it ends"),
    "grant.calls_90d": gettext_lazy("calls in 90 days"),
    "tool.name": gettext_lazy("some tool"),
    "tool.action": gettext_lazy("what some tool does"),
    "tool.data_class": gettext_lazy("data of some tool"),
    "tool.state": gettext_lazy("state of some tool"),
    "tool.risk": gettext_lazy("risk of some tool"),
    "person": gettext_lazy("some person or group"),
}
_OPERATORS: Final[Mapping[str, Any]] = {
    "eq": gettext_lazy("%(field)s is %(value)s"),
    "has": gettext_lazy("%(field)s is %(value)s"),
    "in": gettext_lazy("%(field)s is one of %(value)s"),
    "gte": gettext_lazy("%(field)s is at least %(value)s"),
    "lte": gettext_lazy("%(field)s is at most %(value)s"),
    "isnull True": gettext_lazy("%(field)s is not known"),
    "isnull False": gettext_lazy("%(field)s is known"),
}
_ACTIONS: Final[Mapping[str, Any]] = {
    "read": gettext_lazy("with a tool that can read"),
    "write": gettext_lazy("with a tool that can change things"),
    "delete": gettext_lazy("with a tool that can delete things"),
    "execute": gettext_lazy("with a tool that can run commands"),
}


@dataclass(frozen=True, slots=True)
class ScopeDescription:
    """The scope of a review as a sentence, its exclusions with their reasons, and what is carried forward."""

    sentence: str
    left_out: tuple[tuple[str, str], ...]
    carried: str
    framework: str


def describe(campaign: Campaign) -> ScopeDescription:
    """Describe what a campaign covers."""
    carried = ""
    if campaign.mode == Campaign.Mode.DELTA:
        carried = ngettext(
            "What a person kept at most %(n)d day before, and what has not changed since.",
            "What a person kept at most %(n)d days before, and what has not changed since.",
            campaign.carry_days,
        ) % {"n": campaign.carry_days}
    framed = campaign.framework != Campaign.Framework.NONE
    return ScopeDescription(
        sentence(campaign.scope, campaign.kind),
        tuple((condition(each["where"]), str(each["reason"])) for each in campaign.scope.get("exclude", [])),
        carried,
        campaign.get_framework_display() if framed else "",
    )


def sentence(scope: Mapping[str, Any], kind: str) -> str:
    """Return a scope as one sentence."""
    parts = [str(_SUBJECTS.get(kind) or _("All access in force"))]
    if systems := scope.get("systems"):
        parts.append(_("at %(systems)s") % {"systems": ", ".join(systems)})
    if agents := scope.get("agents"):
        parts.append(_("of %(agents)s") % {"agents": ", ".join(agents)})
    if departments := scope.get("departments"):
        parts.append(_("of agents of %(departments)s") % {"departments": ", ".join(departments)})
    text = ", ".join([" ".join(parts), *_conditions(scope.get("where"))])
    return f"{text}."


def _conditions(where: Mapping[str, Any] | None) -> list[str]:
    """Return each condition of a scope as text."""
    if not where:
        return []
    return [condition(part) for part in where.get("and", [where])]


def condition(data: Mapping[str, Any]) -> str:
    """Return a condition as text, with nested conditions in brackets."""
    if "not" in data:
        return _("not (%(what)s)") % {"what": condition(data["not"])}
    if "and" in data:
        return _(" and ").join(_within(part) for part in data["and"])
    if "or" in data:
        return _(" or ").join(_within(part) for part in data["or"])
    return _comparison(data["field"], data["op"], data["value"])


def _within(data: Mapping[str, Any]) -> str:
    return f"({condition(data)})" if {"and", "or"} & set(data) else condition(data)


def _comparison(name: str, op: str, value: Any) -> str:  # noqa: ANN401 - what a checked scope holds
    match name, op:
        case "grant.id", _op:
            count = len(value) if isinstance(value, list) else 1
            return ngettext("%(n)d access that is named", "%(n)d accesses that are named", count) % {"n": count}
        case "grant.age_days", "gte":
            return ngettext("older than %(n)d day", "older than %(n)d days", value) % {"n": value}
        case "grant.calls_90d", "eq" if value == 0:
            return _("not called in 90 days")
        case "tool.risk", "gte":
            return _("with a tool of %(risk)s risk or above") % {"risk": value}
        case "tool.action", "has" | "eq" if value in _ACTIONS:
            return str(_ACTIONS[value])
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return str(_OPERATORS[f"isnull {value}" if op == "isnull" else op]) % {"field": _FIELDS[name], "value": text}
