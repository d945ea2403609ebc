"""What people say about items of reviews, over REST; it decides nothing."""

from __future__ import annotations

from http import HTTPStatus

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import Strict, Text
from governance import reviews

from .campaign_bodies import CommentShown
from .campaigns import OfReviews


class TextSaid(Strict):
    """What somebody says."""

    text = Text(max_length=2000)


class Comment(OfReviews):
    """POST /review-items/{id}/comment."""

    @extend_schema(request=TextSaid, responses={201: CommentShown})
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - the framework's signature
        """Say something about an item, as whoever answers it or runs reviews."""
        item, body = self.item(key), self.body(TextSaid)
        made = reviews.comment(item.pk, by=self.reviewer(), text=body["text"])
        return Response(CommentShown(made).data, status=HTTPStatus.CREATED)
