"""Out-of-office delegates: who answers for whom, from when until when."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

LONGEST: Final = timedelta(days=90)


class OutOfOfficeDelegate(models.Model):
    """One person's out-of-office delegate for a while. Never deleted; only its end can change.

    It is not transitive: a delegate cannot pass it on. The database refuses rings and two
    delegates at a time (a trigger).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    delegator = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="delegations_given")
    delegate = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="delegations_held")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "governance_delegation"
        constraints: ClassVar = [
            models.CheckConstraint(name="nobody_is_their_own_delegate", condition=~Q(delegator=F("delegate"))),
            models.CheckConstraint(
                name="a_delegation_lasts_some_time_and_at_most_ninety_days",
                condition=Q(ends_at__gt=F("starts_at"), ends_at__lte=F("starts_at") + LONGEST),
            ),
            models.CheckConstraint(name="a_delegation_says_why", condition=~Q(reason="")),
        ]
        indexes: ClassVar = [models.Index(name="delegation_page", fields=["-made_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.delegator_id} by {self.delegate_id}"
