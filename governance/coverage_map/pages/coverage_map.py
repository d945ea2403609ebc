"""The coverage map: how much is seen per call, each agent at each system by its path, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.errors import Malformed, NotFound
from entitlements.unmanaged_agents.models import PathTerms, Workflow
from governance.console import doors, paging
from governance.console.kit import combobox
from governance.coverage_map import actions, coverage_map
from governance.coverage_map.api import coverage_map as api
from governance.onboarding import actions as onboarding_actions
from governance.reviews.campaigns.queries.campaigns import WIDTH, Part

MOST_IN_CSV: Final = 10_000
PATHS: Final = (
    ("gateway", gettext_lazy("Gateway: each call is seen")),
    ("native", gettext_lazy("Native token: issuance is seen")),
    ("known", gettext_lazy("Known, not governed: nothing is seen")),
)
NOT_ISSUED: Final = gettext_lazy("Not governed at issue: the vendor's tokens are none that Mandate had a part in")
DIFFER: Final = {
    "token_seconds": gettext_lazy("Token life"),
    "session_seconds": gettext_lazy("Session limit"),
    "stop_seconds": gettext_lazy("Revocation takes effect within"),
    "still_used": gettext_lazy("Used outside the gateway after the move"),
}
TIMES: Final = (
    ("token_seconds", gettext_lazy("Token life")),
    ("session_seconds", gettext_lazy("Session limit")),
    ("reauthentication_seconds", gettext_lazy("Signs in again after")),
    ("stop_seconds", gettext_lazy("Revocation takes effect within")),
)


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """Show the map; the filters stand in the address."""
    caller = doors.caller(request)
    head = coverage_map.headline(caller)
    page = paging.page(request, _rows(request), ("pk",))
    context = {
        "head": head,
        "parts": _parts(head),
        "page": page,
        "rows": [_with_spans(row) for row in api.workflow_rows(page.rows)],
        "filters": request.GET,
        "paths": PATHS,
        "system": combobox.names(caller, "system", [system] if (system := _system(request)) else []),
        "filtered": any(request.GET.get(name) for name in ("q", "path", "system", "state")),
        "states": Workflow.State.choices,
        "findings": _findings(coverage_map.findings(caller)),
        "next": coverage_map.gaps(caller).first(),
        "may_add": doors.may(caller, "systems", None),
        "may_adopt": doors.may(caller, "adoptions", None),
    }
    return render(request, "console/coverage_map/map.html", context)


def _rows(request: HttpRequest) -> QuerySet[Workflow]:
    rows = coverage_map.rows(doors.caller(request))
    if text := request.GET.get("q", "").strip():
        rows = rows.filter(
            Q(agent__slug__icontains=text) | Q(agent__name__icontains=text) | Q(seen__name__icontains=text)
        )
    wanted = {"path": request.GET.get("path"), "system__slug": _system(request), "state": request.GET.get("state")}
    for field, value in wanted.items():
        if value:
            rows = rows.filter(**{field: value})
    return rows


def _system(request: HttpRequest) -> str:
    return combobox.key_of(doors.caller(request), "system", request.GET, "system")


def _parts(head: coverage_map.Headline) -> list[Part]:
    everything = sum(head.paths.values()) or 1
    parts, start = [], 0.0
    for name, label in PATHS:
        count = head.paths[name]
        width = WIDTH * count / everything
        parts.append(Part(name, label, count, 100 * count / everything, start, width))
        start += width
    return parts


def _findings(findings: Iterable[coverage_map.Finding]) -> list[tuple[System, list[Any]]]:
    """Put what does not fit together by system, each with both times."""
    by_system: dict[System, list[Any]] = {}
    for finding in findings:
        entry = (DIFFER[finding.what], finding, _span(finding.governed), _span(finding.known))
        by_system.setdefault(finding.system, []).append(entry)
    return list(by_system.items())


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _with_spans(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, **{name.removesuffix("_seconds"): _span(row[name]) for name, _label in TIMES}}


@require_safe
@doors.page
def table(request: HttpRequest) -> HttpResponse:
    """Send what the filters leave as a table."""
    answer = HttpResponse(
        api.as_csv(_rows(request).order_by("pk")[:MOST_IN_CSV]), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = 'attachment; filename="coverage.csv"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, number: int) -> HttpResponse:
    """Show one workflow and what holds on its path; move it, undo it, or say what holds."""
    caller = doors.caller(request)
    row = doors.find(coverage_map.rows(caller), pk=number)
    doors.about(request, f"system:{row.system.slug}", *([f"agent:{row.agent.slug}"] if row.agent else []))
    if request.method == "POST":
        _act(request, row)
        return redirect(f"/coverage/{number}/")
    path: str = row.path  # type: ignore[attr-defined]  # annotated by coverage.rows
    described = PathTerms.objects.filter(system=row.system, path=path).first()
    adopted = row.adopted_from is not None and row.agent is not None
    context = {
        "row": row,
        "details": _with_spans(api.workflow_rows([row])[0]),
        "path": dict(PATHS)[path] if coverage_map.is_issued(row.system) else NOT_ISSUED,
        "times": [(label, _span(api.workflow_rows([row])[0][name]), name) for name, label in TIMES],
        "terms": described,
        "ours": path == PathTerms.Path.GATEWAY,
        "bases": PathTerms.Basis.choices,
        "bypasses": PathTerms.Bypass.choices,
        "may_cut_over": adopted
        and row.state == Workflow.State.ADOPTED
        and doors.may(caller, "agent-cut-over", row.agent),
        "may_undo": adopted and doors.may(caller, "agent-adoption-undo", row.agent),
        "may_describe": doors.may(caller, "system-paths", row.system),
        "batch": row.adopted_from,
    }
    return render(request, "console/coverage_map/one.html", context)


BUTTONS: Final = {
    "cut-over": onboarding_actions.CUT_OVER,
    "undo": onboarding_actions.UNDO,
    "describe": actions.DESCRIBE,
}


def _act(request: HttpRequest, row: Workflow) -> None:
    action, values = doors.pressed(request, BUTTONS, "act"), {"reason": doors.reason(request)}
    if action is actions.DESCRIBE:
        path: str = row.path  # type: ignore[attr-defined]  # annotated by coverage.rows
        doors.permit(request, action.address, row.system)
        doors.perform(request, action, row.system, {**values, "path": path, **_terms_sent(request, path)})
    elif action is onboarding_actions.CUT_OVER:
        doors.perform(request, action, _agent(row), {**values, "system": row.system})
    else:
        doors.perform(request, action, _agent(row), values)


def _agent(row: Workflow) -> Agent:
    if row.agent is None:
        raise NotFound
    return row.agent


def _terms_sent(request: HttpRequest, path: str) -> dict[str, Any]:
    """Read the form: times in minutes, empty where unknown. Raises Malformed."""
    changes: dict[str, Any] = {"bypass": request.POST.get("bypass", "")}
    if path == PathTerms.Path.GATEWAY:
        return changes
    for name, _label in TIMES:
        minutes = request.POST.get(name, "").strip()
        if minutes and not (minutes.isascii() and minutes.isdecimal() and len(minutes) <= 6):  # noqa: PLR2004 - minutes
            raise Malformed(_("Times are whole minutes."))
        if minutes:
            changes[name] = int(minutes) * 60
    changes["token_basis"] = (
        request.POST.get("token_basis", "") if "token_seconds" in changes else PathTerms.Basis.UNKNOWN
    )
    return changes
