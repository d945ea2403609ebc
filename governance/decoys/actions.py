"""What people of security do about decoys: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Slug, Text
from entitlements.decoys import decoys


class DecoyToolInputSerializer(InputSerializer):
    """A tool that is listed beside another one, and may not be called."""

    name = Text(max_length=128)
    beside = Text(max_length=200, help_text="<system>/<tool>: an approved tool; the decoy is listed wherever it is.")
    description = Text(max_length=2000)
    input_schema = serializers.DictField(required=False, help_text="Left out: the arguments of the tool beside it.")
    answer = Text(max_length=500, help_text="What a call is answered with, as a failure of the system.")
    agents = serializers.ListField(child=Slug(), min_length=1, max_length=decoys.MOST_AGENTS)
    reason = Text(max_length=500)


DECOY = Subject(visibility.decoys, decoys.about, by=person, by_key=True)
PLANT_TOOL = Action(
    "decoys",
    NEW,
    decoys.plant_tool,
    input=DecoyToolInputSerializer,
    by=person,
    done=_("Planted. The agents are shown it from now on."),
)
END = Action("decoy-end", DECOY, decoys.end, done=_("Ended. What touched it stays."))
