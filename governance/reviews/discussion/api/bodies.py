"""Response bodies of comments and questions about review items."""

from __future__ import annotations

from rest_framework import serializers

from entitlements.api.fields import OutputSerializer


class CommentSerializer(OutputSerializer):
    """A comment on an item."""

    id = serializers.UUIDField()
    by = serializers.CharField(source="by.login")
    at = serializers.DateTimeField()
    text = serializers.CharField()


class ItemQuestionSerializer(OutputSerializer):
    """A reviewer's question about an item, the person asked, and the answer, by that person or their delegate."""

    id = serializers.UUIDField()
    item = serializers.UUIDField(source="item_id")
    asked_by = serializers.CharField(source="asked_by.login")
    asked_of = serializers.CharField(source="asked_of.login")
    asked_at = serializers.DateTimeField()
    text = serializers.CharField()
    answer = serializers.CharField()
    answered_by = serializers.CharField(source="answerer.login", default=None, allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)
