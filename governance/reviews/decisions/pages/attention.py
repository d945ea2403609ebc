"""What a reviewer does beside an item: look at its evidence, keep some of it with limits, hand it on."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from entitlements.errors import Malformed
from entitlements.people.models import Person
from governance.console import doors
from governance.console.limits import limit_fields
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions import actions, attention
from governance.reviews.items import review_rules
from governance.reviews.items.answer import Answer
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.pages import in_panel, item_of
from governance.reviews.usage import tighter_limits
from governance.reviews.workbench.queries import item as item_queries
from governance.reviews.workbench.queries import rows as item_rows

_DIGITS: Final = 9


@require_POST
@doors.page
def looked(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Note that the evidence was on the reviewer's screen, and for how long; without script they say so themselves."""
    find_campaign(request, slug)
    ms = request.POST.get("ms", "0")
    if not (ms.isascii() and ms.isdigit() and len(ms) <= _DIGITS):
        raise Malformed
    seen = attention.looked(item, by=doors.person(request), ms=int(ms), evidence="evidence" in request.POST)
    if "back" in request.POST:
        return redirect(f"{reverse('review-work', args=[slug])}#item-{item}")
    return JsonResponse({"opened": seen.evidence_opened_at is not None})


@require_POST
@doors.page
@in_panel
def narrow(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Draft keeping some of an item: the ticked lines, and those that are limited further."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    rows = ReviewItem.objects.filter(pk=item, campaign=campaign)
    doors.find(item_rows.open_assignments(campaign, person), item=item)
    (row,) = item_rows.rows(list(item_rows.with_details(rows, person)), person)
    kept = tuple(line["row"].pk for line in row.lines if str(line["row"].pk) in request.POST.getlist("keep"))
    limits = {
        each.line["row"].pk: limit
        for each in item_queries.narrowing(row, row.draft)
        if each.line["row"].pk in kept and (limit := _limits(request, each))
    }
    answer = Answer(
        review_rules.Verb.REDUCE,
        request.POST.get("reason", ""),
        request.POST.get("comment", "").strip()[:2000],
        kept,
        limits,
        row.draft.valid_until if row.draft else None,
    )
    doors.perform(request, actions.SAVE_DRAFT, row.item, {"answer": answer, "rev": row.rev})
    messages.success(request, _("Keep some is drafted for %(name)s.") % {"name": row.name})
    return redirect(f"{reverse('review-work', args=[slug])}#item-{item}")


def _limits(request: HttpRequest, each: item_queries.Narrowing) -> dict[str, Any]:
    """Return the limits that a line would have; nothing where they are those it has.

    A lower limit that is ticked counts where its field says nothing else. Raises Malformed and LimitMalformed.
    """
    held: dict[str, Any] = each.line["row"].limits
    changed = limit_fields.read(each.fields, each.limits, request.POST.getlist)
    wanted = tighter_limits.tightened(each.limits, _ticked(request, each)) | changed
    return {} if wanted == held else wanted


def _ticked(request: HttpRequest, each: item_queries.Narrowing) -> dict[str, tighter_limits.Figure]:
    texts = {name: request.POST.get(f"lower:{each.line['row'].pk}:{name}") for name in each.limits}
    ticked = {name: tighter_limits.read(text) for name, text in texts.items() if text}
    if None in ticked.values():
        raise Malformed
    return {name: most for name, most in ticked.items() if most is not None}


@require_POST
@doors.page
@in_panel
def hand_on(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Give an item to another person of its chain, with a reason."""
    row = item_of(request, slug, item)
    to = doors.find(Person.objects.all(), login=request.POST.get("to", "").strip())
    doors.perform(request, actions.HAND_ON, row, {"to": to, "reason": doors.reason(request)})
    return redirect("review-work", slug=slug)
