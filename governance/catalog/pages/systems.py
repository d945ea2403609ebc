"""Systems and their tools: what they offer, what was approved of it, and what changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import role_reach, visibility, visible_collisions
from entitlements.api.actions import Action
from entitlements.catalog import actions, systems
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.models import System, Tool
from entitlements.definitions import impressions
from entitlements.errors import DomainError, Forbidden
from entitlements.rest_apis.models import RestApi
from entitlements.stdio_commands.models import StdioSystem
from entitlements.upstream import reach
from governance.audit_log.queries import events as events_queries
from governance.blast_radius.queries import reach as access
from governance.budgets import pages as budget_pages
from governance.catalog.queries import systems as read
from governance.catalog.queries import triage
from governance.console import doors
from governance.console.kit.lists import cells, lists
from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View
from governance.proposals import pages as proposal_pages
from governance.sod import queries as sod_queries
from governance.stdio_commands import queries as stdio_queries

from . import networks, vendors

DATA_CLASSES = ("public", "internal", "confidential", "restricted")
LAYOUT: Final[Layout[System, System]] = Layout(
    name="systems",
    label=gettext_lazy("Systems"),
    columns=(
        Column(
            "system",
            gettext_lazy("System"),
            "name",
            sorts="name",
            cell=cells.link("name", "system-page", "slug", sub="slug"),
            main=True,
        ),
        Column("kind", gettext_lazy("Kind"), lambda row: row.get_kind_display(), sorts="kind"),
        Column("owner", gettext_lazy("Owner"), "owner__name", sorts="owner__name", cell=cells.person("owner")),
        Column("approved", gettext_lazy("Approved tools"), "tools_approved", sorts="tools_approved", number=True),
        Column(
            "waiting",
            gettext_lazy("Tools to review"),
            "tools_waiting",
            sorts="tools_waiting",
            cell="console/catalog/cells_tools.html",
            number=True,
        ),
        Column("listed", gettext_lazy("Tools listed"), "discovered_at", sorts="discovered_at"),
        Column("state", gettext_lazy("State"), "status", sorts="status", cell=cells.status("status")),
    ),
    order="system",
    facets=(
        Facet("kind", gettext_lazy("Kind"), "kind", choices=System.Kind.choices),
        Facet("state", gettext_lazy("State"), "status", choices=System.Status.choices),
        Facet(
            "tools",
            gettext_lazy("Tools"),
            choices=(Choice("waiting", gettext_lazy("Some to review"), Q(tools_waiting__gt=0)),),
        ),
        Facet("owner", gettext_lazy("Owner"), "owner__login", reference="person"),
    ),
    search=("slug", "name"),
    search_label=gettext_lazy("Name"),
    views=(View("waiting", gettext_lazy("Tools to review"), "tools=waiting&sort=-waiting"),),
    empty="console/catalog/no_systems.html",
)
STOPPABLE = (Tool.State.APPROVED, Tool.State.PENDING, Tool.State.QUARANTINED)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponseBase:
    """List systems; the filters stand in the address."""
    caller = doors.caller(request)
    context = {"may_add": doors.may(caller, "systems", None)}
    return lists.show(
        request, LAYOUT, read.counted(visibility.systems(caller)), "console/catalog/systems.html", context
    )


@require_safe
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a system with its tools, its entitlements, and its timeline for its owner and for auditors."""
    rows = visibility.systems(doors.caller(request)).select_related("client_certificate")
    return show(request, doors.find(rows, slug=slug))


def show(
    request: HttpRequest, system: System, problem: DomainError | None = None, stage: reach.Stage | None = None
) -> HttpResponse:
    """Show a system's page, with what was refused and the form as it was filled in."""
    caller = doors.caller(request)
    may_read, tab = role_reach.reaches(caller, system), request.GET.get("tab", "tools")
    context: dict[str, Any] = {
        "system": system,
        "on_tools": tab not in ("entitlements", "timeline") or (tab == "timeline" and not may_read),
        "on_entitlements": tab == "entitlements",
        "on_timeline": tab == "timeline" and may_read,
        "filters": request.GET,
        "may_read": may_read,
        "may_stop": system.status == System.Status.ACTIVE and doors.may(caller, "system-disable", system),
        "may_start": system.status == System.Status.DISABLED and doors.may(caller, "system-enable", system),
        "closed_by_restore": systems.is_closed_by_restore(system),
        "may_discover": system.kind != System.Kind.BUILTIN and doors.may(caller, "system-discover", system),
        "may_edit": system.kind != System.Kind.BUILTIN and doors.may(caller, "system", system, "PATCH"),
        "may_bundle": system.kind != System.Kind.BUILTIN and doors.may(caller, "entitlements", system),
        "sees_domain": system.kind != System.Kind.BUILTIN and doors.may(caller, "system-policy-domain", system, "GET"),
        "not_discovered": system.kind != System.Kind.BUILTIN and system.discovered_at is None,
        "states": Tool.State.choices,
        "risks": Tool.Risk.choices,
        "problem": problem,
        "failed": triage.FIXES.get(stage) if stage else None,
        **vendors.shown(request, system),
        "rest_api": RestApi.objects.filter(system=system).first() if system.kind == System.Kind.HTTP else None,
        **_local_server(system, may_read=may_read),
        **networks.shown(request, system),
        **budget_pages.panel(caller, system),
    }
    if tab == "timeline" and may_read:
        context["timeline"] = events_queries.about(f"system:{system.slug}", request)
    elif tab == "entitlements":
        context["entitlements"] = visibility.entitlements(caller).filter(system=system).order_by("scope")
    else:
        context |= {**_tools(request, system), "reach": access.to_system(caller, system)}
    return render(request, "console/catalog/system.html", context, status=problem.status if problem else 200)


def _local_server(system: System, *, may_read: bool) -> dict[str, Any]:
    """Return what a local server is started by, and where children of it run, for those who may read about it."""
    started = StdioSystem.objects.filter(system=system).first() if may_read and system.kind == "stdio" else None
    if started is None:
        return {}
    return {
        "local_server": started,
        "local_server_shared": bool(started.terms and started.terms["shared"]) and started.is_shared is not False,
        "local_children": stdio_queries.children(system),
    }


def _tools(request: HttpRequest, system: System) -> dict[str, Any]:
    """Return the tools of a system: the list, those that wait in full, those that are approved at once."""
    caller = doors.caller(request)
    tools = read.tools_of(caller, system, request.GET.dict())
    context: dict[str, Any] = {
        "tools": tools,
        "may_stop_tools": any(tool.state in STOPPABLE for tool in tools) and doors.may(caller, "tool-disable", system),
        "stoppable": STOPPABLE,
        "steps": triage.steps(caller, system, tools),
        "proposals": proposal_pages.about_tools(request, [tool for tool in tools if vars(tool)["waits"]]),
    }
    if doors.may(caller, "tool-approve", system):
        easy_tools = triage.easy(tools)
        easy = [approved.tool for approved in easy_tools.approvals] if len(easy_tools.approvals) > 1 else []
        rest = [tool for tool in tools if tool not in easy]
        context |= {
            "easy": easy,
            "undecided": easy_tools.undecided if easy or len(easy_tools.undecided) > 1 else [],
            "unchanged": triage.unchanged(system, tools),
            "waiting": triage.waiting(caller, rest, request.POST.dict() if request.method == "POST" else {}),
            "actions": Tool.Does.choices,
            "data_classes": DATA_CLASSES,
        }
    return context


@require_POST
@doors.page
def discover(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the system for its tools now. What failed says at which stage; a list that broke off is kept that far."""
    system = doors.find_subject(request, actions.SYSTEM, slug)
    try:
        discovered = doors.perform(request, actions.DISCOVER, system).result
    except Forbidden:
        raise
    except DomainError as refusal:
        doors.record(request, refusal)
        return show(request, system, refusal, reach.stage(refusal))
    seen_tools = discovered.found
    if not discovered.offered:
        messages.warning(request, _("The server offers no tools. Check what its secret is allowed to see."))
        return redirect("system-page", slug)
    summary = _("%(added)d new, %(changed)d changed, %(removed)d no longer offered.") % {
        "added": len(seen_tools.added),
        "changed": len(seen_tools.changed),
        "removed": len(seen_tools.removed),
    }
    messages.success(request, summary)
    if seen_tools.malformed:
        warning = _("%(n)d tools could not be read and were left out: %(names)s") % {
            "n": len(seen_tools.malformed),
            "names": impressions.visible(", ".join(sorted(seen_tools.malformed)[:10])),
        }
        messages.warning(request, warning)
    return redirect("system-page", slug)


start = doors.post(actions.ENABLE, lambda system: reverse("system-page", args=[system.slug]))


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def tool(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Show a tool, the approved definition beside the one that is offered now; approve, quarantine, disable, enable."""
    caller = doors.caller(request)
    tool = doors.find_subject(request, actions.TOOL, slug, name)
    problem: DomainError | None = None
    if request.method == "POST":
        try:
            decide(request, tool, BUTTONS)
        except DomainError as refusal:
            doors.record(request, problem := refusal)
            tool = doors.find(visibility.tools(caller), system__slug=slug, name=name)
        else:
            return redirect("tool-page", slug, name)
    context: dict[str, Any] = {
        "problem": problem,
        "tool": tool,
        "system": tool.system,
        "actions": Tool.Does.choices,
        "risks": Tool.Risk.choices,
        "data_classes": DATA_CLASSES,
        "may_approve": tool.state in STOPPABLE and doors.may(caller, "tool-approve", tool),
        "may_stop": doors.may(caller, "tool-disable", tool),
        "may_start": tool.state == Tool.State.DISABLED and doors.may(caller, "tool-enable", tool),
        "proposals": proposal_pages.about_tools(request, [tool]),
        "reach": access.to_tool(caller, tool),
        "collisions": visible_collisions.find(caller, [tool]).get(tool.pk, ()),
        **read.words_of(tool),
    }
    context["flows"] = sod_queries.refilled(context["flows"], request.POST.dict())
    return render(request, "console/catalog/tool.html", context, status=problem.status if problem else 200)


def approval(request: HttpRequest, tool: Tool) -> tools_actions.Approval:
    """Read the classification of a tool from a form: definition, action, risk level, data class and flows."""
    data = request.POST
    data_class = data.get("data_class", "internal")
    return tools_actions.Approval(
        tool,
        data.get("sha256", ""),
        data.get("sentence", "").strip()[:500],
        data.get("action", ""),
        data.get("risk", ""),
        data_class if data_class in DATA_CLASSES else "internal",
        sod_queries.confirmed(data),
    )


BUTTONS: Final = {
    "approve": actions.APPROVE_TOOL,
    "quarantine": actions.QUARANTINE_TOOL,
    "enable": actions.ENABLE_TOOL,
}


def decide(request: HttpRequest, tool: Tool, buttons: Mapping[str, Action], reason: str = "") -> None:
    """Do what a button says to a tool, for the reason in the form, or else the one given."""
    action = doors.pressed(request, buttons)
    values: dict[str, Any] | None = {"reason": doors.reason(request) or reason} if reason else None
    if values and action.stops:
        values["ticket"] = doors.ticket(request)
    if action is actions.APPROVE_TOOL:
        accepted = request.POST.get("combinations", "")
        values = {"approval": approval(request, tool), "accept": accepted, "reason": doors.reason(request)}
    doors.perform(request, action, tool, values)
