"""The page of a request, on which it is narrowed and decided, changed or withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from entitlements.access import reauthentication
from entitlements.api.actions import Action
from entitlements.errors import DomainError, Malformed
from entitlements.people.models import Person
from governance.approvals import actions as approval_actions
from governance.approvals import reassign
from governance.approvals.models import Approval, RequestQuestion
from governance.audit_log.queries import events as events_queries
from governance.blast_radius import preview
from governance.console import doors
from governance.console.limits import limit_fields, narrowing_fields
from governance.eligibility.narrowing import Narrowing
from governance.request_changes import actions as change_actions
from governance.request_changes import appeal, renewal
from governance.requests import actions, denied_calls, requests
from governance.requests import queries as read
from governance.requests.models import AccessRequest
from governance.sod import check

_FILLED: Final = frozenset({"look", "approve", "deny"})
"""What the form with the tools can be sent for."""

_CAME_OF_IT: Final = (AccessRequest.State.IN_APPROVAL, AccessRequest.State.APPROVED)
"""The states in which the requester sees what was narrowed: while it waits for others, and once granted."""


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a request on one page; narrow and approve it there, deny it, or withdraw it; `look` only counts again."""
    person, here = doors.person(request), reverse("request-page", args=[pk])
    access_request = doors.find(read.visible(person), pk=pk)
    problem: DomainError | None = None
    if request.method == "POST" and request.POST.get("verb") != "look":
        doors.about(request, *requests.about(access_request))
        try:
            _answer(request, access_request)
        except DomainError as refusal:
            doors.record(request, refusal)
            if request.headers.get("HX-Request"):  # decided in the row of a list, which shows no form to correct
                messages.error(request, refusal.message)
                return redirect(doors.back(request, here))
            problem, access_request = refusal, doors.find(read.visible(person), pk=pk)
        else:
            return redirect(doors.back(request, here))
    return _show(request, access_request, person, problem)


def _show(
    request: HttpRequest, access_request: AccessRequest, person: Person, problem: DomainError | None
) -> HttpResponse:
    lines = _lines(request, access_request)
    kept = [line.tool.name for line in lines if line.row.kept]
    ticked = request.POST.getlist("tool") if request.POST.get("verb") in _FILLED else kept
    is_open = access_request.state == AccessRequest.State.IN_APPROVAL
    may_answer = read.waits_for(access_request, person)
    if may_answer and request.headers.get("HX-Request") and request.POST.get("verb") == "look":
        part = {"access_request": access_request, "kept": kept, "ticked": ticked}
        part |= {"chosen": _chosen(request, access_request), **_outlook(request, access_request, ticked)}
        return render(request, "console/requests/request_outlook.html", part)
    lines = read.with_past_calls(access_request, lines) if may_answer else lines
    context: dict[str, Any] = {
        "access_request": access_request,
        "lines": lines,
        "kept": kept,
        "stages": read.stages(access_request),
        "lengths": read.lengths(access_request.lasts, access_request.lasts),
        "may_answer": may_answer,
        **(
            _outlook(request, access_request, ticked)
            if may_answer
            else {"conflict": read.conflict(access_request, person)}
        ),
        "combinations": check.violations_of_request(access_request) if is_open else [],
        "may_ask_again": renewal.may_ask_again(access_request, person),
        "may_withdraw": is_open and requests.is_requester(access_request, person),
        **_afterwards(access_request, person),
        "needs_proof": access_request.risk in reauthentication.HIGH and not reauthentication.is_fresh(request),
        "ticked": ticked,
        "chosen": _chosen(request, access_request),
        "timeline": events_queries.about(f"request:{access_request.pk}", request),
        "problem": problem,
        "denied": denied_calls.resumed(access_request),
    }
    return render(request, "console/requests/request.html", context, status=problem.status if problem else 200)


def _outlook(request: HttpRequest, access_request: AccessRequest, ticked: list[str]) -> dict[str, Any]:
    """Return what approving these tools would mean: risk level, blast radius, and who must still approve."""
    risk, further = read.after_approval(access_request, ticked, doors.person(request))
    outlook = preview.outlook_of(access_request, ticked, doors.caller(request))
    return {"outlook": outlook, "outlook_risk": risk, "further": further}


def _afterwards(access_request: AccessRequest, person: Person) -> dict[str, Any]:
    """Return what was asked back, to whom an answer can be passed on, and what the requester may still do."""
    stage = requests.stages_for(person).filter(request=access_request).order_by("position").first()
    able = reassign.eligible(access_request, stage) if stage else frozenset[str]()
    return {
        "questions": access_request.questions.select_related("asked_by").order_by("asked_at"),
        "eligible": Person.objects.filter(login__in=able).order_by("name"),
        "may_appeal": appeal.may_appeal(access_request, person),
        "may_give_back": appeal.may_give_back(access_request, person),
        "narrowed": access_request.state in _CAME_OF_IT and appeal.was_narrowed(access_request),
        "appeal": AccessRequest.objects.filter(appeals=access_request).first(),
        "denials": Approval.Because.choices,
    }


def _lines(request: HttpRequest, access_request: AccessRequest) -> list[read.Line]:
    """Return the tools of a request, their limits as a form that was sent filled them in."""
    lines, data = read.lines(access_request), request.POST
    if data.get("verb") not in _FILLED:
        return lines
    return [
        replace(line, fields=[limit_fields.with_sent_values(field, data.getlist) for field in line.fields])
        if line.tool.name in data.getlist("tool")
        else line
        for line in lines
    ]


def _chosen(request: HttpRequest, access_request: AccessRequest) -> timedelta:
    """Return the length of time that the form shows: the one in a refused form, else the requested one."""
    try:
        return lasts(request) or access_request.lasts
    except Malformed:
        return access_request.lasts


def _answer(request: HttpRequest, access_request: AccessRequest) -> None:
    """Carry out what the button says. What is answered is the version that was shown."""
    if (button := BUTTONS.get(request.POST.get("verb", ""))) is None:
        raise Malformed
    action, read_values = button
    doors.perform(request, action, access_request, read_values(request, access_request))


def _approval(request: HttpRequest, access_request: AccessRequest) -> dict[str, Any]:
    return {**_versioned(request, access_request), "narrow": narrowing(request, access_request)}


def _denial(request: HttpRequest, access_request: AccessRequest) -> dict[str, Any]:
    because = request.POST.get("because", "")
    if because and because not in Approval.Because.values:
        raise Malformed
    return {**_versioned(request, access_request), "because": because}


def _versioned(request: HttpRequest, access_request: AccessRequest) -> dict[str, Any]:
    return {**_reason(request, access_request), "expected_version": version(request.POST)}


def _reason(request: HttpRequest, _request: AccessRequest) -> dict[str, Any]:
    return {"reason": request.POST.get("reason", "").strip()[:2000]}


def _appeal(request: HttpRequest, access_request: AccessRequest) -> dict[str, Any]:
    return {**_reason(request, access_request), "ticket": doors.ticket(request)}


def _text(request: HttpRequest, _request: AccessRequest) -> dict[str, Any]:
    return {"text": request.POST.get("text", "").strip()[:2000]}


def _answer_back(request: HttpRequest, access_request: AccessRequest) -> dict[str, Any]:
    asked = doors.uuid_of(request.POST.get("question", ""))
    question = doors.find(RequestQuestion.objects.filter(request=access_request), pk=asked)
    return {**_text(request, access_request), "question_id": question.pk}


def _pass_on(request: HttpRequest, access_request: AccessRequest) -> dict[str, Any]:
    return {**_versioned(request, access_request), "to": request.POST.get("to", "")}


BUTTONS: Final[Mapping[str, tuple[Action, Callable[[HttpRequest, AccessRequest], dict[str, Any]]]]] = {
    "approve": (approval_actions.APPROVE, _approval),
    "deny": (approval_actions.DENY, _denial),
    "withdraw": (actions.CANCEL, _versioned),
    "ask": (approval_actions.ASK, _text),
    "answer": (approval_actions.ANSWER, _answer_back),
    "reassign": (approval_actions.REASSIGN, _pass_on),
    "appeal": (change_actions.APPEAL, _appeal),
    "give_back": (change_actions.GIVE_BACK, _reason),
}
"""What each button does, and how its form is read."""


def version(data: QueryDict) -> int:
    """Read the version that a form showed; one that never is where it is unclear."""
    return doors.number(str(data.get("version", "")))


def narrowing(request: HttpRequest, access_request: AccessRequest) -> Narrowing:
    """Read what the form takes away: the tools that are not ticked, tighter limits, a shorter time."""
    lines = [(line.tool.name, line.row.limits, line.fields) for line in read.lines(access_request) if line.row.kept]
    return narrowing_fields.read(lines, request.POST.getlist)


def lasts(request: HttpRequest) -> timedelta | None:
    """Read a length of time in seconds. Raises Malformed."""
    return narrowing_fields.lasts(request.POST.getlist)
