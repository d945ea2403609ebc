"""Access in an emergency: the list, declaring one in two steps on one address, one of them and its review."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.access import reauthentication, visibility
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.errors import DomainError, NotFound
from entitlements.people.models import Role
from governance.audit_log.queries import events as events_queries
from governance.break_glass import actions, break_glass, queries
from governance.console import doors, paging
from governance.eligibility import eligibility
from governance.requests import queries as read
from governance.requests.pages.ask import limit_fields, limits_of, named_groups, named_people, sent_lasts
from governance.requests.pages.requests import lasts
from governance.setup import readiness
from governance.sod import check

LENGTHS: Final = tuple(timedelta(minutes=each) for each in (15, 30, 60))


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the emergencies that the person may see, the newest first."""
    person = doors.person(request)
    context = {
        "page": paging.page(request, queries.visible_to(person), ("-given_at", "-id")),
        "may_declare": queries.may_declare(doors.caller(request)),
    }
    return render(request, "console/break_glass/emergencies.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def declare(request: HttpRequest) -> HttpResponse:
    """Declare one: first for which agent and what, then the rest. It is given once it is proven who does it."""
    person, named = doors.person(request), request.POST if request.method == "POST" else request.GET
    agent = visibility.agents(doors.caller(request)).filter(slug=named.get("agent", "").strip()).first()
    offered = break_glass.givable(person, read.requestable_entitlements(doors.caller(request)))
    entitlement = offered.filter(scope=named.get("entitlement", "")).first()
    problem: DomainError | None = None
    if request.method == "POST":
        if agent is None or entitlement is None:
            raise NotFound
        doors.about(request, f"agent:{agent.slug}", f"entitlement:{entitlement.scope}")
        try:
            made = doors.perform(request, actions.GIVE, None, _sent(request, agent, entitlement)).result
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
        else:
            return redirect(f"/break-glass/{made.pk}/")
    context = {
        "agent": agent,
        "entitlement": entitlement,
        "entitlements": list(offered.prefetch_related(None)),
        "wanted": named.get("agent", ""),
        "problem": problem,
        "given": named,
        "factor": reauthentication.has_second_factor(person),
        "owed": break_glass.owed(person),
        **(_rest(request, agent, entitlement) if agent and entitlement else {}),
    }
    return render(
        request, "console/break_glass/emergency_declare.html", context, status=problem.status if problem else 200
    )


def _sent(request: HttpRequest, agent: Agent, entitlement: Entitlement) -> dict[str, Any]:
    """Read what is to be given at once, and to whom."""
    given = request.POST
    service = agent.kind == Agent.Kind.SERVICE
    ask = eligibility.RequestTerms(
        lasts=lasts(request) or timedelta(0),
        reason=doors.reason(request),
        people=() if service else named_people(given.get("people", "")),
        groups=() if service else named_groups(given.get("groups", "")),
        tools=frozenset(given.getlist("tool")),
        limits=limits_of(request, entitlement),
        ticket=doors.ticket(request),
    )
    return {
        "agent": agent,
        "entitlement": entitlement,
        "ask": ask,
        "combinations": given.getlist("combination"),
        "before_setup": "before_setup" in given,
    }


def _rest(request: HttpRequest, agent: Agent, entitlement: Entitlement) -> dict[str, Any]:
    """Return what the second step shows, with what a refused form held."""
    ticked = request.POST.getlist("tool")
    lines = [
        {
            "tool": line.tool,
            "row": line,
            "fields": limit_fields(line, request.POST or None),
            "ticked": line.tool.name in ticked,
        }
        for line in entitlement.lines.select_related("tool__approved").order_by("tool__name")
        if line.tool.state == Tool.State.APPROVED
    ]
    return {
        "lines": lines,
        "lengths": LENGTHS,
        "lasts": sent_lasts(request) or LENGTHS[-1],
        "is_service": agent.kind == Agent.Kind.SERVICE,
        "missing": readiness.missing(),
        "combinations": _completes(agent, [line["tool"] for line in lines]),
    }


def _completes(agent: Agent, tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Say which rules could be broken by giving any of these tools, each once."""
    found = [each for each in check.would_violate(agent, tools) if each.exception is None]
    return [
        {"name": name, "sentence": sentence}
        for name, sentence in {each.rule.name: each.rule.sentence for each in found}.items()
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one emergency; a person of security who has no part in it says there whether it was justified."""
    person = doors.person(request)
    found = doors.find_subject(request, actions.EMERGENCY, pk)
    if request.method == "POST":
        doors.perform(request, actions.REVIEW, found)
        return redirect(f"/break-glass/{pk}/")
    over = break_glass.is_over(found)
    context = {
        "found": found,
        "lines": found.grant.lines.select_related("tool"),
        "over": over,
        "may_review": over and not found.verdict and person.pk != found.given_by_id and person.has_role(Role.SECURITY),
        "may_stop": not over and doors.may(doors.caller(request), "grant-revoke", found.grant),
        "timeline": events_queries.about(f"emergency:{pk}", request),
    }
    return render(request, "console/break_glass/emergency.html", context)
