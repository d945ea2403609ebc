"""Findings of the inventory: what should be looked at about an agent, as a filter of the list and as badges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Case, Func, Q, TextField, Value, When
from django.utils.translation import gettext_lazy as _

from audit import clock
from entitlements.agents.models import Agent
from governance.blast_radius.models import AgentSummary
from governance.ownership.models import Dormancy

UNREVIEWED_AFTER: Final = timedelta(days=365)
"""An agent that holds access and that no review decided about for so long is unreviewed."""
LABELS: Final[Mapping[str, Any]] = {
    "sod": _("SoD violation"),
    "orphaned": _("Orphaned"),
    "dormant": _("Dormant"),
    "changed_tool": _("Changed tool"),
    "old_secret": _("Old secret"),
    "unreviewed": _("Unreviewed"),
}
"""The findings, the weightiest first."""
_OVER: Final = Q(status=Agent.Status.RETIRED)


def conditions(now: datetime) -> dict[str, Q]:
    """Return when an agent has each finding. A retired agent has none."""
    orphaned = Q(sponsor__is_active=False) | Q(owner__is_active=False) | Q(owner=None)
    reviewed_long_ago = Q(summary__reviewed_at=None) | Q(summary__reviewed_at__lt=now - UNREVIEWED_AFTER)
    found = {
        "sod": Q(summary__sod_violations__gt=0),
        "orphaned": orphaned,
        "dormant": Q(status=Agent.Status.ACTIVE, dormancy__step__gt=Dormancy.Step.IN_USE),
        "changed_tool": Q(summary__changed_tools__gt=0),
        "old_secret": Q(summary__old_secrets__gt=0),
        "unreviewed": Q(summary__tools__gt=0) & reviewed_long_ago,
    }
    return {key: condition & ~_OVER for key, condition in found.items()}


def stored() -> Any:  # noqa: ANN401 - an expression
    """Return the keys of the findings of an agent, with a space between."""
    found = [Case(When(condition, then=Value(key))) for key, condition in conditions(clock.now()).items()]
    return Func(Value(" "), *found, function="concat_ws", output_field=TextField())


def of_agent(agent: Agent, summary: AgentSummary | None, now: datetime) -> list[Any]:
    """Return the labels of the findings of an agent that was read with its owners and its dormancy."""
    if agent.status == Agent.Status.RETIRED:
        return []
    dormancy: Dormancy | None = getattr(agent, "dormancy", None)
    owners = (agent.sponsor, agent.owner)
    found = {
        "orphaned": any(who is None or not who.is_active for who in owners),
        "dormant": agent.status == Agent.Status.ACTIVE and dormancy is not None and bool(dormancy.step),
    }
    if summary is not None:
        since = now - UNREVIEWED_AFTER
        found |= {
            "sod": summary.sod_violations > 0,
            "changed_tool": summary.changed_tools > 0,
            "old_secret": summary.old_secrets > 0,
            "unreviewed": summary.tools > 0 and (summary.reviewed_at is None or summary.reviewed_at < since),
        }
    return [label for key, label in LABELS.items() if found.get(key)]
