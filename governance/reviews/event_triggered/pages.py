"""The page of an event-triggered review: what happened, which access it concerns, and one decision for all of it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from audit.actions import Action
from audit.models import Event
from entitlements.errors import DomainError, Malformed, NotFound
from entitlements.people.models import Person
from governance.console import doors
from governance.console.kit.components import Crumb
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions import attention
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.decisions.pages import reasons
from governance.reviews.decisions.pages.submission import message_of, proofs
from governance.reviews.event_triggered import actions, answer
from governance.reviews.event_triggered import words as event_triggered_words
from governance.reviews.event_triggered.causes import KIND_RULES
from governance.reviews.event_triggered.models import MOST_POSTPONED, ReviewTrigger
from governance.reviews.items import review_rules, visibility
from governance.reviews.remediation import remediation
from governance.reviews.workbench.queries import rows as item_rows

_CALLS: Final = 10
_DIGITS: Final = 9
_SHOWN: Final = 200
"""How many items the page shows and one answer covers; the next ones follow once these are answered."""
_DROPS: Final = {"reduce": _("Reason to keep some"), "revoke": _("Reason to revoke")}
"""The decisions that take something away, each with the words for its reasons."""


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an event-triggered review, and take the decision of its reviewer."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    trigger = ReviewTrigger.objects.select_related("agent").filter(campaign=campaign).first()
    if trigger is None:
        raise NotFound
    problem: DomainError | None = None
    if request.method == "POST":
        try:
            return _act(request, campaign)
        except DomainError as refusal:
            doors.record(request, refusal)
            problem = refusal
    waiting = item_rows.to_answer(campaign, person)
    rows = item_rows.rows(list(waiting[:_SHOWN]), person)
    answered = item_rows.rows(list(item_rows.answered_by(campaign, person)), person)
    lines = sum(len(row.lines) for row in rows)
    context: dict[str, Any] = {
        "campaign": campaign,
        "trigger": trigger,
        "title": f"{event_triggered_words.TITLES[trigger.kind]}: {trigger.agent.name}",
        "crumbs": [
            Crumb(f"{reverse('review-list')}?kind=micro", gettext("Event-triggered reviews")),
            Crumb(reverse("agent-page", args=[trigger.agent.slug]), trigger.agent.name),
        ],
        "happened": event_triggered_words.happened(trigger),
        "rows": rows,
        "answered": answered,
        "calls": _calls(campaign, person),
        "needs_reason": any(row.needs_reason for row in rows),
        "needs_words": any(row.needs_words for row in rows),
        "keep": reasons.fitting("certify"),
        "drop": _to_drop(request, trigger, lines),
        "abstain": reasons.fitting("abstain"),
        "ticked": request.POST.getlist("keep"),
        "posted": request.POST.getlist("item"),
        "more": max(0, waiting.count() - len(rows)) if len(rows) == _SHOWN else 0,
        "may_postpone": bool(rows) and trigger.postponed < MOST_POSTPONED,
        "lines": lines,
        "problem": problem,
        "given": request.POST,
        "is_open": campaign.state == Campaign.State.ACTIVE,
    }
    return render(
        request, "console/reviews/event_triggered/one.html", context, status=problem.status if problem else 200
    )


def _to_drop(request: HttpRequest, trigger: ReviewTrigger, lines: int) -> list[tuple[str, Any, Any, str]]:
    """Return the reasons of each decision that takes something away, and the one that is chosen."""
    usual = KIND_RULES[trigger.kind].drop
    return [
        (verb, words, reasons.fitting(verb), request.POST.get(f"why_{verb}", usual))
        for verb, words in _DROPS.items()
        if lines > 1 or verb != review_rules.Verb.REDUCE
    ]


def _act(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    by, trigger = doors.person(request), doors.find_subject(request, actions.REVIEW, campaign.slug)
    if "postpone" in request.POST:
        doors.perform(request, actions.POSTPONE, trigger, {"reason": doors.reason(request)})
        return redirect("review-one", slug=campaign.slug)
    review_answer = _read_answer(request)
    for item in review_answer.items:
        ms = doors.number(request.POST.get(f"ms:{item}", ""), _DIGITS)
        if ms > 0 and item_rows.open_assignments(campaign, by).filter(item=item).exists():
            attention.looked(item, by=by, ms=ms)
    weighs = answer.has_critical_item(campaign.pk, by)
    doors.require_reauthentication(request, actions.ANSWER.address, weighs=weighs)
    values = {"via": ReviewDecision.Via.UI, "amr": proofs(request), "proven": weighs}
    submission = doors.perform(request, actions.ANSWER, trigger, {"review_answer": review_answer, **values}).result
    verified = [remediation.verify(cut) for cut in submission.removals]
    messages.success(request, message_of(submission, sum(each.state == "verified" for each in verified)))
    return redirect("review-one", slug=campaign.slug)


def _read_answer(request: HttpRequest) -> answer.ReviewAnswer:
    """Read the form. Raises Malformed."""
    verb, lines = request.POST.get("verb", ""), [doors.number(line) for line in request.POST.getlist("keep")]
    items = _items(request)
    if verb.startswith("abstain:"):
        return answer.ReviewAnswer("abstain", items, abstain=verb.partition(":")[2], comment=_text(request, "comment"))
    if verb not in tuple(review_rules.STRICTNESS) or -1 in lines:
        raise Malformed
    why_keep, why_drop, comment = (_text(request, name) for name in ("why_keep", f"why_{verb}", "comment"))
    return answer.ReviewAnswer(verb, items, why_keep, why_drop, comment=comment, kept=frozenset(lines))


def _items(request: HttpRequest) -> frozenset[UUID]:
    """Return the items that were on the page. Raises Malformed."""
    try:
        return frozenset(UUID(name) for name in request.POST.getlist("item"))
    except ValueError as error:
        raise Malformed from error


def _text(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").strip()[:2000]


def _calls(campaign: Campaign, person: Person) -> list[Event]:
    """Return the last calls, allowed and denied, under the grants of the review that a person sees."""
    seen = campaign.population.filter(item__in=visibility.items_visible_to(person).values("pk"))
    grants = [f"grant:{pk}" for pk in seen.order_by("item__number", "grant").values_list("grant", flat=True)[:50]]
    rows = Event.objects.filter(links__overlap=grants, action__in=[Action.CALL_ALLOWED, Action.CALL_DENIED])
    return list(rows.order_by("-at")[:_CALLS])
