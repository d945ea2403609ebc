"""A request that a person makes at their client: submitted once, by the action that the API uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from django.db import transaction

from audit import clock
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from governance.eligibility.eligibility import USUAL, RequestTerms
from governance.requests import requests
from governance.requests.models import AccessRequest

from . import requestable
from .requestable import Delegation

MOST_AN_HOUR: Final = 10
"""Requests of one agent on behalf of one person: people read and answer each of them."""


class NotRequestable(DomainError):
    """There is no such entitlement to request here. Call the tool without arguments to see what there is."""

    code, status = "not_requestable", HTTPStatus.BAD_REQUEST


class TooManyRequests(DomainError):
    """The agent made ten requests for you within an hour. Wait, or make the request in the console."""

    code, status = "too_many_requests", HTTPStatus.TOO_MANY_REQUESTS


@transaction.atomic
def submit(
    delegation: Delegation,
    systems: Sequence[str],
    scope: str,
    *,
    reason: str,
    lasts: timedelta | None = None,
    tools: frozenset[str] | None = None,
    ticket: str = "",
) -> tuple[AccessRequest, bool]:
    """Submit a request, or return the open one for the same entitlement; beside it, whether it is new.

    The agent requests on behalf of the person, as it does over the API: so neither the person nor the agent's owner
    approves. Without `tools` it is for all that the client could call. Raises NotRequestable, TooManyRequests, and what
    `requests.submit` raises.
    """
    agent, person = delegation.agent, delegation.person
    locks.shared([(Lock.AGENT, agent.pk)])
    locks.exclusive((Lock.REQUEST, f"{agent.pk} for {person.pk}"))  # else two calls at once would make two requests
    entitlement = next((each for each in requestable.in_force(systems) if each.scope == scope), None)
    if entitlement is None:
        raise NotRequestable
    same = [request for request in requestable.open_requests(delegation) if request.entitlement_id == entitlement.pk]
    if same and same[0].answer_by > clock.now():
        return same[0], False
    _check_number(delegation)
    can_call = frozenset(tool.name for tool in requestable.tools_of_client(delegation, entitlement))
    if not can_call:
        raise NotRequestable
    lasts = lasts or min(USUAL, entitlement.longest)
    ask = RequestTerms(lasts, reason, people=(person,), tools=can_call if tools is None else tools, ticket=ticket)
    return requests.submit(agent, entitlement, ask, by=agent, on_behalf_of=person), True


def _check_number(delegation: Delegation) -> None:
    since = clock.now() - timedelta(hours=1)
    made = AccessRequest.objects.filter(
        agent=delegation.agent,
        requested_by=delegation.person,
        requested_as=str(delegation.agent.principal),
        asked_at__gt=since,
    )
    if made.count() >= MOST_AN_HOUR:
        raise TooManyRequests
