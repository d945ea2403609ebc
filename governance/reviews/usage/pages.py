"""The right-sizing page: access larger than its use, what a reduction would have denied, and a button to apply it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.access import visibility
from entitlements.errors import Malformed
from entitlements.grants.actions import GRANT
from governance.console import doors, paging
from governance.reviews.usage import actions, right_sizing, tighter_limits

_SIZE = 20
_MOST = 12
"""How many names of tools are shown at once."""


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List right-sizing proposals for the access that the person sees."""
    caller = doors.caller(request)
    rows = visibility.grants(caller)
    if agent := request.GET.get("agent", ""):
        rows = rows.filter(agent__slug=agent)
    page = paging.page(request, right_sizing.oversized(rows), ("-created_at", "-id"), _SIZE)
    context: dict[str, Any] = {
        "page": page,
        "title": _("Right-sizing of %(agent)s") % {"agent": agent} if agent else _("Right-sizing"),
        "most": _MOST,
        "proposals": [
            {"proposal": proposal, "may": doors.may(caller, "grant-right-size", proposal.grant)}
            for proposal in right_sizing.proposals(page.rows)
        ],
    }
    return render(request, "console/reviews/usage/right_sizing.html", context)


@require_POST
@doors.page
def apply(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Apply a right-sizing proposal to one grant: drop tools, lower limits, or both, by the button that was pressed."""
    grant = doors.find_subject(request, GRANT, pk)
    do = request.POST.get("do", "")
    drop = request.POST.getlist("drop") if do != "tighten" else []
    tighten = _lowered(request) if do != "drop" else {}
    reason = doors.reason(request) or (_("Not used in 90 days.") if drop else _("Far above the use of 90 days."))
    doors.perform(request, actions.RIGHT_SIZE, grant, {"drop": drop, "tighten": tighten, "reason": reason})
    return redirect(doors.back(request, "/right-sizing/"))


def _lowered(request: HttpRequest) -> dict[str, dict[str, tighter_limits.Figure]]:
    """Read the lower limits from a form, by tool and argument. Raises Malformed."""
    tools, arguments, texts = (request.POST.getlist(name) for name in ("tool", "argument", "most"))
    if not len(tools) == len(arguments) == len(texts):
        raise Malformed
    lower: dict[str, dict[str, tighter_limits.Figure]] = {}
    for tool, argument, text in zip(tools, arguments, texts, strict=True):
        most = tighter_limits.read(text)
        if most is None:
            raise Malformed
        lower.setdefault(tool, {})[argument] = most
    return lower
