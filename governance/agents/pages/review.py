"""From the ticked rows of a list to a new access review of their agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.errors import Malformed
from entitlements.grants.models import Grant
from governance.console import doors
from governance.console.kit.lists import selection


def _agents(caller: Caller, keys: Sequence[str]) -> QuerySet[Agent]:
    return visibility.agents(caller).filter(slug__in=keys)


def _grants(caller: Caller, keys: Sequence[str]) -> QuerySet[Grant]:
    try:
        return visibility.grants(caller).filter(pk__in=[UUID(key) for key in keys])
    except ValueError as error:
        raise Malformed from error


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows of a list: their model, how they are read by their keys, and whose agent each is about."""

    model: type[Agent | Grant]
    rows: Callable[[Caller, Sequence[str]], QuerySet[Any]]
    agent: Callable[[Any], Agent]


_KINDS: Final[Mapping[str, _Kind]] = {
    "agent": _Kind(Agent, _agents, lambda agent: agent),
    "grant": _Kind(Grant, _grants, lambda grant: grant.agent),
}


@require_POST
@doors.page
def of_selected(request: HttpRequest, kind: str) -> HttpResponse:
    """Go on to a new access review of the agents of the ticked rows, or of all that their list matches.

    Raises Malformed.
    """
    if (known := _KINDS.get(kind)) is None:
        raise Malformed
    if selection.is_all(request):
        rows = selection.matching(request, known.model)
    else:
        rows = list(known.rows(doors.caller(request), request.POST.getlist("key")))
    slugs = sorted({known.agent(row).slug for row in rows})
    return redirect(f"{reverse('review-new')}?{urlencode([('agent', slug) for slug in slugs])}")
