"""Actions on access requests: submit, narrow, cancel. `approvals` answers them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, context, log
from audit.actions import Action
from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements.access import role_reach
from entitlements.agents.models import Agent
from entitlements.catalog import class_proposals
from entitlements.catalog.models import Entitlement, Tool
from entitlements.errors import DomainError, NotFound, NotRecordable, Stale
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.hooks import Hook
from entitlements.people.models import Person, Role
from entitlements.people.role_limits import RoleLimit
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approvals.models import Approval
from governance.conflicts_of_interest.routing import Route
from governance.eligibility import eligibility, holdings, narrowing
from governance.eligibility.eligibility import Requester, RequestTerms
from governance.eligibility.narrowing import Left, Narrowing
from governance.out_of_office import delegations
from governance.requests.models import AccessRequest, RequestLine
from governance.sod import check
from governance.tickets import tickets

from . import candidates, request_traces

SEE_EVERYTHING: Final = (Role.ANALYST, Role.AUDITOR, Role.SECURITY)
WHEN_SUBMITTED: Final[Hook[[AccessRequest], None]] = Hook("after a request is submitted", "rules")
"""Runs in the transaction of every submission."""


class Decided(DomainError):
    """The request is already decided."""

    code, status = "request_decided", HTTPStatus.CONFLICT


class Overdue(DomainError):
    """The time to answer this request is over. Submit a new request."""

    code, status = "request_expired", HTTPStatus.CONFLICT


class NotTheRequester(DomainError):
    """You cannot withdraw this request because you did not make it."""

    code, status = "not_the_requester", HTTPStatus.FORBIDDEN


class NotInvolved(DomainError):
    """You cannot narrow this request: only its requester, or an approver that it waits for, can."""

    code, status = "not_involved", HTTPStatus.FORBIDDEN


class NothingNarrowed(DomainError):
    """The narrowing takes nothing away. Leave out a tool, tighten a limit or shorten the time."""

    code, status = "nothing_narrowed", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def submit(
    agent: Agent, entitlement: Entitlement, ask: RequestTerms, *, by: Requester, on_behalf_of: Person | None = None
) -> AccessRequest:
    """Submit a request for access, and find the people who must approve it.

    `by` is a person, or the agent itself, then with the user whose session it is in, or for whom its call was denied.
    Raises what the checks in `eligibility`, holdings.distinction and tickets.check raise, narrowing.LimitsTooLarge,
    narrowing.ReasonTooLong, NotRecordable, and candidates.NoApprover: no stage is skipped.
    """
    narrowing.check_size(ask.limits, ask.reason)
    locks.shared([(Lock.AGENT, agent.pk)])  # its owners stay the same until the request can be seen
    agent, entitlement, ask = _as_they_are_now(agent, entitlement, ask)
    denial = eligibility.denial(agent, ask.denied_call)
    on_behalf_of = on_behalf_of or eligibility.user(by, denial)
    eligibility.check_requester(agent, ask, by=by, on_behalf_of=on_behalf_of)
    eligibility.check_people(agent, ask.people, ask.groups)
    eligibility.check_in_force(agent, entitlement, ask.people)
    lines = eligibility.lines(entitlement, ask)
    eligibility.check_two_people(agent, (tool.risk for tool in lines))
    target = holdings.GrantTarget(agent, entitlement, ask.people, ask.groups, getattr(ask.renews, "pk", None))
    holdings.distinction(target, lines)
    policy, now = policies.current_for(entitlement), clock.now()
    request = AccessRequest(
        agent=agent,
        entitlement=entitlement,
        requested_by=by if isinstance(by, Person) else on_behalf_of,
        requested_as=str(by.principal),
        owner_then=agent.owner,
        sponsor_then=agent.sponsor,
        manager_then=agent.sponsor.manager,
        system_owner_then=entitlement.system.owner,
        asked_lasts=ask.lasts,
        lasts=ask.lasts,
        reason=ask.reason,
        ticket=ask.ticket,
        risk=policy_rules.highest(Risk(tool.risk) for tool in lines),
        policy=policy,
        denied_call=ask.denied_call,
        renews=ask.renews,
        appeals=ask.appeals,
        trace=request_traces.of_new(agent, by, denial.trace if denial else None)[:32] or uuid4().hex,
        asked_at=now,
        answer_by=now + policy.answer_within,
    )
    routes = candidates.routes_of_new(request, stages_needed(request), ask.people, ask.groups)
    _store(request, ask, lines, routes)
    with trace_of(request):
        log.record(Action.REQUEST_SUBMITTED, by=by.principal, reason=ask.reason, **_event(request, lines, routes))
    WHEN_SUBMITTED.ask(request)
    return request


def _event(request: AccessRequest, lines: Mapping[Tool, Mapping[str, Any]], routes: Sequence[Route]) -> dict[str, Any]:
    """Return what the event is about, and its detail: what was requested, and who must approve it."""
    detail = {
        "lines": {tool.name: limits for tool, limits in lines.items()},
        "lasts_seconds": int(request.lasts.total_seconds()),
        "risk": request.risk,
        "completes": [violation.as_json() for violation in check.would_violate(request.agent, lines)],
        "denied_call": str(request.denied_call) if request.denied_call else None,
        **({"appeals": str(request.appeals_id)} if request.appeals_id else {}),
        **({"ticket": request.ticket} if request.ticket else {}),
        "approvals": [
            {"stage": route.stage, "waiting_for": sorted(route.asked), "rule": route.rule} for route in routes
        ],
    }
    return {"about": about(request), "detail": detail}


def _as_they_are_now(
    agent: Agent, entitlement: Entitlement, ask: RequestTerms
) -> tuple[Agent, Entitlement, RequestTerms]:
    """Read again what the caller may have read a while ago, and check the ticket. Raises as tickets.check."""
    ticket = tickets.check(tickets.Place.REQUEST, ask.ticket)
    return (
        Agent.objects.select_related("sponsor__manager", "owner").get(pk=agent.pk),
        Entitlement.objects.select_related("system__owner").get(pk=entitlement.pk),
        replace(ask, people=tuple(Person.objects.filter(pk__in=[person.pk for person in ask.people])), ticket=ticket),
    )


def stages_needed(request: AccessRequest) -> tuple[str, ...]:
    """Return which stages a request needs at its present risk, under the policy it was made under."""
    if request.policy is None:
        raise policies.Unusable
    personal = request.agent.kind == Agent.Kind.PERSONAL
    stages, appeal = policies.stages_of(request.policy), request.appeals_id is not None
    return policy_rules.stages_for(stages, Risk(request.risk), personal=personal, appeal=appeal)


def _store(
    request: AccessRequest,
    ask: RequestTerms,
    lines: Mapping[Tool, Mapping[str, Any]],
    routes: Sequence[Route],
) -> None:
    request.save(force_insert=True)
    request.people.set(ask.people)
    request.groups.set(ask.groups)
    RequestLine.objects.bulk_create(
        RequestLine(request=request, tool=tool, asked_limits=dict(limits), limits=dict(limits))
        for tool, limits in lines.items()
    )
    candidates.wait_for(request, routes, at=request.asked_at)


@contextmanager
def trace_of(request: AccessRequest) -> Iterator[None]:
    """Let what is recorded belong to the trace of the request, so that one trace holds the request and its answers.

    Raises NotRecordable when an event would be larger or more exact than the audit log holds.
    """
    try:
        with context.acting(trace=request.trace):
            yield
    except (BadEvent, Unrepresentable) as error:
        raise NotRecordable from error


def about(request: AccessRequest) -> list[str]:
    """Return the audit log's links of a request."""
    return [
        f"request:{request.pk}",
        f"agent:{request.agent.slug}",
        f"entitlement:{request.entitlement.scope}",
        f"system:{request.entitlement.system.slug}",
        *(f"person:{person.login}" for person in request.people.all()),
        *(f"group:{group.slug}" for group in request.groups.all()),
        *([f"grant:{request.renews_id}"] if request.renews_id else []),
        *tickets.links(request.ticket),
    ]


def ticket_of(request_id: UUID | None) -> str:
    """Return the ticket reference of a request; empty without a request or a ticket."""
    if request_id is None:
        return ""
    return AccessRequest.objects.filter(pk=request_id).values_list("ticket", flat=True).first() or ""


def locked(request_id: UUID, *, also: Person | None = None) -> AccessRequest:
    """Lock a request exclusively, and share locks on all that its grant would depend on. Raises NotFound.

    `also` is the person who answers, for themselves or as a delegate. The row is read after the locks, so that it
    shows what the previous holder committed; its own lock keeps the sweep, which takes no other, away from it.
    """
    lock([request_id], also=also)
    rows = AccessRequest.objects.select_for_update(of=("self",)).select_related(
        "agent__sponsor__manager",
        "agent__owner",
        "entitlement__system__owner",
        "policy",
        "requested_by",
        "owner_then",
        "sponsor_then",
        "manager_then",
        "system_owner_then",
    )
    request = rows.filter(pk=request_id).first()
    if request is None:
        raise NotFound
    return request


def lock(request_ids: Sequence[UUID], *, also: Person | None = None) -> None:
    """Take the locks of some requests and of what their grants would depend on, all in the one fixed order."""
    known = AccessRequest.objects.filter(pk__in=request_ids).values_list(
        "agent_id", "agent__sponsor_id", "entitlement__system_id"
    )
    acted_for = Person.objects.filter(requests_for__in=request_ids).values_list("pk", flat=True)
    tools = RequestLine.objects.filter(request__in=request_ids).values_list("tool_id", flat=True)
    keys: set[locks.Key] = {(Lock.PERSON, person) for person in acted_for} | {(Lock.TOOL, tool) for tool in tools}
    for agent, sponsor, system in known:
        keys |= {(Lock.AGENT, agent), (Lock.PERSON, sponsor), (Lock.SYSTEM, system)}
    if also:
        places = delegations.delegators_of(also).values_list("pk", flat=True)
        keys |= {(Lock.PERSON, person) for person in (also.pk, *places)}
    locks.shared(keys)
    renewed = AccessRequest.objects.filter(pk__in=request_ids).exclude(renews=None).values_list("renews", flat=True)
    ended = [(Lock.GRANT, grant) for grant in renewed]  # with the last answer the old grant ends
    locks.exclusive(*ended, *((Lock.REQUEST, request_id) for request_id in request_ids))


def check_open(request: AccessRequest, expected_version: int | None) -> None:
    """Raise Stale, Decided or Overdue unless the request still waits, as the caller saw it."""
    if expected_version is not None and expected_version != request.version:
        raise Stale
    if request.state != AccessRequest.State.IN_APPROVAL:
        raise Decided(state=request.state)
    if request.answer_by <= clock.now():
        raise Overdue


def kept_lines(request: AccessRequest) -> dict[str, RequestLine]:
    """Return the lines still asked for by tool name; each tool in the highest class since the request was made."""
    lines = {line.tool.name: line for line in request.lines.filter(kept=True).select_related("tool__system")}
    class_proposals.highest_since((line.tool for line in lines.values()), request.asked_at)
    return lines


def write_narrowed(request: AccessRequest, rows: Mapping[str, RequestLine], left: Left) -> None:
    """Write what is left of these lines, and set time and risk; the risk is the highest since the request was made."""
    for name, line in rows.items():
        line.kept, line.limits = name in left.lines, dict(left.lines.get(name, line.limits))
    changed = {*left.taken.get("dropped", ()), *left.taken.get("limits", ())}
    RequestLine.objects.bulk_update([rows[name] for name in sorted(changed)], ["kept", "limits"])
    request.lasts = left.lasts
    request.risk = policy_rules.highest(Risk(rows[name].tool.risk) for name in left.lines)


def save(request: AccessRequest, **fields: object) -> None:
    """Write an open request's next version. Raises Stale when another write came first."""
    for name, value in fields.items():
        setattr(request, name, value)
    changed = {"lasts": request.lasts, "risk": request.risk, "version": request.version + 1, **fields}
    same = AccessRequest.objects.filter(pk=request.pk, version=request.version, state=AccessRequest.State.IN_APPROVAL)
    if not same.update(**changed):
        raise Stale
    request.version += 1


@transaction.atomic
def narrow(
    request_id: UUID, by: Requester, what: Narrowing, *, expected_version: int | None = None, reason: str = ""
) -> AccessRequest:
    """Narrow a request, as the requester or as an approver that it waits for. Answers already given stay.

    Raises NotFound, NotInvolved, Stale, Decided, Overdue, NothingNarrowed, narrowing.Wider, narrowing.NothingLeft,
    narrowing.LimitsTooLarge, narrowing.ReasonTooLong, NotRecordable.
    """
    narrowing.check_size(what.limits, reason)
    request = locked(request_id)
    waits = isinstance(by, Person) and stages_for(by).filter(request=request).exists()
    if not (waits or is_requester(request, by)):
        raise NotInvolved
    check_open(request, expected_version)
    rows = kept_lines(request)
    left = narrowing.left({name: line.limits for name, line in rows.items()}, request.lasts, what)
    if not left.taken:
        raise NothingNarrowed
    write_narrowed(request, rows, left)
    save(request)
    with trace_of(request):
        log.record(Action.REQUEST_NARROWED, about=about(request), by=by.principal, reason=reason, detail=left.taken)
    return request


def is_requester(request: AccessRequest, who: Requester) -> bool:
    """Whether this person or agent made the request."""
    return str(who.principal) == request.requested_as or (isinstance(who, Person) and who.pk == request.requested_by_id)


@transaction.atomic
def cancel(request_id: UUID, by: Requester, *, expected_version: int | None = None, reason: str = "") -> AccessRequest:
    """Withdraw a request. Raises NotFound, NotTheRequester, Stale, Decided, Overdue, narrowing.ReasonTooLong."""
    narrowing.check_size({}, reason)
    request = locked(request_id)
    if not is_requester(request, by):
        raise NotTheRequester
    check_open(request, expected_version)
    void(request)
    save(request, state=AccessRequest.State.CANCELLED, decided_at=clock.now())
    with trace_of(request):
        log.record(Action.REQUEST_CANCELLED, about=about(request), by=by.principal, reason=reason)
    return request


def void(request: AccessRequest, stages: Iterable[str] | None = None) -> None:
    """Say that the stages that still wait (or these of them) are no longer needed."""
    waiting = Approval.objects.filter(request=request, answer=Approval.Answer.WAITING)
    if stages is not None:
        waiting = waiting.filter(stage__in=list(stages))
    waiting.update(answer=Approval.Answer.VOID)


def waiting_ids() -> list[UUID]:
    """List the requests that wait for an answer, oldest first."""
    waiting = AccessRequest.objects.filter(state=AccessRequest.State.IN_APPROVAL)
    return list(waiting.order_by("asked_at").values_list("pk", flat=True))


def stages_for(person: Person) -> QuerySet[Approval]:
    """Return the stages that wait for a person's answer, their own or as a delegate."""
    places = Q(waiting_for=person) | Q(waiting_for__in=delegations.delegators_of(person))
    waiting = Approval.objects.filter(places, answer=Approval.Answer.WAITING)
    return waiting.filter(request__state=AccessRequest.State.IN_APPROVAL).distinct()


def visible_to(who: Requester, sight: RoleLimit | None = None) -> QuerySet[AccessRequest]:
    """Return the requests that a person or agent may see; analysts, auditors and security all within their limits.

    A person sees their own requests, those that wait for them or that they answered, and those about their agents,
    their systems or themselves. `sight` is how far their admin roles reach, where it was read already.
    """
    everything = AccessRequest.objects.all()
    if isinstance(who, Agent):
        return everything.filter(agent=who)
    sight = who.reach(*SEE_EVERYTHING) if sight is None else sight
    if sight.everything:
        return everything
    if not who.is_active:
        return everything.none()
    mine = (
        Q(requested_by=who)
        | Q(agent__sponsor=who)
        | Q(agent__owner=who)
        | Q(entitlement__system__owner=who)
        | Q(pk__in=Approval.objects.filter(Q(waiting_for=who) | Q(by=who) | Q(in_place_of=who)).values("request"))
        | Q(pk__in=stages_for(who).values("request"))
        | Q(pk__in=AccessRequest.people.through.objects.filter(person=who).values("accessrequest"))
        | Q(pk__in=AccessRequest.groups.through.objects.filter(group__people=who).values("accessrequest"))
    )
    return everything.filter(mine | role_reach.within(sight, AccessRequest))


def of_limit(limit: RoleLimit) -> Q:
    """Select the requests at the systems, for the agents, and by or for the people that a limit names."""
    found = role_reach.by(entitlement="entitlement_id", agent="agent_id", person="requested_by_id")(limit)
    named = AccessRequest.people.through.objects.filter(person__in=role_reach.people_of(limit.departments))
    return found | role_reach.one_of("pk", named.values("accessrequest")) if limit.departments else found
