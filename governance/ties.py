"""What ties people to grants that only this floor knows of."""

from __future__ import annotations

from django.db.models import Q

from entitlements.api import visibility
from entitlements.models import Person

from .models import Approval


def register() -> None:
    """Tell the doors below, once, when the process starts."""
    visibility.tie_to_grants("answered", answered)


def answered(person: Person) -> Q:
    """Select the grants of requests that a person answered: whoever said yes may look at what became of it."""
    return Q(request_id__in=Approval.objects.filter(by=person).values("request"))
