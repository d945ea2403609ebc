"""The verbs of asking back: a person whom a request waits for asks, the requester answers."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import NotFound
from entitlements.people.models import Person
from governance.approvals.models import RequestQuestion
from governance.eligibility.eligibility import Requester
from governance.requests import requests

from . import approvals, question_rules

MOST: Final = 20
"""Questions about one request; more is a conversation, and belongs elsewhere."""


@transaction.atomic
def ask(request_id: UUID, *, by: Person, text: str) -> RequestQuestion:
    """Ask the requester something about a request that waits for you; the time to answer goes on.

    Raises what `questioning` raises, and what `approvals.approve` raises about person and state.
    """
    text = question_rules.words(text)
    request = requests.locked(request_id, also=by)
    approvals.judged(request, by, None)
    question_rules.check_count(request.questions.count(), MOST)
    made = RequestQuestion.objects.create(request=request, asked_by=by, text=text, asked_at=clock.now())
    with requests.trace_of(request):
        log.record(
            Action.REQUEST_QUESTION_ASKED,
            about=requests.about(request),
            by=by.principal,
            reason=text,
            detail={"question": str(made.pk)},
        )
    return made


@transaction.atomic
def answer(request_id: UUID, question_id: UUID, *, by: Requester, text: str) -> RequestQuestion:
    """Answer a question about what one asked for, once.

    Raises NotFound, requests.NotTheRequester, Decided, Overdue, and what `questioning` raises.
    """
    text = question_rules.words(text)
    request = requests.locked(request_id)
    if not requests.is_requester(request, by):
        raise requests.NotTheRequester
    requests.check_open(request, None)
    question = RequestQuestion.objects.filter(request=request, pk=question_id).first()
    if question is None:
        raise NotFound
    question_rules.check_unanswered(question)
    question.answer, question.answered_as, question.answered_at = text, str(by.principal), clock.now()
    question.save(update_fields=["answer", "answered_as", "answered_at"])
    with requests.trace_of(request):
        log.record(
            Action.REQUEST_QUESTION_ANSWERED,
            about=requests.about(request),
            by=by.principal,
            reason=text,
            detail={"question": str(question.pk), "asked_by": question.asked_by.login},
        )
    return question
