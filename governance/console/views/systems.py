"""Systems and their tools: what they offer, what was approved of it, and what changed since."""

from __future__ import annotations

import asyncio
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from entitlements import catalog, upstream
from entitlements.api import visibility
from entitlements.errors import DomainError, ReasonRequired
from entitlements.models import System, Tool
from governance.console import doors, paging
from governance.console.queries import record
from governance.console.queries import systems as read

DATA_CLASSES = ("public", "internal", "confidential", "restricted")


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List systems; the filters stand in the address."""
    caller = doors.caller(request)
    told = {
        "page": paging.page(request, read.listed(caller, request.GET.dict()), ("slug",)),
        "filters": request.GET,
        "kinds": System.Kind.choices,
        "filtered": any(request.GET.get(name) for name in ("q", "kind", "tools")),
    }
    return render(request, "console/systems.html", told)


@require_safe
@doors.page
def one(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a system with its tools, what can be asked for, and its timeline for whoever owns or reads it."""
    caller = doors.caller(request)
    system = doors.find(visibility.systems(caller), slug=slug)
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
        "states": Tool.State.choices,
        "risks": Tool.Risk.choices,
    }
    if tab == "timeline" and may_read:
        told["timeline"] = record.about(f"system:{slug}", request)
    elif tab == "entitlements":
        told["entitlements"] = visibility.entitlements(caller).filter(system=system).order_by("scope")
    else:
        told["tools"] = read.tools_of(caller, system, request.GET.dict())
        told["easy"] = (
            [tool for tool in told["tools"] if _is_easy(tool)] if doors.may(caller, "tool-approve", system) else []
        )
    return render(request, "console/system.html", told)


def _is_easy(tool: Tool) -> bool:
    """Whether a tool can be approved with others at once: never approved, reads, low risk, and says what it does."""
    return (
        (tool.state, tool.action, tool.risk) == ("pending", "read", "low") and bool(tool.sentence) and bool(tool.seen)
    )


@require_POST
@doors.page
def approve_easy(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve the reading tools of low risk that were shown, each with the definition that was shown."""
    caller = doors.caller(request)
    system = doors.find(visibility.systems(caller), slug=slug)
    doors.about(request, f"system:{slug}")
    doors.permit(request, "tool-approve", system)
    shown = dict(each.split(" ", 1) for each in request.POST.getlist("tool") if " " in each)
    tools = [tool for tool in read.tools_of(caller, system, {}) if tool.name in shown and _is_easy(tool)]
    approvals = [catalog.Approval(tool, shown[tool.name], tool.sentence, tool.action, tool.risk) for tool in tools]
    done = catalog.approve_tools(approvals, by=caller.principal, reason=_("Reads only, of low risk."))
    doors.done(request, _("%(n)d tools approved.") % {"n": len(done)})
    return redirect(f"/systems/{slug}/")


@require_POST
@doors.page
def discover(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask the system for its tools now."""
    caller = doors.caller(request)
    system = doors.find(visibility.systems(caller), slug=slug)
    doors.about(request, f"system:{slug}")
    doors.permit(request, "system-discover", system)
    offered = asyncio.run(upstream.discover(system))
    found = catalog.record_seen(system, offered, by=caller.principal)
    told = _("%(added)d new, %(changed)d changed, %(removed)d no longer offered.") % {
        "added": len(found.added),
        "changed": len(found.changed),
        "removed": len(found.removed),
    }
    doors.done(request, told)
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
    catalog.enable_system(system, by=doors.person(request).principal, reason=doors.reason(request))
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
        "may_approve": found.state != Tool.State.REMOVED and doors.may(caller, "tool-approve", found),
        "may_stop": doors.may(caller, "tool-disable", found),
        "may_start": found.state == Tool.State.DISABLED and doors.may(caller, "tool-enable", found),
        **read.of_tool(found),
    }
    return render(request, "console/tool.html", told, status=status)


def _change(request: HttpRequest, found: Tool) -> str:
    """Carry out what the button says, by the API's rows and verbs."""
    by, given = doors.person(request).principal, request.POST
    verb = given.get("verb")
    if verb == "approve":
        doors.permit(request, "tool-approve", found)
        data_class = given.get("data_class", "internal")
        approval = catalog.Approval(
            found,
            given.get("sha256", ""),
            given.get("sentence", "").strip()[:500],
            given.get("action", ""),
            given.get("risk", ""),
            data_class if data_class in DATA_CLASSES else "internal",
        )
        catalog.approve_tool(approval, by=by, reason=doors.reason(request))
        return _("Approved. Agents are shown exactly the definition that you read.")
    if not doors.reason(request):
        raise ReasonRequired
    if verb == "quarantine":
        doors.permit(request, "tool-quarantine", found)
        catalog.quarantine(found, by=by, reason=doors.reason(request))
        return _("Nobody can call it until somebody has reviewed it.")
    if verb == "enable":
        doors.permit(request, "tool-enable", found)
        catalog.enable_tool(found, by=by, reason=doors.reason(request))
        return _("The tool can be called again, unless it changed meanwhile.")
    raise DomainError(_("There is no such button."))
