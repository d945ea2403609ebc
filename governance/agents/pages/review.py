"""From the ticked rows of a list to a new access review of their agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from entitlements.errors import Malformed
from governance.console import doors


def _agents(caller: Caller, keys: Sequence[str]) -> QuerySet[Any, str]:
    return visibility.agents(caller).filter(slug__in=keys).values_list("slug", flat=True)


def _grants(caller: Caller, keys: Sequence[str]) -> QuerySet[Any, str]:
    try:
        pks = [UUID(key) for key in keys]
    except ValueError as error:
        raise Malformed from error
    return visibility.grants(caller).filter(pk__in=pks).values_list("agent__slug", flat=True)


_AGENTS: Final[Mapping[str, Callable[[Caller, Sequence[str]], QuerySet[Any, str]]]] = {
    "agent": _agents,
    "grant": _grants,
}
"""The agents of the ticked rows, by the kind of rows."""


@require_POST
@doors.page
def of_selected(request: HttpRequest, kind: str) -> HttpResponse:
    """Go on to a new access review of the agents of the ticked rows. Raises Malformed."""
    if (agents := _AGENTS.get(kind)) is None:
        raise Malformed
    keys = request.POST.getlist("key")
    slugs = sorted(set(agents(doors.caller(request), keys)))
    return redirect(f"{reverse('review-new')}?{urlencode([('agent', slug) for slug in slugs])}")
