"""Access that is larger than its use: what could go, beside what that would have denied, and one press to let it go."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from entitlements.access import visibility
from entitlements.errors import Malformed
from governance.console import doors, paging
from governance.reviews.usage import right_sizing, tighter_limits

_SIZE = 20
_MOST = 12
"""Of how many tools the names are shown at once."""


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List what could go of the access that the person sees."""
    caller = doors.caller(request)
    rows = visibility.grants(caller)
    if agent := request.GET.get("agent", ""):
        rows = rows.filter(agent__slug=agent)
    page = paging.page(request, right_sizing.larger(rows), ("-created_at", "-id"), _SIZE)
    told: dict[str, Any] = {
        "page": page,
        "agent": agent,
        "most": _MOST,
        "proposals": [
            {"told": each, "may": doors.may(caller, "grant-right-size", each.grant)}
            for each in right_sizing.proposals(page.rows)
        ],
    }
    return render(request, "console/reviews/usage/right_sizing.html", told)


@require_POST
@doors.page
def apply(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let what is unused go from one grant: tools, the room of limits, or both, as the button says that was pressed."""
    grant = doors.find(visibility.grants(doors.caller(request)), pk=pk)
    doors.about(request, f"grant:{pk}", f"agent:{grant.agent.slug}")
    doors.permit(request, "grant-right-size", grant)
    do, by = request.POST.get("do", ""), doors.person(request)
    drop = request.POST.getlist("drop") if do != "tighten" else []
    tighten = _lowered(request) if do != "drop" else {}
    reason = doors.reason(request) or (
        _("Not called in ninety days.") if drop else _("Far above what was used in ninety days.")
    )
    right_sizing.apply(grant, drop, tighten, by=by, reason=reason)
    if drop:
        said = _("Removed from %(name)s, at once. Nothing it did in ninety days needed it.")
    else:
        said = _("Lowered for %(name)s, at once. Nothing it did in ninety days went beyond.")
    doors.done(request, said % {"name": grant.agent.name})
    return redirect(doors.back(request, "/right-sizing/"))


def _lowered(request: HttpRequest) -> dict[str, dict[str, tighter_limits.Figure]]:
    """Read the lower limits that a form gives, by tool and by argument. Raises Malformed."""
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
