"""What all questions have in common: they say something, are few, and are answered once."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from entitlements.errors import DomainError, ReasonRequired
from governance.eligibility import narrowing

if TYPE_CHECKING:
    from governance.approvals.models import Question


class TooManyQuestions(DomainError):
    """There are as many questions about this as there may be: talk to each other."""

    code, status = "too_many_questions", HTTPStatus.CONFLICT


class QuestionAnswered(DomainError):
    """The question is answered already; ask another."""

    code, status = "question_answered", HTTPStatus.CONFLICT


def words(text: str) -> str:
    """Return what was asked, or answered, without what surrounds it. Raises ReasonRequired, narrowing.ReasonTooLong."""
    narrowing.check_size({}, text)
    if not text.strip():
        raise ReasonRequired
    return text.strip()


def check_count(asked: int, most: int) -> None:
    """Raise TooManyQuestions where so many are asked already."""
    if asked >= most:
        raise TooManyQuestions


def check_unanswered(question: Question) -> None:
    """Raise QuestionAnswered where it is."""
    if question.answer:
        raise QuestionAnswered
