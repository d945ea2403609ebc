"""Commenting on and asking about a review item from its page, and the page on which a question is answered."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from entitlements.people.models import Person
from governance.console import doors
from governance.reviews.discussion import actions, comments, questions
from governance.reviews.discussion.models import ReviewQuestion
from governance.reviews.items import subject_words, visibility
from governance.reviews.items.models import ReviewLine
from governance.reviews.items.pages import crumbs, in_panel, item_of

_LINES: Final = 50


@require_POST
@doors.page
@in_panel
def comment(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Comment on an item, then go back to the page before."""
    row = item_of(request, slug, item)
    doors.perform(request, actions.COMMENT, row, {"text": request.POST.get("text", "")})
    return redirect(doors.back(request, reverse("review-item-page", args=[slug, item])))


@require_POST
@doors.page
@in_panel
def ask(request: HttpRequest, slug: str, item: UUID) -> HttpResponse:
    """Ask a person about an item that waits for the reader's answer, then go back to the page before."""
    row, login = item_of(request, slug, item), request.POST.get("of", "")
    to = Person.objects.filter(login=login).first()
    if to is None:
        raise questions.NotToBeAsked(who=login)
    doors.perform(request, actions.ASK, row, {"to": to, "text": request.POST.get("text", "")})
    return redirect(doors.back(request, reverse("review-item-page", args=[slug, item])))


@require_http_methods(["GET", "HEAD", "POST"])
@doors.page
def question(request: HttpRequest, question: UUID) -> HttpResponse:
    """Show a question about an item, and take the answer of the person asked or their delegate."""
    person = doors.person(request)
    row = doors.find_subject(request, actions.QUESTION, question)
    if request.method == "POST":
        doors.perform(request, actions.ANSWER, row, {"text": request.POST.get("text", "")})
        return redirect("review-question", question)
    names = subject_words.display_names([row.item])
    may_see = visibility.items_visible_to(person).filter(pk=row.item_id).exists()
    context = {
        "question": row,
        "item": row.item,
        "lines": ReviewLine.objects.filter(item=row.item).select_related("tool").order_by("tool__name")[:_LINES],
        "title": _title(row, is_mine=row.asked_of == person),
        "crumbs": crumbs(row.item.campaign) if may_see else (),
        "people": [names.get(subject) or subject.partition(":")[2] for subject in row.item.subjects],
        "mine": row.asked_of == person,
        "may_answer": questions.may_answer(row, person),
        "may_see": may_see,
        "is_open": comments.is_open(row.item.campaign),
    }
    return render(request, "console/reviews/discussion/question.html", context)


def _title(question: ReviewQuestion, *, is_mine: bool) -> str:
    names = {"who": question.asked_by.name, "of": question.asked_of.name, "item": question.item.name}
    if is_mine:
        return _("%(who)s asks you about %(item)s") % names
    return _("%(who)s asked %(of)s about %(item)s") % names
