"""The answers of the tool `request_access`, in a thread of a gateway node, on connections of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, connections, transaction
from django.utils.dateparse import parse_duration

from audit import context
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.errors import Malformed, NotFound
from entitlements.gateway.access_requests.requester import AccessAnswer, Ask, Requester
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.request_access import requestable, submission
from governance.request_access.requestable import Delegation, RequestableEntitlement
from governance.requests.models import AccessRequest

_WITHIN: Final = "SET LOCAL statement_timeout = '4s'; SET LOCAL lock_timeout = '2s'"
"""Sooner than the caller gives up; local, so that it goes through a transaction pooler."""


def run(requester: Requester, systems: Sequence[str], ask: Ask) -> AccessAnswer:
    """Answer one call of a node's thread, and leave no connection behind. Raises as `answer`, and database errors."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_WITHIN)
            return answer(requester, systems, ask)
    finally:
        connections.close_all()


def answer(requester: Requester, systems: Sequence[str], ask: Ask) -> AccessAnswer:
    """Say what can be requested, or submit what was picked. Raises DomainError where it is refused."""
    person = Principal("person", requester.person)
    made: context.Changes = {
        "trace": requester.trace,
        "request_id": requester.request_id,
        "source": requester.source,
        "session": requester.session,
        "on_behalf_of": person,
    }
    with context.acting(**made):
        delegation = _delegation(requester)
        return _submitted(delegation, systems, ask) if ask.entitlement else _listed(delegation, systems)


def _delegation(requester: Requester) -> Delegation:
    agent = Agent.objects.select_related("sponsor", "owner", "backup").filter(slug=requester.agent).first()
    person = Person.objects.filter(login=requester.person).first()
    client = Client.objects.filter(client_id=requester.client).first()
    if agent is None or person is None or client is None:
        raise NotFound
    return Delegation(agent, person, client)


def _listed(delegation: Delegation, systems: Sequence[str]) -> AccessAnswer:
    found = requestable.entitlements(delegation, systems)
    data = {"requestable": [_option_data(option) for option in found]}
    if not found:
        text = f"There is nothing that {delegation.person.name} can request for {delegation.agent.name} here now."
        return AccessAnswer(text, data)
    lines = [f"{number}. {_option_line(option)}" for number, option in enumerate(found, 1)]
    asks = (
        f"{delegation.person.name} can request this for {delegation.agent.name}, smallest first. To request one, call "
        "request_access with its entitlement and the reason why it is needed."
    )
    return AccessAnswer("\n".join([asks, *lines]), data)


def _option_line(option: RequestableEntitlement) -> str:
    names = ", ".join(tool.name for tool in option.tools)
    kind = "reads only" if option.is_read_only else "changes things"
    waits = f" Already requested: {url(option.open_request)}" if option.open_request else ""
    entitlement = option.entitlement
    return f"{entitlement.scope} ({entitlement.name}): {kind}, {option.risk} risk, tools: {names}.{waits}"


def _option_data(option: RequestableEntitlement) -> dict[str, Any]:
    entitlement = option.entitlement
    return {
        "entitlement": entitlement.scope,
        "name": entitlement.name,
        "system": entitlement.system.slug,
        "read_only": option.is_read_only,
        "risk": str(option.risk),
        "longest": _duration(entitlement.longest),
        "tools": [
            {"name": tool.name, "what": tool.sentence, "action": tool.action, "risk": tool.risk}
            for tool in option.tools
        ],
        "open_request": str(option.open_request.pk) if option.open_request else None,
    }


def _submitted(delegation: Delegation, systems: Sequence[str], ask: Ask) -> AccessAnswer:
    request, is_new = submission.submit(
        delegation,
        systems,
        ask.entitlement,
        reason=ask.reason,
        lasts=_length(ask.lasts),
        tools=None if ask.tools is None else frozenset(ask.tools),
        ticket=ask.ticket,
    )
    request.refresh_from_db(fields=["state"])  # a rule may have approved it by now
    stages = Approval.objects.filter(request=request).prefetch_related("waiting_for").order_by("position")
    waits = [
        {"stage": stage.stage, "waiting_for": sorted(person.name for person in stage.waiting_for.all())}
        for stage in stages
        if stage.answer == Approval.Answer.WAITING
    ]
    data = {
        "request": str(request.pk),
        "state": request.state,
        "is_new": is_new,
        "entitlement": request.entitlement.scope,
        "tools": sorted(request.lines.filter(kept=True).values_list("tool__name", flat=True)),
        "lasts": _duration(request.lasts),
        "answer_by": request.answer_by.isoformat(),
        "approvals": waits,
        "url": url(request),
    }
    return AccessAnswer(_request_text(request, data, is_new=is_new), data, str(request.pk))


def _request_text(request: AccessRequest, data: dict[str, Any], *, is_new: bool) -> str:
    what = f"{request.entitlement.scope} ({', '.join(data['tools'])})"
    if request.state == AccessRequest.State.APPROVED:
        return f"Access to {what} is approved. List the tools again. Details: {data['url']}"
    asked = "is requested" if is_new else "was requested before, and is still waiting"
    names = "; ".join(f"{each['stage']}: {', '.join(each['waiting_for'])}" for each in data["approvals"])
    return (
        f"Access to {what} {asked}. It must be approved by {names}. The tools appear in the list once it is approved; "
        f"no new sign-in is needed. Details: {data['url']}"
    )


def url(request: AccessRequest) -> str:
    """Return where a request is shown in the console."""
    return f"{settings.CONSOLE_URL}/requests/{request.pk}/"


def _length(lasts: str) -> timedelta | None:
    """Read an ISO 8601 duration; empty is None. Raises Malformed."""
    if not lasts:
        return None
    try:
        length = parse_duration(lasts) if lasts.startswith("P") else None
    except (ValueError, OverflowError):
        length = None
    if length is None or length <= timedelta(0):
        raise Malformed("Write `lasts` as a positive ISO 8601 duration, like PT8H or P30D.")
    return length


def _duration(value: timedelta) -> str:
    """Write a duration as ISO 8601, in days and seconds."""
    day = f"{value.days}D" if value.days else ""
    return f"P{day}T{value.seconds}S" if value.seconds else f"P{day or '0D'}"
