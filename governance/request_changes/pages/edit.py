"""The requester edits an open request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from entitlements.catalog.models import EntitlementTool, Tool
from entitlements.errors import DomainError, NotFound
from governance.console import doors
from governance.console.limits import limit_fields
from governance.request_changes import actions
from governance.request_changes import edit as edit_actions
from governance.requests import queries as read
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.requests.pages.ask import limits_of
from governance.requests.pages.requests import lasts, version


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the request as a form, and edit it: earlier approvals become void, and all stages are answered again."""
    person = doors.person(request)
    access_request = doors.find(read.visible(person), pk=pk)
    if request.method != "POST" and not _may_edit(access_request, request):
        raise NotFound
    problem: DomainError | None = None
    if request.method == "POST":
        doors.about(request, *requests.about(access_request))
        try:
            values = {"change": _change(request, access_request), "expected_version": version(request.POST)}
            doors.perform(request, actions.EDIT, access_request, values)
        except DomainError as refusal:
            doors.record(request, refusal)
            problem, access_request = refusal, doors.find(read.visible(person), pk=pk)
        else:
            return redirect(f"/requests/{pk}/")
    data = request.POST if request.method == "POST" else None
    context = {
        "access_request": access_request,
        "lines": [_line(line, access_request, request) for line in _offered(access_request)],
        "lengths": read.lengths(access_request.entitlement.longest, access_request.lasts),
        "reason": data.get("reason", "") if data else access_request.reason,
        "approved": access_request.approvals.filter(answer="approved").exists(),
        "problem": problem,
    }
    return render(
        request, "console/request_changes/request_edit.html", context, status=problem.status if problem else 200
    )


def _may_edit(access_request: AccessRequest, request: HttpRequest) -> bool:
    return access_request.state == AccessRequest.State.IN_APPROVAL and requests.is_requester(
        access_request, doors.person(request)
    )


def _offered(access_request: AccessRequest) -> list[EntitlementTool]:
    rows = access_request.entitlement.lines.select_related("tool__approved").order_by("tool__name")
    return list(rows.filter(tool__state=Tool.State.APPROVED))


def _held(access_request: AccessRequest) -> dict[str, Mapping[str, Any]]:
    return {line.tool.name: line.limits for line in access_request.lines.all() if line.kept}


def _line(offered: EntitlementTool, access_request: AccessRequest, request: HttpRequest) -> dict[str, Any]:
    """Return a tool of the bundle with its limits as they are asked for, or as a form that was sent filled them in."""
    tool, held = offered.tool, _held(access_request)
    fields = limit_fields.fields(tool.name, read.pinned(tool), offered.limits)
    now = {field.name: field for field in limit_fields.fields(tool.name, read.pinned(tool), held.get(tool.name, {}))}
    if request.method == "POST":
        ticked = tool.name in request.POST.getlist("tool")
        fields = [limit_fields.with_sent_values(field, request.POST.getlist) for field in fields]
    else:
        ticked = tool.name in held
        fields = [
            replace(field, chosen=current.chosen or field.chosen, least=current.least, most=current.most)
            if (current := now.get(field.name)) and tool.name in held
            else field
            for field in fields
        ]
    return {"tool": tool, "row": offered, "fields": fields, "ticked": ticked}


def _change(request: HttpRequest, access_request: AccessRequest) -> edit_actions.Change:
    """Read the form; what its fields cannot say of a tool that is asked for already stays as it is."""
    kept, held = frozenset(request.POST.getlist("tool")), _held(access_request)
    limits: dict[str, dict[str, Any]] = {name: {} for name in kept}
    for offered in _offered(access_request):
        name = offered.tool.name
        shown_arguments = {
            field.argument for field in limit_fields.fields(name, read.pinned(offered.tool), offered.limits)
        }
        if name in kept:
            limits[name] = {key: rule for key, rule in held.get(name, {}).items() if key not in shown_arguments}
    for name, tighter in limits_of(request, access_request.entitlement).items():
        limits[name] |= tighter
    reason = request.POST.get("reason", "").strip()[:2000]
    return edit_actions.Change(kept, limits, lasts(request) or timedelta(0), reason)
