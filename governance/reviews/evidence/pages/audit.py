"""The auditor's pages of a closed review: samples with findings, questions, and shares."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_safe

from audit import clock
from entitlements.agents.models import Agent
from entitlements.errors import Malformed
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.console import doors, form_fields
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.evidence import actions, audit, workpapers
from governance.reviews.evidence.models import AuditQuestion, AuditSample, EvidenceShare, SampledItem
from governance.reviews.items import visibility

_MOST = 200


def readable(request: HttpRequest, slug: str, what: str) -> Campaign:
    """Return a review whose evidence the person may read, and record the access of an auditor."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    audit.check_may_read(campaign, person)
    audit.record_access(campaign, person, what)
    return campaign


def by_name(rows: list[dict[str, Any]], *fields: str) -> list[dict[str, Any]]:
    """Return rows for a page: people by display name and agents by name, which files have by login and short name."""
    people = {row[name] for row in rows for name in fields if row[name]}
    people |= {skip.partition(": ")[0] for row in rows for skip in row.get("skipped", ())}
    names = dict(Person.objects.filter(login__in=people).values_list("login", "name"))
    agents = dict(Agent.objects.filter(slug__in={row["agent"] for row in rows}).values_list("slug", "name"))
    return [
        {
            **row,
            **{name: names.get(row[name]) or row[name] for name in fields},
            "agent_name": agents.get(row["agent"]) or row.get("name") or row["agent"],
            "skipped": [_renamed(skip, names) for skip in row.get("skipped", ())],
        }
        for row in rows
    ]


def _renamed(skip: str, names: dict[str, str]) -> str:
    who, colon, why = skip.partition(": ")
    return f"{names.get(who) or who}{colon}{why}"


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def workspace(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the samples, questions and shares of a review, and carry out its forms."""
    if request.method == "POST":
        campaign = find_campaign(request, slug)
        _act(request, campaign)
        return redirect("review-audit", slug)
    campaign, person, now = readable(request, slug, "workspace"), doors.person(request), clock.now()
    samples = AuditSample.objects.filter(campaign=campaign).select_related("drawn_by").order_by("-drawn_at", "-id")
    questions = AuditQuestion.objects.filter(campaign=campaign).select_related("asked_by", "answered_by", "item__agent")
    shares = EvidenceShare.objects.filter(campaign=campaign, ended_at=None, expires_at__gt=now)
    context: dict[str, Any] = {
        "campaign": campaign,
        "now": now,
        "samples": [(sample, _progress(sample)) for sample in samples[:_MOST]],
        "questions": questions.order_by("-asked_at", "-id")[:_MOST],
        "shares": shares.select_related("auditor", "by").order_by("expires_at"),
        "strata": AuditSample.Strata.choices,
        "may_audit": campaign.state == Campaign.State.CLOSED and audit.may_test(campaign, person),
        "may_share": campaign.state == Campaign.State.CLOSED and _may_share(request),
        "is_owner": campaign.owner == person,
        "latest": (now + EvidenceShare.LONGEST).date().isoformat(),
    }
    return render(request, "console/reviews/evidence/audit.html", context)


def _may_share(request: HttpRequest) -> bool:
    return bool(MATRIX["campaign-shares", "POST"].roles & doors.caller(request).roles)


def _progress(sample: AuditSample) -> dict[str, int]:
    rows = workpapers.rows(sample)
    counts = {name: sum(row["finding"] == name for row in rows) for name in ("pass", "exception", "query", "")}
    return {
        "total": len(rows),
        "passed": counts["pass"],
        "exceptions": counts["exception"],
        "queries": counts["query"],
    }


def _act(request: HttpRequest, campaign: Campaign) -> None:
    """Do what the button says."""
    action = doors.pressed(request, BUTTONS, "do")
    doors.permit(request, action.address, campaign)
    doors.require_reauthentication(request, action.address)
    row: Campaign | AuditQuestion | EvidenceShare = campaign
    if action is actions.ANSWER:
        row = doors.find(AuditQuestion.objects.filter(campaign=campaign), pk=_uuid(request, "question"))
    elif action is actions.END_SHARE:
        row = doors.find(EvidenceShare.objects.filter(campaign=campaign), pk=_uuid(request, "share"))
    read = _READ.get(action.address)
    doors.perform(request, action, row, read(request) if read else None)


def _draw(request: HttpRequest) -> dict[str, Any]:
    wanted = doors.number(request.POST.get("wanted", ""), digits=3)
    return {"wanted": wanted, "strata": request.POST.get("strata", ""), "seed": request.POST.get("seed", "")}


def _text(request: HttpRequest) -> dict[str, Any]:
    return {"text": request.POST.get("text", "").strip()[:2000]}


def _share(request: HttpRequest) -> dict[str, Any]:
    try:
        day = parse_date(request.POST.get("until", ""))
    except ValueError as error:
        raise Malformed from error
    if day is None:
        raise Malformed
    auditor = form_fields.person(request, "auditor")
    return {"auditor": auditor, "expires_at": datetime.combine(day, time(), UTC), "reason": doors.reason(request)}


def _uuid(request: HttpRequest, name: str) -> UUID:
    try:
        return UUID(request.POST.get(name, ""))
    except ValueError as error:
        raise Malformed from error


BUTTONS: Final = {
    "draw": actions.DRAW,
    "ask": actions.ASK,
    "answer": actions.ANSWER,
    "share": actions.SHARE,
    "end-share": actions.END_SHARE,
}
_READ: Final = {
    actions.DRAW.address: _draw,
    actions.ASK.address: _text,
    actions.ANSWER.address: _text,
    actions.SHARE.address: _share,
}
"""How the form of a button is read, where it asks more than why."""


def _sample(request: HttpRequest, pk: UUID) -> AuditSample:
    rows = AuditSample.objects.filter(campaign__in=visibility.campaigns_visible_to(doors.person(request)))
    return doors.find(rows.select_related("drawn_by", "campaign__owner"), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def sample(request: HttpRequest, sample: UUID) -> HttpResponse:
    """Show the items of a sample with their findings, and store a finding."""
    drawn = _sample(request, sample)
    campaign = drawn.campaign
    if request.method == "POST":
        rows = SampledItem.objects.filter(sample=drawn).select_related("sample__campaign", "item")
        sampled = doors.find(rows, item__number=doors.number(request.POST.get("item", "")))
        values = {"finding": request.POST.get("finding", ""), "note": request.POST.get("note", "").strip()[:2000]}
        doors.perform(request, actions.MARK, sampled, values)
        return redirect(f"{reverse('review-sample', args=[sample])}#item-{sampled.item.number}")
    readable(request, campaign.slug, "sample")
    context = {
        "campaign": campaign,
        "sample": drawn,
        "rows": by_name(workpapers.rows(drawn), "decided_by", "marked_by"),
        "progress": _progress(drawn),
        "may_audit": audit.may_test(campaign, doors.person(request)),
    }
    return render(request, "console/reviews/evidence/sample.html", context)


@require_safe
@doors.page
def workpaper(request: HttpRequest, sample: UUID, form: str) -> HttpResponse:
    """Return a workpaper as CSV or JSON."""
    drawn = _sample(request, sample)
    readable(request, drawn.campaign.slug, f"workpaper.{form}")
    answer: HttpResponse
    if form == "csv":
        answer = HttpResponse(workpapers.as_csv(drawn), content_type="text/csv; charset=utf-8")
    else:
        data = workpapers.as_json(drawn)
        answer = JsonResponse(data, json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="workpaper-{sample}.{form}"'
    return answer
