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
from governance.reviews.workbench.queries import rows as item_rows

_WHY: Final = {
    Bar.NOT_YOURS: gettext_lazy("Not yours to answer, or answered already"),
    Bar.TOO_RISKY: gettext_lazy("Its risk is high: keep it by itself"),
    Bar.UNSEEN: gettext_lazy("Its calls are not visible to us"),
    Bar.OTHER_TOOLS: gettext_lazy("It has other tools than the first of these"),
    Bar.NOT_SUGGESTED: gettext_lazy("Keeping it is not suggested"),
    Bar.VIOLATION: gettext_lazy("Its agent violates an SoD policy with it: answer it by itself"),
    Bar.FOUND: gettext_lazy("Something was found about it since the review began: look at it by itself"),
    Bar.CHANGED: gettext_lazy("It changed since it was last kept, or nobody kept it before"),
    Bar.NOTHING_SUGGESTED: gettext_lazy("Nothing is suggested to be taken from it"),
}
_CODES: Final = {"certify": review_rules.KEEP, "reduce": review_rules.DROP, "revoke": review_rules.DROP}


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
    context["most"] = bulk.MOST.get(review_rules.Verb(answer.verb)) if answer.verb in _CODES else None
    context["lately"] = item_rows.recent_comments(person)
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
    message = ngettext("%(n)d answer is drafted.", "%(n)d answers are drafted.", drafted) % {"n": drafted}
    if done.refused:
        message = f"{message} " + _("%(n)d changed meanwhile and were left as they are.") % {"n": len(done.refused)}
    messages.success(request, message)
    return redirect(f"/reviews/{campaign.slug}/work/")
