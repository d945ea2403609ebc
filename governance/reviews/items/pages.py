"""The page of a review item: its decisions and remediations, and the actions on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from audit import clock
from audit.export import timeline
from entitlements.errors import DomainError, Forbidden, Malformed
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.console import doors
from governance.console.kit.components import Crumb
from governance.reviews.campaigns import actions as campaign_actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions import actions as decision_actions
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.decisions.pages import reasons
from governance.reviews.discussion import comments, questions
from governance.reviews.evidence import audit
from governance.reviews.items import subject_words, violation_queries, visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation.models import NoAnswer, Remediation
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers import claim as claim_actions
from governance.reviews.reviewers.models import Assignment
from governance.reviews.workbench.queries import item as item_queries
from governance.reviews.workbench.queries import rows as item_rows

_MOST_SHOWN: Final = 100
BUTTONS: Final = {
    "reopen": decision_actions.REOPEN,
    "restore": decision_actions.RESTORE,
    "retry": decision_actions.RETRY,
    "except": decision_actions.EXCEPT,
}


def _may(request: HttpRequest, button: str) -> bool:
    return bool(MATRIX[BUTTONS[button].address, "POST"].roles & doors.caller(request).roles)


def item_of(request: HttpRequest, slug: str, pk: UUID) -> ReviewItem:
    """Find an item that the person sees. Raises NotFound."""
    campaign = find_campaign(request, slug)
    return doors.find(visibility.items_visible_to(doors.person(request)), pk=pk, campaign=campaign)


def crumbs(campaign: Campaign, *, within_workbench: bool = False) -> list[Crumb]:
    """Return the list of reviews, the review, and the workbench for the pages that belong to it."""
    above = [
        Crumb(reverse("review-list"), _("Access reviews")),
        Crumb(reverse("review-page", args=[campaign.slug]), campaign.name),
    ]
    if within_workbench:
        above.append(Crumb(reverse("review-work", args=[campaign.slug]), _("Workbench")))
    return above


@require_safe
@doors.page
def detail(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Show an item's evidence, its answers, its remediations with their verifications, and what the deadline did.

    The workbench asks for the evidence alone, as a part of its own page.
    """
    row, person = item_of(request, slug, item), doors.person(request)
    beside = _beside(row, person)
    if "beside" in request.GET:
        return render(request, "console/reviews/beside.html", beside | {"campaign": row.campaign, "is_part": True})
    decisions = ReviewDecision.objects.filter(item=row).select_related(
        "decided_by", "assignment__reviewer", "taken_back__by", "remediation"
    )
    failed = Remediation.objects.filter(decision__item=row, state=Remediation.State.FAILED).first()
    waiting = _named(
        Assignment.objects.filter(item=row, state="assigned").select_related("reviewer").order_by("pk")[:1]
    )
    assignment_now = waiting[0] if waiting else None
    is_owners = row.state == ReviewItem.State.DECIDED and row.campaign.owner_id == person.pk
    context: dict[str, Any] = {
        "campaign": row.campaign,
        "item": row,
        "title": subject_words.title(row),
        "crumbs": crumbs(row.campaign),
        "answers": decisions.order_by("decided_at", "stage"),
        "asked": assignment_now,
        "deadline": (deadline := NoAnswer.objects.filter(item=row).select_related("restored_by").first()),
        "may_retry": failed is not None and _may(request, "retry"),
        "may_except": failed is not None and _may(request, "except"),
        "may_reopen": is_owners and row.campaign.state == "active" and _may(request, "reopen"),
        "may_claim": assignment_now
        and row.campaign.state == "active"
        and row.pk in claim_actions.may_claim([assignment_now], person),
        "may_restore": deadline is not None and _is_stopped(deadline) and _may(request, "restore"),
        "latest": (clock.now() + timedelta(days=180)).date().isoformat(),
        "story": _story(row, person),
        "uncovered": (uncovered := [each for each in beside["row"].violations if not each.is_covered or each.is_own]),
        "security": violation_queries.security() if uncovered else [],
        "may_give": bool(MATRIX["sod-exceptions", "POST"].roles & doors.caller(request).roles),
        **beside,
    }
    audit.record_access(row.campaign, person, f"item {row.number}")
    return render(request, "console/reviews/items/item.html", context)


def in_panel(
    view: Callable[[HttpRequest, str, UUID], HttpResponse],
) -> Callable[[HttpRequest, str, UUID], HttpResponse]:
    """Let a button of the workbench's details answer with the details anew, also where the act is refused.

    What no longer is the person's leaves the workbench. Without script the view answers as it is.
    """

    @functools.wraps(view)
    def answered(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
        if "HX-Request" not in request.headers:
            return view(request, slug, item)
        try:
            view(request, slug, item)
        except DomainError as refusal:
            doors.record(request, refusal)
            messages.error(request, refusal.message)
        if visibility.items_visible_to(doors.person(request)).filter(pk=item).exists():
            return redirect(f"{reverse('review-item-page', args=[slug, item])}?beside")
        return render(request, "console/reviews/told.html")

    return answered


def _beside(row: ReviewItem, person: Person) -> dict[str, Any]:
    """Return the evidence beside an item, and for its reviewer the forms that go with it."""
    seen = item_queries.read_detail(item_rows.with_details(ReviewItem.objects.filter(pk=row.pk), person).get(), person)
    mine = item_queries.own_assignment(row, person) if row.campaign.state == Campaign.State.ACTIVE else None
    context: dict[str, Any] = {
        "detail": seen,
        "row": seen.row,
        "mine": mine,
        "questions": row.questions.select_related("asked_by", "asked_of", "answered_by").order_by("asked_at", "pk"),
        "comments": row.comments.select_related("by").order_by("at", "pk"),
        "may_comment": comments.is_open(row.campaign) and comments.may_comment(row, person),
    }
    if mine:
        form = item_queries.narrowing(seen.row, seen.row.draft) if seen.row.may_end else []
        context |= {
            "narrowing": form,
            "lowered": item_queries.lowered(form),
            "drop": reasons.fitting("reduce"),
            "knows": questions.people_to_ask(row, by=person),
            "successors": assignment.successors(row.pk, by=person),
        }
    return context


def _story(row: ReviewItem, person: Person) -> dict[str, Any] | None:
    """Return the history of an item for people who may read evidence: population, reviewer assignments, events."""
    if not person.has_role(*audit.READERS) and not visibility.shared_with(person, row.campaign):
        return None
    return {
        "taken": PopulationRow.objects.filter(item=row).order_by("seq")[:_MOST_SHOWN],
        "asked": _named(
            Assignment.objects.filter(item=row).select_related("reviewer").order_by("assigned_at")[:_MOST_SHOWN]
        ),
        "events": timeline.of("item", row.pk)[:_MOST_SHOWN],
    }


def _named(assignments: Iterable[Assignment]) -> list[Assignment]:
    """Return assignments whose skipped people are named by display name; groups keep their short name."""
    rows = list(assignments)
    skipped = [skip for each in rows for skip in each.resolution.get("skipped", ())]
    people = Person.objects.filter(login__in=[skip["who"] for skip in skipped])
    names = dict(people.values_list("login", "name")) if skipped else {}
    for skip in skipped:
        skip["who"] = names.get(skip["who"], skip["who"])
    return rows


def _is_stopped(deadline: NoAnswer) -> bool:
    is_settled = deadline.restored_at or deadline.revoked_at
    return not is_settled and deadline.revoke_at is not None and deadline.revoke_at > clock.now()


@require_POST
@doors.page
def claim(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Claim an unassigned item, and go to the workbench."""
    row = item_of(request, slug, item)
    doors.perform(request, decision_actions.CLAIM, row)
    return redirect(f"{reverse('review-work', args=[slug])}#item-{item}")


@require_POST
@doors.page
def act(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Reopen the item, restore what was suspended, verify a remediation again, or except it."""
    row, name = item_of(request, slug, item), request.POST.get("do", "")
    if not any(_may(request, each) for each in ([name] if name in BUTTONS else BUTTONS)):
        raise Forbidden
    if name in ("retry", "except"):
        _cut(request, row, name)
    else:
        doors.perform(request, doors.pressed(request, BUTTONS, "do"), row)
    return redirect("review-item-page", slug=slug, item=item)


def _cut(request: HttpRequest, row: ReviewItem, name: str) -> None:
    failed = doors.find(Remediation.objects.filter(decision__item=row), state=Remediation.State.FAILED)
    if name == "retry":
        doors.perform(request, decision_actions.RETRY, failed)
        return
    try:
        day = parse_date(request.POST.get("until", ""))
    except ValueError as error:
        raise Malformed from error
    if day is None:
        raise Malformed
    values = {
        "reason": doors.reason(request),
        "control": request.POST.get("control", "").strip()[:500],
        "expires_at": datetime.combine(day, time(), UTC),
    }
    doors.perform(request, decision_actions.EXCEPT, failed, values)


release = doors.post(campaign_actions.RELEASE, lambda campaign: reverse("review-page", args=[campaign.slug]))
