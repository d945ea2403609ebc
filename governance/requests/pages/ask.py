"""Asking for access: which agent, for what, which tools, within what, for whom, how long, why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, EntitlementTool, Tool
from entitlements.errors import DomainError, Malformed, NotFound
from entitlements.people.models import Person
from governance.console import doors, form_fields
from governance.console.kit import combobox
from governance.console.limits import limit_fields as limit_fields_actions
from governance.eligibility import eligibility
from governance.requests import actions, denied_calls
from governance.requests import queries as read
from governance.requests.pages.requests import lasts


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def ask(request: HttpRequest) -> HttpResponse:
    """Ask, in two steps on one address: what for, then the rest. The gateway's links fill in the first step."""
    person = doors.person(request)
    agent, entitlement = _chosen(request)
    problem: DomainError | None = None
    if request.method == "POST" and agent and entitlement:
        doors.about(request, f"agent:{agent.slug}", f"entitlement:{entitlement.scope}")
        try:
            values = {"agent": agent, "entitlement": entitlement, "ask": _ask(request, agent, entitlement)}
            access_request = doors.perform(request, actions.SUBMIT, None, values).result
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
        else:
            return redirect(f"/requests/{access_request.pk}/")
    context = {**_choices(request), "agent": agent, "entitlement": entitlement, "problem": problem}
    context |= {"denied": _denied(request), "denied_call": request.POST.get("denied_call", "")}
    context |= {"kept": request.GET.get("kept", "")}
    if agent and entitlement:
        context |= _rest(request, person, agent, entitlement)
    return render(request, "console/requests/ask.html", context, status=problem.status if problem else 200)


def _denied(request: HttpRequest) -> denied_calls.DeniedCall | None:
    """Return the denied call that the address or the form names, where the person may see it and it is recent."""
    named = request.POST if request.method == "POST" else request.GET
    return denied_calls.find(doors.uuid_of(named.get("denied_call", "")), by=doors.person(request))


def _named(request: HttpRequest) -> Mapping[str, str]:
    """Return what the form, or the address, names; of an address, what it leaves out is as in its denied call."""
    if request.method == "POST":
        return request.POST.dict()
    denied, query = _denied(request), request.GET.dict()
    of_call = {"agent": denied.agent, "system": denied.system, "tool": denied.tool} if denied else {}
    return of_call | {name: value for name, value in query.items() if value}


def _chosen(request: HttpRequest) -> tuple[Agent | None, Entitlement | None]:
    """Find the agent and the entitlement that the address or the form names, of those the person may ask for."""
    caller, person = doors.caller(request), doors.person(request)
    named = _named(request)
    agents = read.requestable_agents(person, caller)
    agent = agents.filter(slug=combobox.key_of(caller, "requestable_agent", named, "agent")).first()
    offered = read.requestable_entitlements(caller)
    entitlement = offered.filter(scope=named.get("entitlement", "")).first()
    if entitlement is None and (tool := named.get("tool")):
        at = offered.filter(system__slug=named.get("system", ""), tools__name=tool)
        entitlement = at.first() if at.count() == 1 else None
    if request.method == "POST" and (agent is None or entitlement is None):
        raise NotFound
    return agent, entitlement


def _choices(request: HttpRequest) -> dict[str, Any]:
    caller, person = doors.caller(request), doors.person(request)
    named = _named(request)
    system, tool = named.get("system", ""), named.get("tool", "")
    offered = read.requestable_entitlements(caller, system).prefetch_related(None)  # a name each
    with_tool = offered.filter(tools__name=tool) if tool else offered
    return {
        "has_agents": read.requestable_agents(person, caller).exists(),
        "entitlements": list(with_tool if tool and with_tool.exists() else offered),
        "wanted": {"agent": named.get("agent", ""), "system": system, "tool": tool},
    }


def _rest(request: HttpRequest, person: Person, agent: Agent, entitlement: Entitlement) -> dict[str, Any]:
    form_data = request.POST if request.method == "POST" else None
    denied = _denied(request)
    called = denied_calls.called_with(denied, request.GET.get("kept", "")) if denied and form_data is None else {}
    wanted = _named(request).get("tool", "") if form_data is None else ""
    answers = eligibility.may_request_for_others(person, agent)
    rows = list(entitlement.lines.select_related("tool__approved").order_by("tool__name"))
    offered = {line.tool.name for line in rows if line.tool.state == Tool.State.APPROVED}
    ticked = form_data.getlist("tool") if form_data else {wanted} & offered or offered
    usual = min(eligibility.USUAL, entitlement.longest)
    lines = [
        {
            "tool": line.tool,
            "row": line,
            "fields": limit_fields(line, form_data, called if denied and line.tool.name == denied.tool else {}),
            "ticked": line.tool.name in ticked,
            "can": line.tool.name in offered,
        }
        for line in rows
    ]
    return {
        "lines": lines,
        "lengths": read.lengths(entitlement.longest, usual),
        "lasts": sent_lasts(request) or usual,
        "given": form_data or {"people": list(Person.objects.filter(login=denied.person)) if denied else []},
        "is_service": agent.kind == Agent.Kind.SERVICE,
        "for_sponsor": agent.kind == Agent.Kind.PERSONAL,
        "for_me_only": not answers,
    }


def _ask(request: HttpRequest, agent: Agent, entitlement: Entitlement) -> eligibility.RequestTerms:
    data = request.POST
    return eligibility.RequestTerms(
        lasts=lasts(request) or timedelta(0),
        reason=data.get("reason", "").strip()[:2000],
        people=_people(request, agent),
        groups=tuple(form_fields.named_several(request, "group", "groups")) if _answers(request, agent) else (),
        tools=frozenset(data.getlist("tool")),
        limits=limits_of(request, entitlement),
        denied_call=doors.uuid_of(data.get("denied_call", "")),
        ticket=doors.ticket(request),
    )


def limits_of(request: HttpRequest, entitlement: Entitlement) -> dict[str, Any]:
    """Read the limits that the form gives the ticked tools of an entitlement. Raises LimitMalformed."""
    kept, limits = frozenset(request.POST.getlist("tool")), {}
    for line in entitlement.lines.select_related("tool__approved"):
        if line.tool.name in kept:
            fields = limit_fields_actions.fields(line.tool.name, read.pinned(line.tool), line.limits)
            if tighter := limit_fields_actions.read(fields, line.limits, request.POST.getlist):
                limits[line.tool.name] = tighter
    return limits


def _answers(request: HttpRequest, agent: Agent) -> bool:
    return eligibility.may_request_for_others(doors.person(request), agent)


def _people(request: HttpRequest, agent: Agent) -> tuple[Person, ...]:
    """Read for whom: a service agent acts for no person, a personal one for its sponsor; others name people.

    A person who does not own the agent requests for themselves, and cannot probe which logins exist.
    """
    if agent.kind == Agent.Kind.SERVICE:
        return ()
    if agent.kind == Agent.Kind.PERSONAL:
        return (agent.sponsor,)
    if not _answers(request, agent):
        return (doors.person(request),)
    return tuple(form_fields.named_several(request, "person", "people"))


def limit_fields(
    line: EntitlementTool, data: QueryDict | None, called: Mapping[str, Any] | None = None
) -> list[limit_fields_actions.Field]:
    """Return the limits that can be set for a line, as a form that was refused had them, or a call that was denied."""
    fields = limit_fields_actions.fields(line.tool.name, read.pinned(line.tool), line.limits)
    if data:
        return [limit_fields_actions.with_sent_values(field, data.getlist) for field in fields]
    return [limit_fields_actions.with_called_values(field, called) for field in fields] if called else fields


def sent_lasts(request: HttpRequest) -> timedelta | None:
    """Return the length of time of a form that was refused, if it is one."""
    try:
        return lasts(request)
    except Malformed:
        return None
