"""Changing a request that waits, by whoever asked it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from entitlements.catalog.models import EntitlementTool, Tool
from entitlements.errors import DomainError, NotFound
from governance.console import doors, limit_fields
from governance.request_changes import edit as edit_actions
from governance.requests import queries as read
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.requests.pages.ask import limits_of
from governance.requests.pages.requests import lasts, version


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what is asked as a form, and change it: what was approved is void then, and everybody answers anew."""
    person = doors.person(request)
    asked = doors.find(read.visible(person), pk=pk)
    if request.method != "POST" and not _may_edit(asked, request):
        raise NotFound
    problem: DomainError | None = None
    if request.method == "POST":
        doors.about(request, *requests.about(asked))
        try:
            edit_actions.edit(pk, _change(request, asked), by=person, expected_version=version(request.POST))
        except DomainError as refusal:
            doors.record(request, refusal)
            problem, asked = refusal, doors.find(read.visible(person), pk=pk)
        else:
            doors.done(request, _("Changed. Everybody answers anew."))
            return redirect(f"/requests/{pk}/")
    given = request.POST if request.method == "POST" else None
    told = {
        "asked": asked,
        "lines": [_line(each, asked, request) for each in _offered(asked)],
        "lengths": read.lengths(asked.entitlement.longest, asked.lasts),
        "reason": given.get("reason", "") if given else asked.reason,
        "approved": asked.approvals.filter(answer="approved").exists(),
        "problem": problem,
    }
    return render(request, "console/request_changes/request_edit.html", told, status=problem.status if problem else 200)


def _may_edit(asked: AccessRequest, request: HttpRequest) -> bool:
    return asked.state == AccessRequest.State.IN_APPROVAL and requests.asked_by(asked, doors.person(request))


def _offered(asked: AccessRequest) -> list[EntitlementTool]:
    rows = asked.entitlement.lines.select_related("tool__approved").order_by("tool__name")
    return list(rows.filter(tool__state=Tool.State.APPROVED))


def _held(asked: AccessRequest) -> dict[str, Mapping[str, Any]]:
    return {line.tool.name: line.limits for line in asked.lines.all() if line.kept}


def _line(offered: EntitlementTool, asked: AccessRequest, request: HttpRequest) -> dict[str, Any]:
    """Return a tool of the bundle with its limits as they are asked for, or as a form that was sent filled them in."""
    tool, held = offered.tool, _held(asked)
    fields = limit_fields.fields(tool.name, read.pinned(tool), offered.limits)
    now = {each.name: each for each in limit_fields.fields(tool.name, read.pinned(tool), held.get(tool.name, {}))}
    if request.method == "POST":
        ticked = tool.name in request.POST.getlist("tool")
        fields = [limit_fields.refilled(each, request.POST.getlist) for each in fields]
    else:
        ticked = tool.name in held
        fields = [
            replace(each, chosen=said.chosen or each.chosen, least=said.least, most=said.most)
            if (said := now.get(each.name)) and tool.name in held
            else each
            for each in fields
        ]
    return {"tool": tool, "row": offered, "fields": fields, "ticked": ticked}


def _change(request: HttpRequest, asked: AccessRequest) -> edit_actions.Change:
    """Read the form; what its fields cannot say of a tool that is asked for already stays as it is."""
    kept, held = frozenset(request.POST.getlist("tool")), _held(asked)
    limits: dict[str, dict[str, Any]] = {name: {} for name in kept}
    for offered in _offered(asked):
        name = offered.tool.name
        said = {each.argument for each in limit_fields.fields(name, read.pinned(offered.tool), offered.limits)}
        if name in kept:
            limits[name] = {key: rule for key, rule in held.get(name, {}).items() if key not in said}
    for name, tighter in limits_of(request, asked.entitlement).items():
        limits[name] |= tighter
    reason = request.POST.get("reason", "").strip()[:2000]
    return edit_actions.Change(kept, limits, lasts(request) or timedelta(0), reason)
