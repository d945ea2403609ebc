"""What people do about commands of local servers: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Slug, Text
from entitlements.stdio_commands import proposals, terms


def _texts() -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=terms.LONGEST_PART), max_length=terms.MOST_PARTS, default=list)


class StdioCommandInputSerializer(InputSerializer):
    """A command and how it is held. `{package}` stands for its folder; without a digest, that of the files is taken."""

    name = Slug()
    folder = Text(max_length=500)
    sha256 = serializers.RegexField(r"\A[0-9a-f]{64}\Z", default="", allow_blank=True, source="digest")
    argv = _texts()
    env = serializers.DictField(child=Text(max_length=terms.LONGEST_PART, allow_blank=True), default=dict)
    ports = serializers.ListField(child=serializers.IntegerField(), max_length=20, default=list)
    shared = serializers.BooleanField(default=False)
    limits = serializers.DictField(child=serializers.FloatField(), default=dict)
    without = _texts()
    reason = Text(max_length=500)

    def validate_limits(self, value: dict[str, float]) -> dict[str, float]:
        """Keep whole numbers whole."""
        return {name: int(number) if number == int(number) else number for name, number in value.items()}


COMMAND = Subject(visibility.stdio_commands, proposals.KIND.about, by=person, by_key=True)

PROPOSE = Action(
    "stdio-commands",
    NEW,
    proposals.propose,
    input=StdioCommandInputSerializer,
    by=person,
    done=_("Proposed. Another person, who is platform admin or security approver, confirms it."),
)
CONFIRM = Action(
    "stdio-command-confirm",
    COMMAND,
    proposals.KIND.confirm,
    input=None,
    done=_("Confirmed. Systems can be started by %(name)s."),
)
WITHDRAW = Action("stdio-command-withdraw", COMMAND, proposals.KIND.withdraw, done=_("Withdrawn."))
END = Action("stdio-command-end", COMMAND, proposals.KIND.end, done=_("Ended. No node starts %(name)s any more."))
