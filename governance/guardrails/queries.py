"""What the pages of guardrails show: terms in words, and what observing ones would have changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Sum
from django.utils.dateparse import parse_duration
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.decisions import limits
from entitlements.guardrails.models import GuardrailVersion
from governance.guardrails.models import GuardrailProposal, ObservedCalls
from governance.what_if.models import WhatIf

DAYS: Final = 30
MOST_NAMED: Final = 10
LABELS: Final = {
    "system": gettext_lazy("System"),
    "tool": gettext_lazy("Tool"),
    "action": gettext_lazy("Action"),
    "risk": gettext_lazy("Risk level, from"),
    "data_class": gettext_lazy("Data class"),
    "agent_kind": gettext_lazy("Agent type"),
    "delegation_depth": gettext_lazy("Agents behind, at least"),
    "argument": gettext_lazy("Arguments"),
    "time": gettext_lazy("Time"),
    "session_risk": gettext_lazy("Session risk level, from"),
    "labels": gettext_lazy("Session labels"),
}
EFFECTS: Final = {
    GuardrailVersion.Effect.FORBID: gettext_lazy("Forbids"),
    GuardrailVersion.Effect.HOLD: gettext_lazy("Holds for approval"),
    GuardrailVersion.Effect.STEP_UP: gettext_lazy("Asks for step-up authentication"),
}
MODES: Final = {
    GuardrailVersion.Mode.OBSERVE: gettext_lazy("Observe"),
    GuardrailVersion.Mode.ENFORCE: gettext_lazy("Enforce"),
    GuardrailVersion.Mode.OFF: gettext_lazy("Off"),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition in words; `before` only where a proposal changes it."""

    label: Any
    value: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls by name, the most first, with links; `more` names are not shown."""

    kind: str
    label: Any
    rows: list[tuple[str, int]]
    more: int


@dataclass(frozen=True, slots=True)
class Observed:
    """The calls that a version would have changed in the last days, by day, agent, tool and person."""

    calls: int
    days: list[tuple[Any, int]]
    counted: list[Counted]


def terms(row: GuardrailProposal, before: GuardrailProposal | None = None) -> list[Term]:
    """Return what a version says, or what it says otherwise than the one before."""
    then, now = _words(row), {} if before is None else _words(before)
    if before is None:
        return [Term(label, value) for label, value in then.items()]
    none = _("none")
    return [
        Term(label, then.get(label, none), now.get(label, none))
        for label in {**then, **now}
        if then.get(label) != now.get(label)
    ]


def _words(row: GuardrailProposal) -> dict[Any, str]:
    found = {
        _("Effect"): str(EFFECTS[GuardrailVersion.Effect(row.effect)]),
        _("Mode"): str(MODES[GuardrailVersion.Mode(row.mode)]),
    }
    if row.effect == GuardrailVersion.Effect.STEP_UP:
        found[_("Sign-in at most, seconds old")] = str(row.max_age or 300)
        if row.acr:
            found[_("Sign-in in one of these contexts (acr)")] = ", ".join(row.acr)
    return found | {
        str(LABELS[word]): condition_text(word, row.conditions[word]) for word in LABELS if word in row.conditions
    }


def condition_text(word: str, value: Any) -> str:  # noqa: ANN401 - JSON
    """Say one condition."""
    if word == "argument":
        return " ".join(limits.describe(value))
    if word == "time":
        days = ", ".join(value.get("days", [])) or _("every day")
        clock_times = f"{value['from']}-{value['to']}" if "from" in value else _("the whole day")
        return f"{days}, {clock_times}, {value['zone']}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, str | int) else json.dumps(value)


def terms_of(change: Mapping[str, Any]) -> list[Term]:
    """Return what a guardrail says that is a change to replay (`governance.what_if`)."""
    age = change.get("max_age")
    parsed = parse_duration(age) if age else None
    seconds = None if parsed is None else int(parsed.total_seconds())
    row = GuardrailProposal(effect=change["effect"], mode=GuardrailVersion.Mode.ENFORCE, conditions=change["when"])
    row.max_age, row.acr = seconds, change.get("acr", [])
    return terms(row)


def observed(version: int) -> Observed:
    """Count what a version would have changed in the last days."""
    since = (clock.now() - timedelta(days=DAYS)).date()
    rows = ObservedCalls.objects.filter(version=version, day__gte=since)
    days = list(rows.values_list("day").annotate(n=Sum("calls")).order_by("-day"))
    names = {"agent": _("Agents"), "tool": _("Tools"), "person": _("People")}
    counted = [_counted(rows, kind, label) for kind, label in names.items()]
    return Observed(sum(calls for _day, calls in days), days, counted)


def _counted(rows: Any, kind: str, label: str) -> Counted:  # noqa: ANN401 - a query set
    named = rows.exclude(**{kind: ""}).values_list(kind).annotate(n=Sum("calls")).order_by("-n", kind)
    found = list(named[:MOST_NAMED])
    total = rows.exclude(**{kind: ""}).aggregate(n=Count(kind, distinct=True))["n"]
    return Counted(kind, label, found, total - len(found))


def observed_calls(versions: list[int]) -> dict[int, int]:
    """Count the calls that each of some versions would have changed in the last days."""
    since = (clock.now() - timedelta(days=DAYS)).date()
    rows = ObservedCalls.objects.filter(version__in=versions, day__gte=since)
    return dict(rows.values_list("version").annotate(n=Sum("calls")))


def replayed(row: GuardrailProposal) -> list[Counted]:
    """Return whom and what a replay would have changed, the most first."""
    counts = {} if row.what_if is None else figures(row.what_if)
    labels = {"agent": ("agents", _("Agents")), "tool": ("tools", _("Tools")), "person": ("people", _("People"))}
    return [
        Counted(kind, label, rows := Counter(counts[word]).most_common(MOST_NAMED), counts["named"][word] - len(rows))
        for kind, (word, label) in labels.items()
        if counts
    ]


def figures(found: WhatIf) -> dict[str, Any]:
    """Return what a replay counts: calls, those that would change by agent, tool and person, and how many names."""
    agents: Counter[str] = Counter()
    tools: Counter[str] = Counter()
    for row in found.result.get("by", ()):
        agents[row["agent"]] += row["calls"]
        tools[row["tool"]] += row["calls"]
    people = {row["person"]: row["calls"] for row in found.result.get("people", ())}
    counts = {name: found.figure(name) for name in ("calls", "denied_anyway", "unknown")}
    names = {"agents": dict(agents), "tools": dict(tools), "people": people}
    named = found.result.get("named") or {word: len(each) for word, each in names.items()}
    return {**counts, "changed": found.figure("denied"), **names, "named": named}
