"""Actions of a requester on a decided request: give the access back, or appeal."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import IntegrityError, transaction

from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.eligibility import narrowing
from governance.eligibility.eligibility import Requester, RequestTerms
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.tickets import tickets


class NothingToAppeal(DomainError):
    """You can only appeal a request that was denied or narrowed, and you cannot appeal an appeal."""

    code, status = "nothing_to_appeal", HTTPStatus.CONFLICT


class AppealedAlready(DomainError):
    """The request was already appealed. A request can be appealed once."""

    code, status = "appealed_already", HTTPStatus.CONFLICT


class NothingToGiveBack(DomainError):
    """The request has no grant, or its grant has ended."""

    code, status = "nothing_to_give_back", HTTPStatus.CONFLICT


def was_narrowed(request: AccessRequest) -> bool:
    """Whether less is left of a request than was asked."""
    less = any(not line.kept or line.limits != line.asked_limits for line in request.lines.all())
    return less or request.lasts < request.asked_lasts


def may_appeal(request: AccessRequest, who: Requester) -> bool:
    """Whether a person may appeal their request; decides whether a page shows a button."""
    is_theirs = requests.is_requester(request, who)
    return is_theirs and _is_appealable(request) and not AccessRequest.objects.filter(appeals=request).exists()


def _is_appealable(request: AccessRequest) -> bool:
    narrowed = request.state == AccessRequest.State.APPROVED and was_narrowed(request)
    return request.appeals_id is None and (narrowed or request.state == AccessRequest.State.DENIED)


@transaction.atomic
def appeal(
    request_id: UUID, *, by: Requester, reason: str, ticket: str = "", on_behalf_of: Person | None = None
) -> AccessRequest:
    """Appeal a denied or narrowed request, as it was submitted: other people decide, security among them.

    A person who answered the request cannot answer its appeal. The grant of the request stays until the appeal
    is approved, then ends. Raises NotFound, requests.NotTheRequester, NothingToAppeal, AppealedAlready, and what
    requests.submit raises.
    """
    old = AccessRequest.objects.select_related("agent", "entitlement").filter(pk=request_id).first()
    if old is None:
        raise NotFound
    if not requests.is_requester(old, by):
        raise requests.NotTheRequester
    if not _is_appealable(old):
        raise NothingToAppeal
    lines = {line.tool.name: line.asked_limits for line in old.lines.select_related("tool")}
    ask = RequestTerms(
        old.asked_lasts,
        reason,
        tuple(old.people.all()),
        tuple(old.groups.all()),
        tools=frozenset(lines),
        limits={name: limits_asked for name, limits_asked in lines.items() if limits_asked},
        renews=_in_force(old),
        appeals=old,
        ticket=tickets.again(tickets.Place.REQUEST, ticket, old.ticket),
    )
    try:
        with transaction.atomic():
            return requests.submit(old.agent, old.entitlement, ask, by=by, on_behalf_of=on_behalf_of)
    except IntegrityError as error:
        raise AppealedAlready from error


def _in_force(request: AccessRequest) -> Grant | None:
    return Grant.objects.filter(pk=request.grant_id, state=Grant.State.ACTIVE).first() if request.grant_id else None


def may_give_back(request: AccessRequest, who: Requester) -> bool:
    """Whether a person may give back the access of their request; decides whether a page shows a button."""
    return requests.is_requester(request, who) and _in_force(request) is not None


def give_back(request_id: UUID, *, by: Requester, reason: str) -> Grant:
    """End the access that came of one's request.

    Raises NotFound, requests.NotTheRequester, ReasonRequired and NothingToGiveBack.
    """
    narrowing.check_size({}, reason)
    request = AccessRequest.objects.filter(pk=request_id).first()
    if request is None:
        raise NotFound
    if not requests.is_requester(request, by):
        raise requests.NotTheRequester
    if not reason.strip():
        raise ReasonRequired
    grant = Grant.objects.filter(pk=request.grant_id).first() if request.grant_id else None
    try:
        if grant is not None:
            return grants.revoke(grant.pk, by=by.principal, reason=reason[:500])
    except grants.AlreadyEnded as error:
        raise NothingToGiveBack from error
    raise NothingToGiveBack
