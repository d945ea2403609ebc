"""The figures of the posture report: the name, the definition, and the list that shows exactly what is counted.

A figure is counted by the condition of the facet that its address names, so that the number and the list agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.utils.translation import gettext_lazy as _


class Group(StrEnum):
    """The parts of a report, in their order."""

    AGENTS = "agents"
    ACCESS = "access"
    SOD = "sod"
    REVIEWS = "reviews"
    RADIUS = "radius"
    REVOCATION = "revocation"


GROUPS: Final[Mapping[Group, Any]] = {
    Group.AGENTS: _("Agents and coverage"),
    Group.ACCESS: _("Access"),
    Group.SOD: _("Separation of duties"),
    Group.REVIEWS: _("Access reviews"),
    Group.RADIUS: _("Blast radius"),
    Group.REVOCATION: _("Revocation"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `page` and `query` are the list of what is counted; `unit` is empty for a count.

    `is_better` says in which direction it gets better: -1 when fewer, 1 when more, 0 for neither. What is not
    `by_department` is known for the company alone.
    """

    key: str
    group: Group
    label: Any
    definition: Any
    page: str
    query: str = ""
    is_better: int = 0
    unit: str = ""
    by_department: bool = True


_AGENTS, _GRANTS, _ITEMS = "agent-list", "grant-list", "posture-items"

FIGURES: Final = (
    Figure("active", Group.AGENTS, _("Active agents"), _("Agents in state active."), _AGENTS, "state=active"),
    Figure(
        "orphaned",
        Group.AGENTS,
        _("Orphaned agents"),
        _("Agents whose sponsor or technical owner has left, or that have no technical owner."),
        _AGENTS,
        "finding=orphaned",
        is_better=-1,
    ),
    Figure(
        "no_owner",
        Group.AGENTS,
        _("Agents without a technical owner"),
        _("Agents that have never had a technical owner, or lost theirs. They are orphaned too."),
        _AGENTS,
        "owner=none",
        is_better=-1,
    ),
    Figure(
        "dormant",
        Group.AGENTS,
        _("Dormant agents"),
        _("Active agents that are unused for so long that their sponsor was warned or asked."),
        _AGENTS,
        "finding=dormant",
        is_better=-1,
    ),
    Figure(
        "seen",
        Group.AGENTS,
        _("Governed agents"),
        _("Agents that hold access and whose calls all pass the gateway, where each is seen."),
        _AGENTS,
        "calls=seen",
        is_better=1,
    ),
    Figure(
        "past",
        Group.AGENTS,
        _("Agents with calls past the gateway"),
        _("Agents with access to at least one system by a path on which single calls are not seen."),
        _AGENTS,
        "calls=past",
        is_better=-1,
    ),
    Figure(
        "unmanaged",
        Group.AGENTS,
        _("Unmanaged agents"),
        _("Agents that a file or a log named, that match no agent here and are not blocked."),
        "adoption-list",
        "state=unmatched",
        is_better=-1,
        by_department=False,
    ),
    Figure(
        "old_secret",
        Group.AGENTS,
        _("Agents with an old secret"),
        _("Agents with a client whose shared secret is older than a year."),
        _AGENTS,
        "finding=old_secret",
        is_better=-1,
    ),
    Figure(
        "privileged",
        Group.ACCESS,
        _("Privileged grants"),
        _("Grants in force that cover a tool of high or critical risk level."),
        _GRANTS,
        "finding=privileged",
        is_better=-1,
    ),
    Figure(
        "privileged_used",
        Group.ACCESS,
        _("Privileged grants in use"),
        _("Grants in force of which a tool of high or critical risk level was called in the last 90 days."),
        _GRANTS,
        "finding=privileged_used",
    ),
    Figure(
        "unused",
        Group.ACCESS,
        _("Unused grants"),
        _("Grants in force at systems whose calls pass the gateway, without a call in the last 90 days."),
        _GRANTS,
        "finding=unused",
        is_better=-1,
    ),
    Figure(
        "unreviewed",
        Group.ACCESS,
        _("Grants not reviewed in time"),
        _("Grants in force that no person kept in a review within 365 days (low risk), 180 (medium), 90 (high)."),
        _GRANTS,
        "finding=unreviewed",
        is_better=-1,
    ),
    Figure(
        "sod",
        Group.SOD,
        _("Agents with an SoD violation"),
        _("Agents that violate an SoD policy in force without an exception."),
        _AGENTS,
        "finding=sod",
        is_better=-1,
    ),
    Figure(
        "sod_exception",
        Group.SOD,
        _("Agents with an SoD exception"),
        _("Agents with an exception from an SoD policy in force."),
        _AGENTS,
        "exception=open",
        is_better=-1,
    ),
    Figure(
        "overdue",
        Group.REVIEWS,
        _("Overdue review items"),
        _("Items of active access reviews that are past their due date and not decided."),
        _ITEMS,
        "finding=overdue",
        is_better=-1,
    ),
    Figure(
        "failed",
        Group.REVIEWS,
        _("Failed remediations"),
        _("Review items whose remediation failed its verification: the access may still work."),
        _ITEMS,
        "finding=failed",
        is_better=-1,
    ),
    Figure(
        "verified",
        Group.REVIEWS,
        _("Verified remediations"),
        _("Review items whose remediation was verified in the last 90 days."),
        _ITEMS,
        "finding=verified",
    ),
    Figure(
        "radius_high",
        Group.RADIUS,
        _("Blast radius of 75 and more"),
        _("Active agents with a blast radius from 75 to 100."),
        _AGENTS,
        "state=active&radius=high",
        is_better=-1,
    ),
    Figure(
        "radius_medium",
        Group.RADIUS,
        _("Blast radius of 50 to 74"),
        _("Active agents with a blast radius from 50 to 74."),
        _AGENTS,
        "state=active&radius=medium",
    ),
    Figure(
        "radius_low",
        Group.RADIUS,
        _("Blast radius under 50"),
        _("Active agents with a blast radius under 50."),
        _AGENTS,
        "state=active&radius=low",
    ),
    Figure(
        "revoke_ms",
        Group.REVOCATION,
        _("Median time to revoke"),
        _("Median time until the slowest node obeyed, over the last 100 revocations."),
        "stops",
        is_better=-1,
        unit="ms",
    ),
)
BY_KEY: Final = {figure.key: figure for figure in FIGURES}
COUNTED: Final = tuple(figure.key for figure in FIGURES if not figure.unit)
"""The figures that are counts: the company's is the sum of those of the departments."""
