"""Systems and their tools: what they offer, what was approved of it, and what changed since."""

from __future__ import annotations

import asyncio
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements.access import visibility
from entitlements.catalog import discovery, systems
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.models import System, Tool
from entitlements.definitions import impressions
from entitlements.errors import DomainError, ReasonRequired
from entitlements.upstream import reach, upstream
from governance.audit_log.queries import events as events_queries
from governance.catalog.queries import systems as read
from governance.catalog.queries import triage
from governance.console import doors, paging
from governance.request_suggestions import queries as request_suggestion_queries
from governance.sod.api import reclassification as reclassification_api

DATA_CLASSES = ("public", "internal", "confidential", "restricted")
STOPPABLE = (Tool.State.APPROVED, Tool.State.PENDING, Tool.State.QUARANTINED)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List systems; the filters stand in the address."""
    caller = doors.caller(request)
    told = {
        "page": paging.page(request, read.listed(caller, request.GET.dict()), ("slug",)),
        "filters": request.GET,
        "kinds": System.Kind.choices,
        "may_add": doors.may(caller, "systems", None),
        "filtered": any(request.GET.get(name) for name in ("q", "kind", "tools")),
    }
    return render(request, "console/catalog/systems.html", told)


@require_safe
@doors.page
def one(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a system with its tools, what can be asked for, and its timeline for whoever owns or reads it."""
    return show(request, doors.find(visibility.systems(doors.caller(request)), slug=slug))


def show(
    request: HttpRequest, system: System, problem: DomainError | None = None, stage: reach.Stage | None = None
) -> HttpResponse:
    """Show a system's page, with what was refused and the form as it was filled in."""
    caller = doors.caller(request)
    may_read = caller.sees_everything or system.owner_id == doors.person(request).pk
    tab = request.GET.get("tab", "tools")
    told: dict[str, Any] = {
        "system": system,
        "tab": tab,
        "filters": request.GET,
        "may_read": may_read,
        "may_stop": system.status == System.Status.ACTIVE and doors.may(caller, "system-disable", system),
        "may_start": system.status == System.Status.DISABLED and doors.may(caller, "system-enable", system),
        "may_discover": system.kind != System.Kind.BUILTIN and doors.may(caller, "system-discover", system),
        "may_edit": system.kind != System.Kind.BUILTIN and doors.may(caller, "system", system, "PATCH"),
        "may_bundle": system.kind != System.Kind.BUILTIN and doors.may(caller, "entitlements", system),
        "not_discovered": system.kind != System.Kind.BUILTIN and system.discovered_at is None,
        "states": Tool.State.choices,
        "risks": Tool.Risk.choices,
        "problem": problem,
        "failed": triage.FIXES.get(stage) if stage else None,
    }
    if tab == "timeline" and may_read:
        told["timeline"] = events_queries.about(f"system:{system.slug}", request)
    elif tab == "entitlements":
        told["entitlements"] = visibility.entitlements(caller).filter(system=system).order_by("scope")
    else:
        told |= _tools(request, system)
    return render(request, "console/catalog/system.html", told, status=problem.status if problem else 200)


def _tools(request: HttpRequest, system: System) -> dict[str, Any]:
    """Return the tools of a system: the list, those that wait in full, those that are approved at once."""
    caller = doors.caller(request)
    tools = read.tools_of(caller, system, request.GET.dict())
    told: dict[str, Any] = {
        "tools": tools,
        "may_stop_tools": any(tool.state in STOPPABLE for tool in tools) and doors.may(caller, "tool-disable", system),
        "stoppable": STOPPABLE,
        "steps": triage.steps(caller, system, tools),
    }
    if doors.may(caller, "tool-approve", system):
        found = triage.easy(tools)
        easy = [each.tool for each in found.approvals] if len(found.approvals) > 1 else []
        rest = [tool for tool in tools if tool not in easy]
        told |= {
            "easy": easy,
            "undecided": found.undecided if easy or len(found.undecided) > 1 else [],
            "unchanged": triage.unchanged(system, tools),
            "waiting": triage.waiting(rest, request.POST.dict() if request.method == "POST" else {}),
            "actions": Tool.Does.choices,
            "data_classes": DATA_CLASSES,
        }
    return told


@require_POST
@doors.page
def discover(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the system for its tools now. What failed says at which stage; a list that broke off is kept that far."""
    caller = doors.caller(request)
    system = doors.find(visibility.systems(caller), slug=slug)
    doors.about(request, f"system:{slug}")
    doors.permit(request, "system-discover", system)
    try:
        offered = asyncio.run(upstream.discover(system))
        found = discovery.record_discovery(system, offered, by=caller.principal)
    except DomainError as refusal:
        if isinstance(refusal, upstream.PartialList):
            discovery.record_discovery(system, refusal.listed, by=caller.principal, complete=False)
        doors.record(request, refusal)
        return show(request, system, refusal, reach.stage(refusal))
    if not offered:
        messages.warning(request, _("The server offers no tools to us. Check what the secret is allowed to see."))
        return redirect(f"/systems/{slug}/")
    told = _("%(added)d new, %(changed)d changed, %(removed)d no longer offered.") % {
        "added": len(found.added),
        "changed": len(found.changed),
        "removed": len(found.removed),
    }
    doors.done(request, told)
    if found.malformed:
        said = _("%(n)d could not be read and were left out: %(names)s") % {
            "n": len(found.malformed),
            "names": impressions.visible(", ".join(sorted(found.malformed)[:10])),
        }
        messages.warning(request, said)
    return redirect(f"/systems/{slug}/")


@require_POST
@doors.page
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a stopped system be reached again."""
    system = doors.find(visibility.systems(doors.caller(request)), slug=slug)
    doors.about(request, f"system:{slug}")
    doors.permit(request, "system-enable", system)
    if not doors.reason(request):
        raise ReasonRequired
    systems.enable_system(system, by=doors.person(request).principal, reason=doors.reason(request))
    doors.done(request, _("%(name)s can be reached again.") % {"name": system.name})
    return redirect(f"/systems/{slug}/")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def tool(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Show a tool, the approved definition beside the one that is offered now; approve, quarantine, stop, start."""
    caller = doors.caller(request)
    found = doors.find(visibility.tools(caller), system__slug=slug, name=name)
    told: dict[str, Any] = {"problem": None}
    status = 200
    if request.method == "POST":
        doors.about(request, f"tool:{slug}/{name}", f"system:{slug}")
        try:
            done = _change(request, found)
        except DomainError as refusal:
            doors.record(request, refusal)
            found = doors.find(visibility.tools(caller), system__slug=slug, name=name)
            told["problem"], status = refusal, refusal.status
        else:
            doors.done(request, done)
            return redirect(f"/systems/{slug}/tools/{name}/")
    told |= {
        "tool": found,
        "system": found.system,
        "actions": Tool.Does.choices,
        "risks": Tool.Risk.choices,
        "data_classes": DATA_CLASSES,
        "may_approve": found.state in STOPPABLE and doors.may(caller, "tool-approve", found),
        "may_stop": doors.may(caller, "tool-disable", found),
        "may_start": found.state == Tool.State.DISABLED and doors.may(caller, "tool-enable", found),
        **read.of_tool(found),
    }
    told["flows"] = request_suggestion_queries.refilled(told["flows"], request.POST.dict())
    return render(request, "console/catalog/tool.html", told, status=status)


def approval(request: HttpRequest, found: Tool) -> tools_actions.Approval:
    """Read what a form says of a tool: which definition was read, what it does, its risk, its data and flows."""
    given = request.POST
    data_class = given.get("data_class", "internal")
    return tools_actions.Approval(
        found,
        given.get("sha256", ""),
        given.get("sentence", "").strip()[:500],
        given.get("action", ""),
        given.get("risk", ""),
        data_class if data_class in DATA_CLASSES else "internal",
        request_suggestion_queries.confirmed(given),
    )


def approve(request: HttpRequest, found: Tool) -> None:
    """Approve a tool as a form says; what agents would come to hold by it has to be known.

    Raises separation.ClassingCompletes, and what approving raises.
    """
    doors.permit(request, "tool-approve", found)
    said = approval(request, found)
    reclassification_api.check(doors.caller(request), said, request.POST.get("combinations", ""))
    tools_actions.approve_tool(said, by=doors.person(request).principal, reason=doors.reason(request))


def _change(request: HttpRequest, found: Tool) -> str:
    """Carry out what the button says, by the API's rows and verbs."""
    by, given = doors.person(request).principal, request.POST
    verb = given.get("verb")
    if verb == "approve":
        approve(request, found)
        return _("Approved. Agents are shown exactly the definition that you read.")
    if not doors.reason(request):
        raise ReasonRequired
    if verb == "quarantine":
        doors.permit(request, "tool-quarantine", found)
        tools_actions.quarantine(found, by=by, reason=doors.reason(request))
        return _("Nobody can call it until somebody has reviewed it.")
    if verb == "enable":
        doors.permit(request, "tool-enable", found)
        tools_actions.enable_tool(found, by=by, reason=doors.reason(request))
        return _("The tool can be called again, unless it changed meanwhile.")
    raise DomainError(_("There is no such button."))
