"""Agents: one agent from all sides, starting it again, ending one of its sessions."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents import actions, lifecycle
from entitlements.agents.models import Agent
from entitlements.delegation import actions as delegation_actions
from entitlements.sessions import actions as session_actions
from governance.agents import summaries
from governance.agents.queries import access_map as access_map_queries
from governance.agents.queries import agents as read
from governance.agents.queries import findings, terms
from governance.audit_log.queries import events as events_queries
from governance.budgets import pages as budget_pages
from governance.clients.queries import credentials
from governance.console import doors, paging
from governance.console.kit import combobox
from governance.ownership import actions as ownership_actions
from governance.ownership.models import OwnershipProposal
from governance.reviews.event_triggered import visibility as visibility_actions
from governance.sod import check

TABS: Final = {
    "access": gettext_lazy("Access"),
    "timeline": gettext_lazy("Timeline"),
    "tokens": gettext_lazy("Sessions and tokens"),
    "people": gettext_lazy("People"),
    "versions": gettext_lazy("Versions"),
    "reviews": gettext_lazy("Reviews"),
}

MEANINGS: Final = {
    Agent.Kind.PERSONAL: gettext_lazy("Acts for its sponsor alone."),
    Agent.Kind.SHARED: gettext_lazy("Acts for several people, each under their own name."),
    Agent.Kind.SERVICE: gettext_lazy("A service account: acts for no person."),
    Agent.Kind.EPHEMERAL: gettext_lazy("Made for one task. It retires at a set time."),
}
"""For whom agents of each type act."""


def _address(agent: Agent) -> str:
    return reverse("agent-page", args=[agent.slug])


@require_safe
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one agent, on the tab that the address names."""
    caller = doors.caller(request)
    agents = visibility.agents(caller).select_related(*(f"{who}__sourced" for who in ("sponsor", "owner", "backup")))
    agent = doors.find(agents.select_related("dormancy"), slug=slug)
    tab = request.GET.get("tab", "access")
    tab = tab if tab in TABS else "access"
    (summary,) = summaries.computed([agent.pk], now := clock.now())
    context = {
        "agent": agent,
        "summary": summary,
        "biggest": [terms.in_words(line) for line in summary.biggest],
        "findings": findings.of_agent(agent, summary, now),
        "tabs": [(label, f"{_address(agent)}?tab={key}", key == tab) for key, label in TABS.items()],
        "tab_template": f"console/agents/tabs/{tab}.html",
        "proposals": agent.proposals.filter(state=OwnershipProposal.State.WAITING).select_related("person"),
        "unused": findings.LABELS["dormant"] in findings.of_agent(agent, None, now),
        "asks_if_needed": visibility_actions.dormancy_reviews(doors.person(request)).filter(agent=agent).first(),
        "sees_risk": doors.may(caller, "risk", None, "GET"),
        "may_keep": doors.may(caller, "agent-keep", agent),
        "may_activate": agent.status == Agent.Status.STAGED and doors.may(caller, "agent-activate", agent),
        "may_retire": agent.status != Agent.Status.RETIRED and doors.may(caller, "agent-retire", agent),
        "may_stop": agent.status == Agent.Status.ACTIVE and doors.may(caller, "agent-suspend", agent),
        "may_edit": doors.may(caller, "agent", agent, "PATCH"),
        "may_rate": doors.may(caller, "agent-criticality", agent, "PUT"),
        "may_delegate": agent.status != Agent.Status.RETIRED and doors.may(caller, "agent-delegates", agent),
        "may_add_client": doors.may(caller, "clients", agent),
        "waiting_credentials": credentials.of_agent(caller, agent),
        "may_restore": agent.status == Agent.Status.SUSPENDED and doors.may(caller, "agent-restore", agent),
        **_behind(caller, agent, tab, request),
        **budget_pages.panel(caller, agent),
    }
    return render(request, "console/agents/agent.html", context)


def _behind(caller: Caller, agent: Agent, tab: str, request: HttpRequest) -> dict[str, Any]:
    match tab:
        case "timeline":
            return {"timeline": events_queries.about(f"agent:{agent.slug}", request)}
        case "tokens":
            return read.tokens(caller, agent)
        case "people":
            return read.people(caller, agent)
        case "versions":
            return read.versions(agent)
        case "reviews":
            return read.reviewed(caller, agent)
    seen = (
        visibility_actions.visible_to(caller.human).filter(pk__in=visibility_actions.open_reviews(agent))
        if caller.human
        else []
    )
    held = read.access(caller, agent)
    return {
        **held,
        "map": access_map_queries.access_map(agent, held["grants"]),
        "combinations": check.current_violations(agent),
        "asked_about": seen,
    }


restore = doors.post(actions.RESTORE, _address)
activate = doors.post(actions.ACTIVATE, _address)
withdraw_delegation = doors.post(delegation_actions.WITHDRAW, lambda permission: _address(permission.agent))


@require_POST
@doors.page
def delegate(request: HttpRequest, slug: str) -> HttpResponse:
    """Permit an agent to act on behalf of another."""
    agent = doors.find_subject(request, delegation_actions.PERMIT.subject, slug)
    actor = combobox.key_of(doors.caller(request), "agent", request.POST, "actor")
    values = {**doors.read(request, delegation_actions.PERMIT), "actor": actor}
    doors.perform(request, delegation_actions.PERMIT, agent, values)
    return redirect(doors.back(request, _address(agent)))


@require_POST
@doors.page
def end_session(request: HttpRequest, session: UUID) -> HttpResponse:
    """End one session, and every token of it."""
    row = doors.find_subject(request, session_actions.SESSION, session)
    values = {"reason": doors.reason(request) or _("Ended in the console."), "ticket": doors.ticket(request)}
    doors.perform(request, session_actions.END, row, values)
    return redirect(doors.back(request, f"{_address(row.agent)}?tab=tokens"))


@require_POST
@doors.page
def rate(request: HttpRequest, slug: str) -> HttpResponse:
    """Set whether an agent is business-critical."""
    agent = doors.find_subject(request, actions.AGENT, slug)
    critical = request.POST.get("critical") == "yes"
    doors.perform(request, actions.RATE, agent, {"business_critical": critical, "reason": doors.reason(request)})
    return redirect(_address(agent))


@require_POST
@doors.page
def needed(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep an unused agent, or end it for good; both with a reason."""
    agent = doors.find_subject(request, actions.AGENT, slug)
    doors.perform(request, actions.RETIRE if "retire" in request.POST else ownership_actions.KEEP, agent)
    return redirect(doors.back(request, _address(agent)))


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def kinds(request: HttpRequest) -> HttpResponse:
    """Show which kinds of agents may be registered, and take another word on one of them."""
    if request.method == "POST":
        values = {"allowed": "allow" in request.POST, "reason": doors.reason(request)}
        doors.perform(request, actions.SET_TYPE_RULE, request.POST.get("kind", ""), values)
        return redirect(reverse("agent-kinds-page"))
    context = {
        "kinds": [(kind.value, kind.label, MEANINGS[kind], lifecycle.kind_rules()[kind]) for kind in Agent.Kind],
        "may_change": doors.may(doors.caller(request), "kind-of-agents", None, "PUT"),
        "ephemeral_hours": int(settings.EPHEMERAL_AGENT_LONGEST.total_seconds() // 3600),
        "clients": {step: length.days for step, length in settings.CLIENT_IDLE_AFTER.items()},
        "dormant": {step: length.days for step, length in settings.DORMANT_AFTER.items()},
    }
    return render(request, "console/agents/kinds.html", context)


@require_safe
@doors.page
def mine(request: HttpRequest) -> HttpResponse:
    """Show who may act for the person, and where; any employee may look."""
    page = paging.page(request, read.acting_for(doors.person(request)), ("agent__slug", "id"))
    return render(request, "console/agents/my_agents.html", {"page": page})
