"""What a person does in an emergency: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from governance.break_glass import break_glass, queries
from governance.break_glass.models import BreakGlassGrant


class VerdictInputSerializer(InputSerializer):
    """Whether break-glass access was justified, and why."""

    verdict = serializers.ChoiceField(choices=BreakGlassGrant.Verdict.choices)
    reason = Text(max_length=500)


def _visible(caller: Caller) -> QuerySet[BreakGlassGrant]:
    if caller.human is not None:
        return queries.visible_to(caller.human)
    return queries.all_of_them() if caller.is_script else BreakGlassGrant.objects.none()


EMERGENCY = Subject(_visible, break_glass.about, by=person, by_key=True)

GIVE = Action(
    "emergencies",
    NEW,
    break_glass.give,
    input=None,
    by=person,
    done=_("Break-glass access given. Security and everyone concerned get a notice now."),
)
REVIEW = Action(
    "emergency-review",
    EMERGENCY,
    break_glass.review,
    input=VerdictInputSerializer,
    done=_("Saved. The person who gave the access gets a notice of your finding."),
)
