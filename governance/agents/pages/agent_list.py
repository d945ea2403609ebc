"""The list of agents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit import clock
from entitlements.agents.models import Agent
from governance.agents.queries import agents as read
from governance.agents.queries import findings
from governance.blast_radius.queries import departments
from governance.console import doors
from governance.console.kit import tags as kit
from governance.console.kit.lists import cells, lists, selection
from governance.console.kit.lists.layout import Bulk, Choice, Column, Facet, Layout, Stored, View
from governance.coverage_map import coverage_map
from governance.revocations.pages import stop_several

_STATES: Final = (
    (Agent.Status.ACTIVE, gettext_lazy("Active")),
    (Agent.Status.STAGED, gettext_lazy("Pending")),
    (Agent.Status.SUSPENDED, gettext_lazy("Suspended")),
    (Agent.Status.RETIRED, gettext_lazy("Retired")),
)
_SUSPEND: Final[Bulk[Agent]] = Bulk(
    gettext_lazy("Suspend selected agents"),
    lambda: reverse("stop-several", args=["agent"]),
    lambda caller, rows: stop_several.stoppable(caller, "agent", rows),
    is_danger=True,
)
_REVIEW: Final[Bulk[Agent]] = Bulk(
    gettext_lazy("Start an access review"),
    lambda: reverse("review-of-selected", args=["agent"]),
    lambda caller, rows: {row.slug for row in rows} if doors.may(caller, "campaigns", None) else (),
)


_DEPARTMENT: Final = "sponsor__sourced__department"
_RADII: Final = (
    Choice("high", gettext_lazy("75 and more"), findings.RADII["high"]),
    Choice("medium", gettext_lazy("50 to 74"), findings.RADII["medium"]),
    Choice("low", gettext_lazy("under 50"), findings.RADII["low"]),
)


def _findings(agent: Agent) -> list[Any]:
    return findings.of_agent(agent, getattr(agent, "summary", None), clock.now())


def _named(labels: Iterable[Any]) -> str:
    return ", ".join(map(str, labels))


def _badges(agent: Agent) -> object:
    badges = [("", kit.badge("warn", "triangle", label)) for label in _findings(agent)]
    return format_html_join(" ", "{}{}", badges) if badges else cells.nothing(_("none"))


def _choices(_request: HttpRequest) -> list[Choice]:
    conditions = findings.conditions(clock.now())
    return [Choice(key, label, conditions[key]) for key, label in findings.LABELS.items()]


def _departments(_request: HttpRequest) -> list[Choice]:
    return [Choice(value, label, departments.within(value)) for value, label in departments.choices()]


def _calls(_request: HttpRequest) -> list[Choice]:
    return [
        Choice("seen", gettext_lazy("Each call passes the gateway"), coverage_map.agents_seen()),
        Choice("past", gettext_lazy("Some calls go past the gateway"), coverage_map.agents_past()),
    ]


def _exceptions(_request: HttpRequest) -> list[Choice]:
    return [Choice("open", gettext_lazy("In force"), findings.with_exception(clock.now()))]


_NO_OWNER: Final = (Choice("none", gettext_lazy("None"), findings.without_owner()),)


LAYOUT: Final[Layout[Agent, Agent]] = Layout(
    name="agents",
    label=gettext_lazy("Agents"),
    columns=(
        Column(
            "agent",
            gettext_lazy("Agent"),
            "name",
            sorts="name",
            cell=cells.link("name", "agent-page", "slug", sub=lambda agent: Truncator(agent.purpose).chars(110)),
            main=True,
        ),
        Column("slug", gettext_lazy("Short name"), "slug", sorts="slug", cell=cells.code("slug"), usual=False),
        Column("kind", gettext_lazy("Kind"), "kind", sorts="kind", cell=Agent.get_kind_display),
        Column(
            "sponsor", gettext_lazy("Sponsor"), "sponsor__name", sorts="sponsor__name", cell=cells.person("sponsor")
        ),
        Column(
            "owner",
            gettext_lazy("Technical owner"),
            "owner__name",
            sorts="owner__name",
            cell=cells.person("owner", gettext_lazy("none")),
            usual=False,
        ),
        Column(
            "blast_radius",
            gettext_lazy("Blast radius"),
            "blast_radius",
            sorts="blast_radius",
            cell=lambda agent: kit.blast_radius(vars(agent)["blast_radius"]),
            number=True,
        ),
        Column(
            "findings",
            gettext_lazy("Findings"),
            lambda agent: _named(_findings(agent)),
            cell=_badges,
            stored=Stored(findings.stored, lambda keys: _named(findings.LABELS[key] for key in keys.split())),
        ),
        Column("access", gettext_lazy("Grants"), "grant_count", number=True),
        Column("tools", gettext_lazy("Tools"), "tool_count", number=True, usual=False),
        Column("privileged", gettext_lazy("Privileged tools"), "privileged_count", number=True, usual=False),
        Column("department", gettext_lazy("Department"), _DEPARTMENT, usual=False),
        Column(
            "used",
            gettext_lazy("Last used"),
            "last_used",
            sorts="last_used",
            cell=cells.moment("last_used", gettext_lazy("never")),
        ),
        Column("reviewed", gettext_lazy("Last review"), "reviewed_at", usual=False),
        Column("review", gettext_lazy("Next review"), "next_review_at", cell=cells.moment("next_review_at")),
        Column("added", gettext_lazy("Added"), "created_at", sorts="created_at", greatest_first=True, usual=False),
        Column("state", gettext_lazy("State"), "status", sorts="status", cell=cells.status("status")),
    ),
    order="agent",
    facets=(
        Facet("state", gettext_lazy("State"), "status", choices=_STATES),
        Facet("kind", gettext_lazy("Kind"), "kind", choices=Agent.Kind.choices),
        Facet("finding", gettext_lazy("Findings"), choices=_choices),
        Facet("radius", gettext_lazy("Blast radius"), choices=_RADII),
        Facet("department", gettext_lazy("Department"), choices=_departments),
        Facet("system", gettext_lazy("Has access to"), reference="system", narrow=read.with_access_to),
        Facet("sponsor", gettext_lazy("Sponsor"), "sponsor__login", reference="person"),
        Facet("owner", gettext_lazy("Technical owner"), choices=_NO_OWNER, count=False, offered=False),
        Facet("exception", gettext_lazy("SoD exception"), choices=_exceptions, count=False, offered=False),
        Facet("calls", gettext_lazy("Calls"), choices=_calls, count=False, offered=False),
    ),
    search=("slug", "name", "purpose"),
    search_label=gettext_lazy("Name or purpose"),
    views=(
        View("riskiest", gettext_lazy("Biggest blast radius"), "state=active&sort=-blast_radius"),
        View("orphaned", gettext_lazy("Orphaned"), "finding=orphaned"),
        View("dormant", gettext_lazy("Dormant"), "finding=dormant&sort=-blast_radius"),
        View("suspended", gettext_lazy("Suspended"), "state=suspended"),
    ),
    bulk=(_REVIEW, _SUSPEND),
    key="slug",
    empty="console/agents/no_agents.html",
)


selection.offer(LAYOUT, lambda request: read.listed(doors.caller(request)))


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List agents."""
    caller = doors.caller(request)
    context: dict[str, Any] = {"may_add": doors.may(caller, "agents", None)}
    return lists.show(request, LAYOUT, read.listed(caller), "console/agents/agents.html", context)
