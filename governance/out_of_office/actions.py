"""What a person does about being out of office: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from entitlements.people.models import Person
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate


class OutOfOfficeDelegateInputSerializer(InputSerializer):
    """The caller's delegate, from when until when, and why."""

    delegate = Text(max_length=64)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = Text(max_length=500)


class EndInputSerializer(InputSerializer):
    """Why it ends."""

    reason = Text(max_length=500)


def _visible(caller: Caller) -> QuerySet[OutOfOfficeDelegate]:
    """Return all to a script, to a person those from or to themselves."""
    if caller.human is not None:
        return delegations.visible_to(caller.human)
    rows = OutOfOfficeDelegate.objects.select_related("delegator", "delegate")
    return rows if caller.is_script else rows.none()


def _make(*, delegate: str, by: Person, **when_and_why: Any) -> OutOfOfficeDelegate:  # noqa: ANN401 - the fields
    return delegations.make(delegations.delegate_by_login(delegate), by=by, **when_and_why)


DELEGATION = Subject(_visible, delegations.about, by=person, by_key=True)

MAKE = Action(
    "delegations",
    NEW,
    _make,
    input=OutOfOfficeDelegateInputSerializer,
    by=person,
    done=lambda performed: (
        _("%(name)s is your out-of-office delegate for that time.") % {"name": performed.result.delegate.name}
    ),
)
END = Action(
    "delegation-end",
    DELEGATION,
    delegations.end,
    input=EndInputSerializer,
    done=_("Ended. Decisions that were made stay."),
)
