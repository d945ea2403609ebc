"""What goes out of what people say and ask about items of reviews."""

from __future__ import annotations

from rest_framework import serializers

from entitlements.api.fields import Shown


class CommentShown(Shown):
    """What somebody said about an item."""

    id = serializers.UUIDField()
    by = serializers.CharField(source="by.login")
    at = serializers.DateTimeField()
    text = serializers.CharField()


class ItemQuestionShown(Shown):
    """What a reviewer asked about an item, of whom, and what was answered, by her or by whoever stood in for her."""

    id = serializers.UUIDField()
    item = serializers.UUIDField(source="item_id")
    asked_by = serializers.CharField(source="asked_by.login")
    asked_of = serializers.CharField(source="asked_of.login")
    asked_at = serializers.DateTimeField()
    text = serializers.CharField()
    answer = serializers.CharField()
    answered_by = serializers.CharField(source="answerer.login", default=None, allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)
