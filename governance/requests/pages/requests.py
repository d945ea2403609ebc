"""Requests: the list, the page on which one is narrowed and answered, withdrawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import reauthentication, visibility
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError, Malformed
from entitlements.people.models import Person
from governance.approvals import approvals, questions, reassign
from governance.approvals.models import Approval, RequestQuestion
from governance.audit_log.queries import events as events_queries
from governance.blast_radius import preview
from governance.console import doors, limit_fields, paging
from governance.eligibility.narrowing import Narrowing
from governance.request_changes import appeal, renewal
from governance.request_suggestions import precedents
from governance.requests import queries as read
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.sod import check

_FILLED: Final = frozenset({"look", "approve", "deny"})
"""What the form with the tools can be sent for."""

_CAME_OF_IT: Final = (AccessRequest.State.IN_APPROVAL, AccessRequest.State.APPROVED)
"""When whoever asked sees what was left out: while the rest waits for others, and when it was given."""


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List requests; the filters stand in the address."""
    person = doors.person(request)
    told = {
        "page": paging.page(request, read.listed(person, request.GET.dict()), ("-asked_at", "-id")),
        "filters": request.GET,
        "states": AccessRequest.State.choices,
        "risks": Tool.Risk.choices,
        "systems": visibility.systems(doors.caller(request)).order_by("slug"),
        "filtered": any(request.GET.get(name) for name in ("state", "agent", "system", "risk", "waiting", "asked")),
    }
    return render(request, "console/requests/requests.html", told)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a request on one page; narrow and approve it there, deny it, or withdraw it; `look` only counts anew."""
    person = doors.person(request)
    asked = doors.find(read.visible(person), pk=pk)
    problem: DomainError | None = None
    if request.method == "POST" and request.POST.get("verb") != "look":
        doors.about(request, *requests.about(asked))
        try:
            done = _answer(request, asked, person)
        except DomainError as refusal:
            doors.record(request, refusal)
            problem, asked = refusal, doors.find(read.visible(person), pk=pk)
        else:
            doors.done(request, done)
            return redirect(f"/requests/{pk}/")
    return _show(request, asked, person, problem)


def _show(request: HttpRequest, asked: AccessRequest, person: Person, problem: DomainError | None) -> HttpResponse:
    lines = _lines(request, asked)
    kept = [line.tool.name for line in lines if line.row.kept]
    ticked = request.POST.getlist("tool") if request.POST.get("verb") in _FILLED else kept
    is_open = asked.state == AccessRequest.State.IN_APPROVAL
    may_answer = read.waits_for(asked, person)
    choice, lines = read.suggested(asked, lines) if may_answer else (None, lines)
    told: dict[str, Any] = {
        "asked": asked,
        "lines": lines,
        "kept": kept,
        "stages": read.stages(asked),
        "lengths": read.lengths(asked.lasts, asked.lasts),
        "may_answer": may_answer,
        "suggested": choice,
        "outlook": preview.of(asked, ticked, doors.caller(request)) if may_answer else None,
        "combinations": check.of_request(asked) if is_open else [],
        "may_ask_again": renewal.may_ask_again(asked, person),
        "may_withdraw": is_open and requests.asked_by(asked, person),
        **_afterwards(asked, person),
        "needs_proof": asked.risk in reauthentication.HIGH and not reauthentication.is_fresh(request),
        "ticked": ticked,
        "chosen": _chosen(request, asked),
        "timeline": events_queries.about(f"request:{asked.pk}", request),
        "problem": problem,
        "denied": precedents.resumed(asked),
    }
    return render(request, "console/requests/request.html", told, status=problem.status if problem else 200)


def _afterwards(asked: AccessRequest, person: Person) -> dict[str, Any]:
    """Return what was asked back, to whom an answer can be passed on, and what whoever asked may still do."""
    stage = requests.stages_for(person).filter(request=asked).order_by("position").first()
    able = reassign.eligible(asked, stage) if stage else frozenset[str]()
    return {
        "questions": asked.questions.select_related("asked_by").order_by("asked_at"),
        "eligible": Person.objects.filter(login__in=able).order_by("name"),
        "may_appeal": appeal.may_appeal(asked, person),
        "may_give_back": appeal.may_give_back(asked, person),
        "narrowed": asked.state in _CAME_OF_IT and appeal.was_narrowed(asked),
        "appeal": AccessRequest.objects.filter(appeals=asked).first(),
        "denials": Approval.Because.choices,
    }


def _lines(request: HttpRequest, asked: AccessRequest) -> list[read.Line]:
    """Return the tools of a request, their limits as a form that was sent filled them in."""
    lines, given = read.lines(asked), request.POST
    if given.get("verb") not in _FILLED:
        return lines
    return [
        replace(line, fields=[limit_fields.refilled(field, given.getlist) for field in line.fields])
        if line.tool.name in given.getlist("tool")
        else line
        for line in lines
    ]


def _chosen(request: HttpRequest, asked: AccessRequest) -> timedelta:
    """Return the length of time that the form shows: what somebody chose before a refusal, else what was asked for."""
    try:
        return lasts(request) or asked.lasts
    except Malformed:
        return asked.lasts


def _answer(request: HttpRequest, asked: AccessRequest, person: Person) -> str:
    """Carry out what the button says. What is answered is the version that was shown."""
    given = request.POST
    shown = version(given)
    verb, reason = given.get("verb"), given.get("reason", "").strip()[:2000]
    if verb in _FURTHER:
        return str(_FURTHER[verb](asked, person, given, reason))
    if verb == "deny":
        because = given.get("because", "")
        if because and because not in Approval.Because.values:
            raise Malformed
        approvals.deny(asked.pk, by=person, reason=reason, because=because, expected_version=shown)
        return _("Denied. Whoever asked sees why.")
    if verb == "withdraw":
        requests.cancel(asked.pk, person, expected_version=shown, reason=reason)
        return _("Withdrawn.")
    if verb != "approve":
        raise Malformed
    doors.prove(request, "request-approve", weighs=asked.risk in reauthentication.HIGH)
    left = approvals.approve(
        asked.pk, by=person, expected_version=shown, narrow=narrowing(request, asked), reason=reason
    )
    if left.grant_id:
        return _("Approved. The access is in force until it ends.")
    return _("Approved. Others must still answer before it is in force.")


def _ask_back(asked: AccessRequest, person: Person, given: QueryDict, _reason: str) -> str:
    questions.ask(asked.pk, by=person, text=given.get("text", "").strip()[:2000])
    return _("Asked. You are told when it is answered; the time to answer the request goes on.")


def _answer_back(asked: AccessRequest, person: Person, given: QueryDict, _reason: str) -> str:
    question = doors.find(RequestQuestion.objects.filter(request=asked), pk=uuid_of(given.get("question", "")))
    questions.answer(asked.pk, question.pk, by=person, text=given.get("text", "").strip()[:2000])
    return _("Answered.")


def _pass_on(asked: AccessRequest, person: Person, given: QueryDict, reason: str) -> str:
    to = Person.objects.filter(login=given.get("to", "")).first()
    if to is None:
        raise reassign.NotEligible
    reassign.reassign(asked.pk, by=person, to=to, reason=reason, expected_version=version(given))
    return _("Passed on. It waits for you no longer.")


def _appeal(asked: AccessRequest, person: Person, _given: QueryDict, reason: str) -> str:
    appeal.appeal(asked.pk, by=person, reason=reason)
    return _("Appealed. Others look at it now, security among them.")


def _give_back(asked: AccessRequest, person: Person, _given: QueryDict, reason: str) -> str:
    appeal.give_back(asked.pk, by=person, reason=reason)
    return _("Given back. The access has ended.")


_FURTHER: Final[Mapping[str | None, Callable[[AccessRequest, Person, QueryDict, str], str]]] = {
    "ask": _ask_back,
    "answer": _answer_back,
    "reassign": _pass_on,
    "appeal": _appeal,
    "give_back": _give_back,
}


def version(given: QueryDict) -> int:
    """Read the version that a form showed; one that never is where it is unclear."""
    return doors.number(str(given.get("version", "")))


def uuid_of(text: str) -> UUID | None:
    """Read an identifier; None where it is none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def narrowing(request: HttpRequest, asked: AccessRequest) -> Narrowing:
    """Read what the form takes away: the tools that are not ticked, tighter limits, a shorter time."""
    given = request.POST
    kept = frozenset(given.getlist("tool"))
    limits = {}
    for line in read.lines(asked):
        if line.row.kept and line.tool.name in kept:
            tighter = limit_fields.read(line.fields, line.row.limits, given.getlist)
            if tighter:
                limits[line.tool.name] = tighter
    return Narrowing(kept, limits, lasts(request))


def lasts(request: HttpRequest) -> timedelta | None:
    """Read a length of time in seconds. Raises Malformed."""
    given = request.POST.get("lasts", "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal()) or len(given) > 9:  # noqa: PLR2004 - thirty years of seconds
        raise Malformed(_("The length of time is not one of those offered."))
    return timedelta(seconds=int(given))
