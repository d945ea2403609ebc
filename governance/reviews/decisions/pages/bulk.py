"""Bulk decisions: which items an answer fits and why not the others, then drafts of those that it fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from entitlements.errors import DomainError, Malformed, NotFound
from governance.console import doors
from governance.console.tags import REASONS
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions import actions, bulk
from governance.reviews.decisions.bulk import Bar
from governance.reviews.items import review_rules
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.pages import crumbs
from governance.reviews.workbench.queries import comments
from governance.reviews.workbench.queries import rows as item_rows

_WHY: Final = {
    Bar.NOT_YOURS: gettext_lazy("Not assigned to you, or decided already"),
    Bar.TOO_RISKY: gettext_lazy("High risk level: keep it on its own"),
    Bar.UNSEEN: gettext_lazy("Its calls bypass the gateway, so its usage is not known"),
    Bar.OTHER_TOOLS: gettext_lazy("Its tools differ from those of the first item"),
    Bar.NOT_SUGGESTED: gettext_lazy("Keeping it is not suggested"),
    Bar.VIOLATION: gettext_lazy("SoD violation: decide it on its own"),
    Bar.FOUND: gettext_lazy("A tool changed or was quarantined: decide it on its own"),
    Bar.CHANGED: gettext_lazy("Changed since it was last kept, or never reviewed"),
    Bar.NOTHING_SUGGESTED: gettext_lazy("No tool is suggested for removal"),
}
_TITLES: Final = {
    "certify": gettext_lazy("Keep several items"),
    "reduce": gettext_lazy("Keep some of several items, as suggested"),
    "revoke": gettext_lazy("Revoke several items"),
}
_CODES: Final = {verb.value: review_rules.FITTING[verb] for verb in review_rules.STRICTNESS}


@require_POST
@doors.page
def many(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the reason, show which items an answer fits, and draft it for them."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    items = item_rows.assigned(campaign, person)
    if not items.exists():
        raise NotFound
    if "token" in request.POST:
        return _commit(request, campaign)
    answer = Answer(
        request.POST.get("verb", ""), request.POST.get("reason", ""), request.POST.get("comment", "").strip()[:2000]
    )
    picked = _picked(request)
    context: dict[str, Any] = {"campaign": campaign, "answer": answer, "picked": picked, "verbs": list(_CODES)}
    context["reasons"] = [(code, REASONS[code]) for code in _CODES.get(answer.verb, ())]
    context["title"] = _TITLES.get(answer.verb, _("Several items"))
    context["crumbs"] = crumbs(campaign, within_workbench=True)
    context["most"] = bulk.MOST.get(review_rules.Verb(answer.verb)) if answer.verb in _CODES else None
    context["lately"] = comments.recent_comments(person)
    if answer.verb in _CODES and picked:
        try:
            if answer.reason_code:
                preview = bulk.preview(campaign, picked, answer, by=person)
                context |= {"preview": preview, **_previewed(items, preview.eligible, preview.barred)}
            else:
                context |= _previewed(items, *bulk.fits(campaign, picked, review_rules.Verb(answer.verb), by=person))
        except DomainError as refusal:
            doors.record(request, refusal)
            context["problem"] = refusal
            return render(request, "console/reviews/decisions/bulk.html", context, status=refusal.status)
    return render(request, "console/reviews/decisions/bulk.html", context)


def _picked(request: HttpRequest) -> list[UUID]:
    """Return the items that a form names. Raises Malformed."""
    try:
        return list(dict.fromkeys(UUID(name) for name in request.POST.getlist("pick")))
    except ValueError as error:
        raise Malformed from error


def _previewed(assigned: QuerySet[ReviewItem], eligible: Iterable[UUID], barred: Mapping[UUID, Bar]) -> dict[str, Any]:
    """Return what is shown of the items: which of them the answer fits, and why not the others."""
    rows = assigned.filter(pk__in=[*eligible, *barred]).select_related("agent", "system").prefetch_related("lines")
    items = {item.pk: item for item in rows.order_by("number")}
    fits = [items[pk] for pk in eligible if pk in items]
    people = {name for item in fits for name in item.subjects}
    return {
        "is_seen": True,
        "fits": fits,
        "barred": [(items[pk], _WHY[bar]) for pk, bar in barred.items() if pk in items],
        "people": len(people),
        "calls": sum(line.calls_window or 0 for item in fits for line in item.lines.all()),
    }


def _commit(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    count = request.POST.get("count", "").strip()
    typed = int(count) if count.isascii() and count.isdigit() and len(count) <= len("200") else None
    values = {"token": request.POST["token"], "count": typed}
    done = doors.perform(request, actions.DRAFT_MANY, campaign, values).result
    drafted = len(done.drafted)
    message = ngettext("%(n)d decision is drafted.", "%(n)d decisions are drafted.", drafted) % {"n": drafted}
    if done.refused:
        message = f"{message} " + _("%(n)d changed in the meantime and stay as they are.") % {"n": len(done.refused)}
    messages.success(request, message)
    return redirect("review-work", slug=campaign.slug)
