"""Saved views over REST: a person's own, listed, created and deleted."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Listing, Resource
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.saved_views import actions
from governance.saved_views.models import SavedView


class SavedViewSerializer(OutputSerializer):
    """A view: of which list, whose it is, and the query of the address."""

    id = serializers.UUIDField()
    list = serializers.CharField()
    name = serializers.CharField()
    query = serializers.CharField()
    owner = serializers.CharField(source="owner.login")
    made_at = serializers.DateTimeField()


class SavedViewFilter(filters.FilterSet):
    """Filters by list."""

    list = filters.CharFilter()

    class Meta:
        model = SavedView
        fields: ClassVar[list[str]] = []


class _SavedViewResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = SavedViewSerializer
    subject = actions.SAVED_VIEW


class SavedViews(_SavedViewResource, Listing, CreateEndpoint):
    """List and create saved views.

    get: List your saved views.
    post: Save a view of a list. It keeps the query of the address.
    """

    action = actions.CREATE
    filterset_class = SavedViewFilter
    ordering = ("-made_at", "-id")


class DeleteSavedView(_SavedViewResource, ActionEndpoint):
    """Delete one of your saved views."""

    action = actions.DELETE
    shows_result = True
