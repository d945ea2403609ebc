"""Comments and questions about review items over REST; they decide nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import Text
from entitlements.api.resources import Listing
from governance.reviews.campaigns.api.campaigns import ItemAction, ReviewResource, person_named
from governance.reviews.discussion import actions
from governance.reviews.discussion.actions import DiscussionText
from governance.reviews.discussion.models import ReviewQuestion

from .bodies import CommentSerializer, ItemQuestionSerializer


class ItemQuestionInputSerializer(DiscussionText):
    """A question, and the person asked: a sponsor or owner of the agent, or the owner of the system."""

    of = Text(max_length=64)


class Comment(ItemAction):
    """Comment on a review item."""

    action = actions.COMMENT
    shows_result = True
    shown = CommentSerializer
    answers = HTTPStatus.CREATED


class Ask(ItemAction):
    """Ask a person about a review item. The item waits for your decision as before."""

    action = actions.ASK
    shows_result = True
    asked = ItemQuestionInputSerializer
    shown = ItemQuestionSerializer
    answers = HTTPStatus.CREATED

    def read(self) -> dict[str, Any]:
        """Read the question, and the person asked by login."""
        body = super().read()
        return {"text": body["text"], "to": person_named("of", body["of"])}


class QuestionFilter(filters.FilterSet):
    """Filters of questions about items."""

    answered = filters.BooleanFilter(field_name="answered_at", lookup_expr="isnull", exclude=True)
    asked_of = filters.CharFilter(field_name="asked_of__login")

    class Meta:
        model = ReviewQuestion
        fields: ClassVar[list[str]] = []


class QuestionResource(ReviewResource):
    """What the addresses of questions share."""

    def questions(self) -> QuerySet[ReviewQuestion]:
        """Return the questions that the caller sees."""
        return actions.QUESTION.rows(self.caller)


class Questions(QuestionResource, Listing):
    """List questions about review items, the newest first."""

    serializer_class = ItemQuestionSerializer
    filterset_class = QuestionFilter
    ordering = ("-asked_at", "-id")

    def rows(self) -> QuerySet[ReviewQuestion]:
        """Return the questions that the caller sees."""
        return self.questions()

    @extend_schema(responses=ItemQuestionSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """List questions about items, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(ItemQuestionSerializer(page, many=True).data)


class QuestionDetail(QuestionResource):
    """Show a question about a review item."""

    @extend_schema(responses=ItemQuestionSerializer)
    def get(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Show one question."""
        return Response(ItemQuestionSerializer(self.find(self.questions(), pk=key)).data)


class Answer(ItemAction):
    """Answer a question about a review item. Once, as the person asked or their delegate."""

    action = actions.ANSWER
    shows_result = True
    shown = ItemQuestionSerializer

    def find_row(self) -> ReviewQuestion:
        """Return the question that the address names. Raises NotFound."""
        rows: QuerySet[ReviewQuestion] = actions.QUESTION.rows(self.caller)
        return self.find(rows, pk=self.kwargs["key"])
