"""What a person does about decisions: ask what a change would have denied. Declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, caller
from entitlements.api.fields import InputSerializer
from governance.what_if import what_if
from governance.what_if.models import WhatIf


class WhatIfInputSerializer(InputSerializer):
    """A change, and over how many days of recorded calls it is replayed.

    `{"kind": "grant", "grant": id}` with `revoke: true`, `tools` (all that stays), `limits` by tool, or `ends_at`;
    `{"kind": "limits", "tool": name, "limits": {...}}` with `grant` or `entitlement`;
    `{"kind": "guardrail", "name", "effect", "when"}`, and `max_age` and `acr` of a step-up, as a guardrail is proposed;
    `{"kind": "session_policy", "name"}` with the terms of a proposed session policy.
    """

    change = serializers.DictField()
    days = serializers.IntegerField(min_value=1, max_value=what_if.MOST_DAYS)


def _visible(_caller: Caller) -> QuerySet[WhatIf]:
    return WhatIf.objects.select_related("asked_by")


def _begin(*, change: dict[str, Any], days: int, by: Caller) -> WhatIf:
    return what_if.begin(change, days, by=by)


WHAT_IF = Subject(_visible, lambda row: [f"what_if:{row.pk}"])
BEGIN = Action(
    "decisions-what-if",
    NEW,
    _begin,
    input=WhatIfInputSerializer,
    by=caller,
    done=_("The replay begins within ten seconds. This page shows how far it is."),
)
