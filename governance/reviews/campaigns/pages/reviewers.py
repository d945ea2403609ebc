"""The reviewers of a review: their load, reminders, and giving items to other people."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from entitlements.errors import DomainError, Forbidden, NotFound
from entitlements.people.models import Person
from governance.console import doors, form_fields
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.items import visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.reviewers import claim, handover
from governance.reviews.reviewers.models import Assignment

from . import header
from .campaigns import find_campaign, permit


@require_safe
@doors.page
def listing(request: HttpRequest, slug: str) -> HttpResponse:
    """List the reviewers with what each has left, and the items without a reviewer."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    context = header.context(request, campaign, "reviewers")
    head: header.ReviewHeader = context["head"]
    if not head.sees_all:
        raise Forbidden
    rows, others = read.reviewers(campaign)
    named = read.with_activity(campaign, [row for row in rows if row["reviewer"]])
    unresolved = read.unresolved(campaign)
    is_open = campaign.state == Campaign.State.ACTIVE
    return render(
        request,
        "console/reviews/campaigns/reviewers.html",
        context
        | {
            "reviewers": [{**row, "bar": bar} for row, bar in zip(named, plots_queries.loads(named), strict=True)],
            "other_reviewers": others,
            "unresolved": unresolved,
            "unassigned": campaigns.unresolved(campaign) if unresolved else 0,
            "may_assign": head.may_run and is_open,
            "claimable": claim.may_claim(unresolved, person) if is_open else set(),
            "is_asked_twice": sum(row["all"] for row in named) > head.items and not others,
        },
    )


@require_POST
@doors.page
def reassign(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Assign an item to a reviewer."""
    campaign = find_campaign(request, slug)
    permit(request, "review-item-reassign")
    open_items = Assignment.objects.filter(item__campaign=campaign).select_related("item__campaign")
    row = doors.find(open_items, item=item, state=Assignment.State.ASSIGNED).item
    to = form_fields.person(request, "to")
    doors.perform(request, actions.REASSIGN, row, {"to": to, "reason": doors.reason(request)})
    return redirect(doors.back(request, f"/reviews/{slug}/"))


@require_POST
@doors.page
def give(request: HttpRequest, slug: str) -> HttpResponse:
    """Reassign the open items of one reviewer, or the ticked ones: show which fit, then do it as it was shown.

    Ticked items that all fit are reassigned at once. A name that fits no person comes back with the form.
    """
    campaign = find_campaign(request, slug)
    permit(request, "campaign-reassign")
    keys = request.POST.getlist("key")
    ticked = _ticked(request, campaign, keys) if keys else None
    try:
        return _give(request, campaign, ticked)
    except DomainError as refusal:
        if ticked is None:
            raise
        doors.record(request, refusal)
        return _ask(request, campaign, ticked, refusal)


def _give(request: HttpRequest, campaign: Campaign, ticked: list[ReviewItem] | None) -> HttpResponse:
    given = {name: request.POST.get(name, "").strip() for name in ("of", "to", "count")}
    if ticked is not None and "to" not in request.POST:
        return _ask(request, campaign, ticked)
    current = doors.find(Person.objects.all(), login=given["of"]) if given["of"] else None
    to, why = form_fields.person(request, "to"), doors.reason(request)
    items = [item.pk for item in ticked] if ticked is not None else None
    seen = handover.look(campaign, of=current, to=to, items=items)
    count = doors.number(given["count"], digits=len(str(handover.MOST)))
    if count < 0 and items and not seen.barred:
        count = len(seen.fits)
    if count > 0:
        values = {"of": current, "to": to, "count": count, "reason": why, "items": items}
        doors.perform(request, actions.HAND_OVER, campaign, values)
        return redirect("review-reviewers" if items is None else "review-items", campaign.slug)
    rows = ReviewItem.objects.filter(pk__in=seen.barred).select_related("agent", "system").order_by("number")
    barred = [(item, seen.barred[item.pk].value) for item in rows[: handover.MOST]]
    context = {"campaign": campaign, "of": current, "to": to, "why": why, "seen": seen, "barred": barred}
    return render(request, "console/reviews/campaigns/give.html", context | {"items": ticked})


def _ticked(request: HttpRequest, campaign: Campaign, keys: list[str]) -> list[ReviewItem]:
    """Return the ticked items that the person sees. Raises NotFound where there is none."""
    rows = visibility.items_visible_to(doors.person(request)).filter(campaign=campaign, state="in_review")
    items = list(rows.filter(pk__in=[key for key in keys if _is_key(key)]).order_by("number")[: handover.MOST])
    if not items:
        raise NotFound
    return items


def _is_key(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _ask(
    request: HttpRequest, campaign: Campaign, ticked: list[ReviewItem], problem: DomainError | None = None
) -> HttpResponse:
    """Ask who reviews the ticked items from now on, and why."""
    context = {
        "campaign": campaign,
        "items": ticked,
        "problem": problem,
        "to": request.POST.get("to", ""),
        "why": doors.reason(request),
    }
    status = problem.status if problem else None
    return render(request, "console/reviews/campaigns/give_to.html", context, status=status)
