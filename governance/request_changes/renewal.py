"""Actions that repeat a request: renew access that ends soon, or submit again what was not approved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError, NotFound
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.eligibility import narrowing
from governance.eligibility.eligibility import MayNotRequest, Requester, RequestTerms, check_requester
from governance.eligibility.narrowing import NOTHING, Narrowing
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.tickets import tickets

SOON: Final = timedelta(days=14)
"""How long before its end access can be renewed; an earlier review would say too little."""


class NotRenewable(DomainError):
    """Only active access that ends within 14 days can be renewed. Submit a new request instead."""

    code, status = "not_renewable", HTTPStatus.CONFLICT


class RenewedAlready(DomainError):
    """A renewal of this access already waits for approval."""

    code, status = "renewal_waits", HTTPStatus.CONFLICT


class StillOpen(DomainError):
    """You can only repeat a request that was denied, withdrawn or not answered in time."""

    code, status = "request_not_over", HTTPStatus.CONFLICT


@transaction.atomic
def renew(
    grant_id: UUID,
    *,
    by: Requester,
    lasts: timedelta,
    reason: str,
    what: Narrowing = NOTHING,
    ticket: str = "",
    on_behalf_of: Person | None = None,
) -> AccessRequest:
    """Request the renewal of a grant near its end: the same or less, for the same people, approved like any request.

    The last approval ends the old grant and begins the new one in one step, so nothing is in between. Tools that may no
    longer be asked for are left out unless `what` names them. Without a ticket it has that of the request that the
    grant came of. Raises NotFound, NotRenewable, RenewedAlready, narrowing.Wider, narrowing.NothingLeft, and what
    requests.submit raises.
    """
    grant = Grant.objects.select_related("agent", "entitlement").filter(pk=grant_id).first()
    if grant is None:
        raise NotFound
    now = clock.now()
    if grant.state != Grant.State.ACTIVE or not now < grant.expires_at <= now + SOON:
        raise NotRenewable
    held = {line.tool: line.limits for line in grant.lines.select_related("tool")}
    offered = set(grant.entitlement.lines.values_list("tool_id", flat=True))
    possible = frozenset(tool.name for tool in held if tool.state == Tool.State.APPROVED and tool.pk in offered)
    tools = possible if what.tools is None else what.tools
    left = narrowing.lines({tool.name: limits for tool, limits in held.items()}, Narrowing(tools, what.limits))
    before = requests.ticket_of(grant.request_id)
    ask = RequestTerms(
        lasts,
        reason,
        *_subjects(grant),
        tools=frozenset(left),
        limits=_stated(left),
        renews=grant,
        ticket=tickets.again(tickets.Place.REQUEST, ticket, before),
    )
    return _submit(grant, ask, by=by, on_behalf_of=on_behalf_of)


def _submit(
    like: Grant | AccessRequest, ask: RequestTerms, *, by: Requester, on_behalf_of: Person | None
) -> AccessRequest:
    """Submit for the agent and the entitlement of what there is. Raises RenewedAlready (the database decides)."""
    try:
        with transaction.atomic():
            return requests.submit(like.agent, like.entitlement, ask, by=by, on_behalf_of=on_behalf_of)
    except IntegrityError as error:
        raise RenewedAlready from error


def ask_again(
    request_id: UUID,
    *,
    by: Requester,
    lasts: timedelta | None = None,
    reason: str,
    ticket: str = "",
    on_behalf_of: Person | None = None,
) -> AccessRequest:
    """Ask once more for what was denied, withdrawn or not answered in time, as it was asked then.

    A renewal renews again, while what it renews is in force. Raises NotFound, StillOpen, RenewedAlready, and what
    requests.submit raises.
    """
    old = AccessRequest.objects.select_related("agent", "entitlement", "renews").filter(pk=request_id).first()
    if old is None:
        raise NotFound
    lines = {line.tool.name: line.asked_limits for line in old.lines.select_related("tool")}
    people, groups = tuple(old.people.all()), tuple(old.groups.all())
    renews = old.renews if old.renews and old.renews.state == Grant.State.ACTIVE else None
    tools, limits = frozenset(lines), _stated(lines)
    ticket = tickets.again(tickets.Place.REQUEST, ticket, old.ticket)
    ask = RequestTerms(
        lasts or old.asked_lasts, reason, people, groups, tools=tools, limits=limits, renews=renews, ticket=ticket
    )
    check_requester(
        old.agent, ask, by=by, on_behalf_of=on_behalf_of
    )  # a person who may not request learns nothing of its state
    if old.state in (AccessRequest.State.IN_APPROVAL, AccessRequest.State.APPROVED):
        raise StillOpen(state=old.state)
    return _submit(old, ask, by=by, on_behalf_of=on_behalf_of)


def may_ask_again(old: AccessRequest, by: Person) -> bool:
    """Whether a request came to nothing, and a person may ask for the same once more; for showing a button."""
    if old.state in (AccessRequest.State.IN_APPROVAL, AccessRequest.State.APPROVED):
        return False
    ask = RequestTerms(old.asked_lasts, "", tuple(old.people.all()), tuple(old.groups.all()))
    try:
        check_requester(old.agent, ask, by=by, on_behalf_of=None)
    except MayNotRequest:
        return False
    return True


def _subjects(grant: Grant) -> tuple[Any, Any]:
    subjects = list(grant.subjects.select_related("person", "group"))
    return tuple(subject.person for subject in subjects if subject.person), tuple(
        subject.group for subject in subjects if subject.group
    )


def _stated(lines: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: limits for name, limits in lines.items() if limits}


def may_renew(grant: Grant) -> bool:
    """Whether a grant is close enough to its end, in force, and not being renewed already; for showing a button."""
    soon = grant.state == Grant.State.ACTIVE and grant.expires_at <= clock.now() + SOON
    waiting = AccessRequest.objects.filter(renews=grant, state=AccessRequest.State.IN_APPROVAL)
    return soon and grant.ended_at is None and not waiting.exists()
