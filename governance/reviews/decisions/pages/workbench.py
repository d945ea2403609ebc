"""The workbench: a reviewer's items with their use beside them, and drafts that are kept as they change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from audit import clock
from entitlements import strict
from entitlements.errors import DomainError, Malformed, NotFound
from governance.console import doors, paging
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.pages.campaigns import find_campaign
from governance.reviews.decisions import actions, attention, submission
from governance.reviews.decisions.models import Draft
from governance.reviews.decisions.pages import reasons
from governance.reviews.items import answer as answer_actions
from governance.reviews.items import review_rules, subject_words
from governance.reviews.items.answer import Answer
from governance.reviews.items.errors import ViolationOpen
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.pages import crumbs, item_of
from governance.reviews.workbench import keys
from governance.reviews.workbench.queries import comments
from governance.reviews.workbench.queries import groups as groups_queries
from governance.reviews.workbench.queries import progress as progress_queries
from governance.reviews.workbench.queries import rows as item_rows

SIZE: Final = 60
"""How many items stand on one page."""
_PROGRESS: Final = "console/reviews/decisions/progress.html"
_PRACTICE: Final = (
    (0, gettext_lazy("Keep")),
    (1, gettext_lazy("Keep some")),
    (2, gettext_lazy("Revoke")),
    (4, gettext_lazy("Don't know")),
)
"""The decisions of the practice item, each by the place of its key."""


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def work(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the reviewer's items; without script the whole page is saved at once."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    items = item_rows.assigned(campaign, person)
    if not items.exists():
        raise NotFound
    if campaign.kind == Campaign.Kind.MICRO:
        return redirect("review-one", slug=slug)
    if request.method == "POST":
        return _save_page(request, campaign)
    view = request.GET.get("view", "")
    waiting, answered = item_rows.to_answer(campaign, person), item_rows.answered_by(campaign, person)
    words, left = request.GET.get("q", "").strip()[:100], waiting.count()
    context: dict[str, Any] = {
        "campaign": campaign,
        "question": subject_words.QUESTIONS.get(campaign.kind, _("Is this access still needed?")),
        "crumbs": crumbs(campaign),
        "view": view,
        "all": items.count(),
        "open": left,
        "answered": answered.count(),
        "is_open": campaign.state == Campaign.State.ACTIVE,
        "q": words,
        "is_submitted": view == "answered",
        "to_decide": view != "answered",
        "submitted_url": f"{reverse('review-work', args=[slug])}?view=answered",
    }
    if view == "answered":
        page = paging.page(request, answered, ("number", "id"), SIZE)
        context |= {"page": page, "rows": item_rows.rows(page.rows, person)}
    else:
        groups = groups_queries.view(view, groups_queries.matching(waiting, words), left)
        context |= _to_answer(request, groups, campaign, left)
    return render(request, "console/reviews/decisions/work.html", context)


def _to_answer(request: HttpRequest, seen: groups_queries.View, campaign: Campaign, waiting: int) -> dict[str, Any]:
    """Return what the grid shows: its rows under their headings, and what its forms offer."""
    person = doors.person(request)
    page = paging.page(request, seen.rows, seen.order, SIZE)
    rows = item_rows.rows(page.rows, person)
    letters = keys.read(request.COOKIES.get(keys.COOKIE, "")).letters
    return {
        "page": page,
        "rows": rows,
        "groups": seen.groups(rows),
        "view": seen.name,
        "views": groups_queries.VIEWS,
        "progress": progress_queries.progress(campaign, person, waiting),
        "is_first": progress_queries.is_first_review(person),
        "practice": [(act, letters[place]) for place, act in _PRACTICE],
        "reasons": _Reasons(),
        "soonest": (clock.now() + timedelta(days=1)).date().isoformat(),
        "latest": (clock.now() + answer_actions.LATEST - timedelta(days=1)).date().isoformat(),
        "lately": comments.recent_comments(person),
    }


class _Reasons(dict[str, SafeString]):
    """The reasons to choose from, by the one that is chosen: drawn once for a page, however many rows it has."""

    def __missing__(self, chosen: str) -> SafeString:
        context = {"groups": reasons.groups(), "chosen": chosen}
        self[chosen] = drawn = render_to_string("console/reviews/reasons.html", context)
        return drawn


def _save_page(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Save every row of the form that differs from what is kept; one that another person changed meanwhile is named."""
    person, stale, saved = doors.person(request), 0, 0
    open_violations: list[str] = []
    rows = {str(row.item.pk): row for row in item_rows.rows(list(item_rows.to_answer(campaign, person)), person)}
    for name in request.POST.getlist("item"):
        row = rows.get(name)
        if row is None or row.item.state != ReviewItem.State.IN_REVIEW:
            continue
        try:
            answer = _answer(request, name, row.draft)
            if answer == _kept(row.draft):
                continue
            doors.perform(request, actions.SAVE_DRAFT, row.item, {"answer": answer, "rev": _rev(request, name)})
            saved += 1
        except DomainError as refusal:
            doors.record(request, refusal)
            if isinstance(refusal, ViolationOpen):
                open_violations.append(refusal.message)
            else:
                stale += 1
    if stale:
        messages.success(
            request, _("Some drafts were not saved: they changed elsewhere, or have the wrong reason or day.")
        )
    for message in dict.fromkeys(open_violations):
        messages.success(request, message)
    if "submit" in request.POST:
        return redirect("review-submit", slug=campaign.slug)
    messages.success(request, ngettext("%(n)d draft is saved.", "%(n)d drafts are saved.", saved) % {"n": saved})
    return redirect(request.get_full_path())


def _kept(draft: Draft | None) -> Answer:
    return draft.answer if draft else Answer()


def _answer(request: HttpRequest, name: str, draft: Draft | None) -> Answer:
    """Read one answer of the form. Ticked lines count only where some are kept. Raises Malformed.

    The form of the grid has no limits: those that were drafted beside the item stay while their lines do, and its
    script sends them along, so that they come back with an answer that is undone.
    """
    parts = {part: request.POST.get(f"{part}:{name}", "").strip() for part in ("verb", "reason", "comment", "until")}
    lines = [doors.number(line) for line in request.POST.getlist(f"keep:{name}")]
    if -1 in lines:
        raise Malformed
    verb = parts["verb"]
    kept = tuple(sorted(lines)) if verb == review_rules.Verb.REDUCE else ()
    until = None
    if parts["until"] and verb in review_rules.STRICTNESS:
        try:
            day = parse_date(parts["until"])
        except ValueError as error:
            raise Malformed from error
        until = datetime.combine(day, time.max, UTC) if day else None
    limits = {line: limit for line, limit in _limits(request.POST.get(f"limits:{name}", ""), draft) if line in kept}
    days = (None, until) if verb == review_rules.Verb.REVOKE else (until, None)
    return Answer(verb, parts["reason"], parts["comment"][:2000], kept, limits, *days)


def _limits(sent: str, draft: Draft | None) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Return the limits that were sent, or else those of the draft, each with its line. Raises Malformed."""
    if not sent:
        return _kept(draft).limits.items()
    try:
        limits = [(int(line), dict(limit)) for line, limit in json.loads(sent).items()]
        json.dumps(limits, allow_nan=False)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed from error
    if not strict.is_storable(limits):
        raise Malformed
    return limits


def _rev(request: HttpRequest, name: str) -> int:
    rev = doors.number(request.POST.get(f"rev:{name}", "0"), digits=9)
    if rev == -1:
        raise Malformed
    return rev


@require_POST
@doors.page
def draft(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Keep one answer as it is changed; a script sends it, and gets the next revision or the refusal."""
    campaign, person = find_campaign(request, slug), doors.person(request)
    name = str(item)
    held = Draft.objects.filter(
        assignment__in=item_rows.open_assignments(campaign, person), assignment__item=item
    ).first()
    try:
        kept = submission.save_draft(item, _answer(request, name, held), by=person, rev=_rev(request, name))
    except DomainError as refusal:
        doors.record(request, refusal)
        problem = {"code": refusal.code, "message": str(refusal.message), **_elsewhere(held)}
        return JsonResponse(problem, status=refusal.status)
    ms = request.POST.get("ms", "")
    if ms.isascii() and ms.isdigit() and len(ms) < 10:  # noqa: PLR2004 - milliseconds
        attention.looked(item, by=person, ms=int(ms))
    done = progress_queries.progress(campaign, person, item_rows.open_assignments(campaign, person).count())
    told = {"rev": kept.rev, "saved_at": kept.saved_at.isoformat(), "drafted": done.drafted}
    return JsonResponse(told | {"progress": render_to_string(_PROGRESS, {"progress": done})})


def _elsewhere(held: Draft | None) -> dict[str, Any]:
    """Return the draft that is kept instead, so that the reviewer can confirm theirs over it."""
    if held is None:
        return {"rev": 0}
    return {"rev": held.rev, "verb": held.verb, "saved_at": held.saved_at.isoformat()}


@require_POST
@doors.page
def recall(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Take the reviewer's own answer back; it is a draft again."""
    doors.perform(request, actions.RECALL, item_of(request, slug, item))
    return redirect(doors.back(request, f"{reverse('review-work', args=[slug])}#item-{item}"))
