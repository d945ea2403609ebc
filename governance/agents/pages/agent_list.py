"""The list of agents."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from entitlements.agents.models import Agent
from governance.agents.queries import agents as read
from governance.console import doors
from governance.console.kit.lists import cells, lists, selection
from governance.console.kit.lists.layout import Bulk, Choice, Column, Facet, Layout, View
from governance.revocations.pages import stop_several

_STATES: Final = (
    (Agent.Status.ACTIVE, gettext_lazy("Active")),
    (Agent.Status.STAGED, gettext_lazy("Pending")),
    (Agent.Status.SUSPENDED, gettext_lazy("Suspended")),
    (Agent.Status.RETIRED, gettext_lazy("Retired")),
)
_NOT_OWNED: Final = (Q(sponsor__is_active=False) | Q(owner__is_active=False) | Q(owner=None)) & ~Q(
    status=Agent.Status.RETIRED
)


def _ownership(agent: Agent) -> SafeString:
    """Show who owns an agent, as sponsor and technically."""
    sponsor = cells.person("sponsor")(agent)
    if agent.owner is None:
        return format_html('{}<span class="sub">{}</span>', sponsor, _("no technical owner"))
    owner = format_html(_("technical: {}"), cells.person("owner")(agent))
    return format_html('{}<span class="sub">{}</span>', sponsor, owner)


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
        Column("sponsor", gettext_lazy("Ownership"), "sponsor__name", sorts="sponsor__name", cell=_ownership),
        Column("owner", gettext_lazy("Technical owner"), "owner__name", sorts="owner__name", usual=False),
        Column("access", gettext_lazy("Access"), "live_grants", number=True),
        Column("used", gettext_lazy("Last used"), "last_used", cell=cells.moment("last_used", gettext_lazy("never"))),
        Column("added", gettext_lazy("Added"), "created_at", sorts="created_at", greatest_first=True, usual=False),
        Column("state", gettext_lazy("State"), "status", sorts="status", cell=cells.status("status")),
    ),
    order="agent",
    facets=(
        Facet("state", gettext_lazy("State"), "status", choices=_STATES),
        Facet("kind", gettext_lazy("Kind"), "kind", choices=Agent.Kind.choices),
        Facet("needs", gettext_lazy("Findings"), choices=(Choice("heir", gettext_lazy("Orphaned"), _NOT_OWNED),)),
        Facet("system", gettext_lazy("Has access to"), reference="system", narrow=read.with_access_to),
        Facet("sponsor", gettext_lazy("Sponsor"), "sponsor__login", reference="person"),
    ),
    search=("slug", "name", "purpose"),
    search_label=gettext_lazy("Name or purpose"),
    views=(
        View("orphaned", gettext_lazy("Orphaned"), "needs=heir"),
        View("suspended", gettext_lazy("Suspended"), "state=suspended"),
    ),
    bulk=(
        Bulk(
            gettext_lazy("Suspend selected agents"),
            lambda: reverse("stop-several", args=["agent"]),
            lambda caller, rows: stop_several.stoppable(caller, "agent", rows),
            is_danger=True,
        ),
    ),
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
