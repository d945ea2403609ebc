"""Commands of local servers over REST: what is proposed, in force and over, and the actions of both people."""

from __future__ import annotations

from typing import ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.proposals.api import TwoPersonSerializer
from entitlements.stdio_commands import actions
from entitlements.stdio_commands.models import StdioCommand


class StdioCommandSerializer(TwoPersonSerializer):
    """A command: what is started, from which files, how it is held, who proposed it and who confirmed it."""

    name = serializers.CharField()
    folder = serializers.CharField(source="terms.folder")
    sha256 = serializers.CharField(source="terms.digest", help_text="Of the files, in hexadecimal.")
    argv = serializers.JSONField(source="terms.argv")
    env = serializers.JSONField(source="terms.env")
    ports = serializers.JSONField(source="terms.ports")
    shared = serializers.BooleanField(source="terms.shared")
    limits = serializers.JSONField(source="terms.limits")
    without = serializers.JSONField(source="terms.without")


class StdioCommandFilter(filters.FilterSet):
    """Filters of the list."""

    name = filters.CharFilter()
    state = filters.ChoiceFilter(choices=StdioCommand.State.choices)

    class Meta:
        model = StdioCommand
        fields: ClassVar[list[str]] = []


class _Commands(Resource):
    shown = StdioCommandSerializer
    subject = actions.COMMAND


class Commands(_Commands, Listing, CreateEndpoint):
    """List the commands of local servers, and propose one.

    get: List commands that are proposed, in force or over.
    post: Propose a command for local servers, or other terms for one. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = StdioCommandFilter
    ordering = ("-proposed_at", "-id")


class CommandDetail(_Commands, Detail):
    """Show a command of local servers."""


class ConfirmCommand(_Commands, ActionEndpoint):
    """Confirm a proposed command of local servers.

    Another person than the one who proposed it confirms: a platform admin or security approver.
    """

    action = actions.CONFIRM


class WithdrawCommand(_Commands, ActionEndpoint):
    """Withdraw a proposed command of local servers."""

    action = actions.WITHDRAW


class EndCommand(_Commands, ActionEndpoint):
    """End a command of local servers. No node starts it any more."""

    action = actions.END


ADDRESSES: Final = (
    ("stdio-commands", Commands, "stdio-commands"),
    ("stdio-commands/<uuid:key>", CommandDetail, "stdio-command"),
    ("stdio-commands/<uuid:key>/confirm", ConfirmCommand, "stdio-command-confirm"),
    ("stdio-commands/<uuid:key>/withdraw", WithdrawCommand, "stdio-command-withdraw"),
    ("stdio-commands/<uuid:key>/end", EndCommand, "stdio-command-end"),
)
"""Address, view and name of each, as the API mounts them."""
