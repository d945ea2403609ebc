"""Triage of a system's tools: approve or disable one, approve the low-risk ones at once, disable several."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from entitlements.access import visibility
from entitlements.catalog import actions, discovery, move, tools
from entitlements.catalog import errors as catalog_errors
from entitlements.catalog.models import System, Tool
from entitlements.errors import DomainError, Malformed, ReasonRequired
from governance.catalog.pages import systems
from governance.catalog.queries import systems as read
from governance.catalog.queries import triage as waiting
from governance.console import doors, paging
from governance.proposals import pages as proposal_pages
from governance.reviews.reports.queries import trends as trends_queries

_MOST: Final = 25
"""How many changed tools a page shows, each with its difference."""


@require_POST
@doors.page
def approve_easy(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve the reading tools of low risk that were shown, each with the definition that was shown.

    A tool with an undecided flow label, or that collides with another, is refused for itself, and holds up no other.
    """
    caller, system = doors.caller(request), _system(request, slug)
    doors.permit(request, "tool-approve", system)
    shown_hashes = dict(approval.split(" ", 1) for approval in request.POST.getlist("tool") if " " in approval)
    easy = waiting.easy([tool for tool in read.tools_of(caller, system, {}) if tool.name in shown_hashes])
    approvals = [replace(approval, sha256=shown_hashes[approval.tool.name]) for approval in easy.approvals]
    refused: list[DomainError] = [catalog_errors.FlowsUndecided(tool=each.name) for each in easy.undecided]
    refused += [catalog_errors.ToolNameCollides(tool=each.name) for each in easy.colliding]
    for refusal in refused:
        doors.record(request, refusal, [f"tool:{slug}/{refusal.detail['tool']}", f"system:{slug}"])
        messages.error(request, f"{refusal.detail['tool']}: {refusal.message} ({refusal.code})")
    done = tools.approve_tools(approvals, by=caller.principal, reason=_("Reads only, of low risk."))
    messages.success(request, _("%(n)d tools approved.") % {"n": len(done)})
    return redirect("system-page", slug)


@require_POST
@doors.page
def approve_unchanged(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve at once what another address offers exactly as it was approved at the one before."""
    system = _system(request, slug)
    doors.permit(request, "tool-approve", system)
    reason = _("Offered at the new address exactly as it was approved.")
    done = move.approve_unchanged(system, by=doors.person(request).principal, reason=reason)
    messages.success(request, ngettext("%(n)d tool approved.", "%(n)d tools approved.", len(done)) % {"n": len(done)})
    return redirect("system-page", slug)


@require_POST
@doors.page
def decide(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve a tool as it is offered now, in the words given; or keep it disabled until a person enables it again."""
    system = _system(request, slug)
    tool = doors.find_subject(request, actions.TOOL, slug, request.POST.get("tool", ""))
    try:
        _decide(request, tool)
    except DomainError as refusal:
        doors.record(request, refusal)
        return systems.show(request, system, refusal)
    return redirect(f"{reverse('system-page', args=[slug])}#h-waiting")


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def changes(request: HttpRequest) -> HttpResponse:
    """List the tools of all systems that changed since their approval, and decide about one."""
    caller, problem = doors.caller(request), None
    if request.method == "POST":
        tool = doors.find_subject(request, actions.TOOL, request.POST.get("system", ""), request.POST.get("tool", ""))
        try:
            _decide(request, tool)
        except DomainError as refusal:
            doors.record(request, problem := refusal)
        else:
            return redirect("tool-changes")
    rows = visibility.tools(caller).filter(discovery.changed(), seen__isnull=False)
    state = request.GET.get("state")
    is_held, is_served = state == Tool.State.QUARANTINED, state == Tool.State.APPROVED
    if is_held or is_served:
        rows = rows.filter(state=state)
    page = paging.page(request, rows, ("system__slug", "name"), _MOST)
    context = {
        "page": page,
        "proposals": proposal_pages.about_tools(request, page.rows),
        "changes": waiting.drifted(caller, page.rows, request.POST.dict() if problem else {}),
        "is_held": is_held,
        "is_served": is_served,
        "all": not (is_held or is_served),
        "calendar": trends_queries.changes(caller),
        "problem": problem,
        "actions": Tool.Does.choices,
        "risks": Tool.Risk.choices,
        "data_classes": systems.DATA_CLASSES,
    }
    return render(request, "console/catalog/tool_changes.html", context, status=problem.status if problem else 200)


_BUTTONS: Final = {
    "approve": actions.APPROVE_TOOL,
    "keep": actions.DISABLE_TOOL,
    "quarantine": actions.QUARANTINE_TOOL,
}
_REASONS: Final = {
    "keep": gettext_lazy("Reviewed, and kept suspended."),
    "quarantine": gettext_lazy("It changed since it was approved."),
}
"""What is recorded where the form gives no reason."""


def _decide(request: HttpRequest, tool: Tool) -> None:
    systems.decide(request, tool, _BUTTONS, str(_REASONS.get(request.POST.get("verb", ""), "")))


@require_POST
@doors.page
def stop(request: HttpRequest, slug: str) -> HttpResponse:
    """Disable the ticked tools, each by itself: a refusal of one does not stop the others."""
    system = _system(request, slug)
    doors.permit(request, "tool-disable", system)
    reason, names = doors.reason(request), request.POST.getlist("tool")
    try:
        if not reason:
            raise ReasonRequired
        if not names:
            raise Malformed(_("Select at least one tool."))
    except DomainError as refusal:
        doors.record(request, refusal)
        return systems.show(request, system, refusal)
    values, stopped = {"reason": reason, "ticket": doors.ticket(request)}, 0
    for tool in visibility.tools(doors.caller(request)).filter(system=system, name__in=names):
        try:
            doors.perform(request, actions.DISABLE_TOOL, tool, values, say=False)
        except DomainError as refusal:
            doors.record(request, refusal, [f"tool:{slug}/{tool.name}"])
            messages.error(request, f"{tool.name}: {refusal.message} ({refusal.code})")
        else:
            stopped += 1
    messages.success(
        request, ngettext("%(n)d tool is suspended.", "%(n)d tools are suspended.", stopped) % {"n": stopped}
    )
    return redirect("system-page", slug)


def _system(request: HttpRequest, slug: str) -> System:
    system: System = doors.find_subject(request, actions.SYSTEM, slug)
    return system
