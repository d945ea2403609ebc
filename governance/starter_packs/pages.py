"""Pages of starter packs: the list, and a pack with its preview, whose parts a person ticks and proposes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from entitlements.errors import Malformed, ReasonRequired
from governance.approval_policies.models import AutoApprovalRule, PolicyProposal
from governance.console import doors
from governance.console.kit import diff
from governance.reviews.population import scope_words
from governance.reviews.templates.models import CampaignTemplate
from governance.sod.models import SodPolicy
from governance.sod.pages import policies as sod_pages
from governance.starter_packs import actions, starter_packs
from governance.starter_packs.packs import Kind, Pack, SodPart, TemplatePart
from governance.starter_packs.planned import Planned, Standing
from governance.starter_packs.starter_packs import PartPreview

KINDS: Final[Mapping[Kind, Any]] = {
    Kind.SOD: gettext_lazy("SoD ruleset"),
    Kind.APPROVAL: gettext_lazy("Approval policy"),
    Kind.REVIEW: gettext_lazy("Review templates"),
}
STANDINGS: Final[Mapping[Standing, tuple[str, str, Any]]] = {
    Standing.NEW: ("calm", "ring", gettext_lazy("New")),
    Standing.CHANGED: ("warn", "triangle", gettext_lazy("Differs from what is there")),
    Standing.PROPOSED: ("warn", "half", gettext_lazy("Proposed")),
    Standing.IN_PLACE: ("good", "disc", gettext_lazy("In place")),
    Standing.BLOCKED: ("bad", "octagon", gettext_lazy("Blocked")),
}
"""The badge of each standing: tone, shape and words."""
_MOST_NAMED: Final = 5


@require_safe
@doors.page
def listing(request: HttpRequest) -> HttpResponse:
    """List the packs that the person may read, and how many parts of each are in place."""
    rows = []
    for pack in actions.readable(doors.caller(request)):
        planned = starter_packs.plan(pack)
        rows.append((pack, KINDS[pack.kind], len(planned), starter_packs.in_place(planned)))
    return render(request, "console/starter_packs/packs.html", {"packs": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, pack: str) -> HttpResponse:
    """Show what a pack would do here today, and propose the ticked parts."""
    found = actions.find(doors.caller(request), pack)
    if request.method == "POST":
        return _propose(request, found)
    planned = starter_packs.plan(found)
    previews = starter_packs.preview(planned, by=doors.person(request))
    parts = [_part(request, seen) for seen in previews if seen.matching_requests is None]
    rules = [_part(request, seen) for seen in previews if seen.matching_requests is not None]
    context = {
        "pack": found,
        "kind": KINDS[found.kind],
        "parts": parts,
        "rules": rules,
        "missing": starter_packs.missing(found),
        "may_propose": any(part["may_tick"] for part in [*parts, *rules]),
        "is_saved": found.kind == Kind.REVIEW,
        "longest": starter_packs.LONGEST_REASON,
    }
    return render(request, "console/starter_packs/pack.html", context)


def _propose(request: HttpRequest, pack: Pack) -> HttpResponse:
    reason = request.POST.get("reason", "").strip()[: starter_packs.LONGEST_REASON]
    parts = request.POST.getlist("part")
    if not reason:
        raise ReasonRequired
    if not parts:
        raise Malformed(_("Tick at least one part."))
    values = {"pack": pack, "parts": parts, "reason": reason}
    doors.perform(request, actions.APPLY, None, values)
    return redirect("starter-pack-page", pack.slug)


def _part(request: HttpRequest, seen: PartPreview) -> dict[str, Any]:
    """Return what the page shows of a part."""
    planned = seen.planned
    tone, shape, words = STANDINGS[planned.standing]
    may = planned.may_propose and actions.may_perform(doors.caller(request), planned.act)
    part = planned.part
    return {
        "seen": seen,
        "planned": planned,
        "tone": tone,
        "shape": shape,
        "standing": words,
        "may_tick": may,
        "is_ticked": planned.standing == Standing.NEW,
        "lacks_role": planned.may_propose and not may,
        "sides": _sides(part, seen) if isinstance(part, SodPart) else [],
        "scope": scope_words.sentence(part.scope, part.options.kind) if isinstance(part, TemplatePart) else "",
        "cadence": CampaignTemplate.Cadence(part.cadence).label if isinstance(part, TemplatePart) else "",
        "changes": _changes(planned),
        "address": _address(planned),
        "first": [
            (reverse("agent-page", args=[each.agent.slug]), each.agent.name)
            for each in (seen.violations.first[:_MOST_NAMED] if seen.violations else ())
        ],
        "more": max(0, seen.violations.count - _MOST_NAMED) if seen.violations else 0,
        "reviewers": sum(bool(load.login) for load in seen.review.loads) if seen.review else 0,
    }


def _sides(part: SodPart, seen: PartPreview) -> list[tuple[list[tuple[Any, str]], int]]:
    """Return each side in words, with the number of tools on it."""
    return list(zip(sod_pages.words(part.sides), seen.violations.tools if seen.violations else (), strict=True))


def _changes(planned: Planned) -> list[diff.Change]:
    """Return what differs as the kit shows it; what is the same is not listed."""
    if planned.standing not in (Standing.CHANGED, Standing.BLOCKED) or not planned.differences:
        return []
    rows = tuple(diff.row(each.name, each.now, each.pack) for each in planned.differences)
    return [diff.Change("~", _("What is there, and what the pack has"), (), rows)]


def _address(planned: Planned) -> str:
    """Return the page of what is there under the same name; empty where nothing is."""
    match planned.existing:
        case SodPolicy(pk=pk):
            return reverse("rule-page", args=[pk])
        case PolicyProposal() | AutoApprovalRule():
            return reverse("approval-settings")
        case CampaignTemplate():
            return reverse("review-templates")
    return ""
