"""Comments and questions about review items over REST; they decide nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import InputSerializer, Text
from entitlements.api.resources import Listing
from entitlements.people.models import Person
from governance.requests.api.requests import UnknownName
from governance.reviews.campaigns.api.campaigns import ReviewResource
from governance.reviews.discussion import comments
from governance.reviews.discussion import questions as questions_actions
from governance.reviews.discussion.models import ReviewQuestion

from .bodies import CommentSerializer, ItemQuestionSerializer


class DiscussionText(InputSerializer):
    """The text of a comment or an answer."""

    text = Text(max_length=2000)


class ItemQuestionInputSerializer(DiscussionText):
    """A question, and the person asked: a sponsor or owner of the agent, or the owner of the system."""

    of = Text(max_length=64)


class Comment(ReviewResource):
    """POST /review-items/{id}/comment."""

    @extend_schema(request=DiscussionText, responses={201: CommentSerializer})
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - the framework's signature
        """Comment on an item, as its reviewer, the owner of its campaign, or a person who runs reviews."""
        item, body = self.item(key), self.body(DiscussionText)
        comment = comments.comment(item.pk, by=self.reviewer(), text=body["text"])
        return Response(CommentSerializer(comment).data, status=HTTPStatus.CREATED)


class Ask(ReviewResource):
    """POST /review-items/{id}/ask."""

    @extend_schema(request=ItemQuestionInputSerializer, responses={201: ItemQuestionSerializer})
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Ask a person about an item that waits for the caller's answer; the item stays open."""
        item, body = self.item(key), self.body(ItemQuestionInputSerializer)
        to = Person.objects.filter(login=body["of"]).first()
        if to is None:
            raise UnknownName(field="of", name=body["of"])
        question = questions_actions.ask(item.pk, to=to, by=self.reviewer(), text=body["text"])
        return Response(ItemQuestionSerializer(question).data, status=HTTPStatus.CREATED)


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
        if self.caller.agent is not None:
            return ReviewQuestion.objects.none()
        return questions_actions.visible_to(self.caller.human)


class Questions(QuestionResource, Listing):
    """GET /review-questions."""

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
    """GET /review-questions/{id}."""

    @extend_schema(responses=ItemQuestionSerializer)
    def get(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Show one question."""
        return Response(ItemQuestionSerializer(self.find(self.questions(), pk=key)).data)


class Answer(QuestionResource):
    """POST /review-questions/{id}/answer."""

    @extend_schema(request=DiscussionText, responses=ItemQuestionSerializer)
    def post(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Answer a question about an item, once; the item stays open."""
        question = self.find(self.questions(), pk=key)
        self.about = [f"campaign:{question.item.campaign.slug}", f"item:{question.item_id}"]
        answered = questions_actions.answer(question.pk, by=self.reviewer(), text=self.body(DiscussionText)["text"])
        return Response(ItemQuestionSerializer(answered).data)
