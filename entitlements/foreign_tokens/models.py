"""Tokens of other servers whose end is measured, and which receipt waits for which of them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from .rules import End, Unknown, VendorAnswer


class ForeignToken(models.Model):
    """The tokens of one connected account, or those that a vendor minted and Mandate never held (`account` is null).

    `accepted_before` names the ways that took the tokens before their revocation, null until they were tried. `answer`
    is what the vendor said to that. `end` is what trying them found, whatever it said: `found_by` names the ways,
    `measured_at` the moment of the try that decided, `last_alive_at` of the last that worked.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.PROTECT, related_name="+")
    account = models.OneToOneField(
        "entitlements.ConnectedAccount", on_delete=models.PROTECT, null=True, related_name="foreign_token"
    )
    accepted_before = models.JSONField(null=True, blank=True)
    answer = models.CharField(max_length=16, choices=[(each.value, each.value) for each in VendorAnswer], blank=True)
    end = models.CharField(max_length=8, choices=[(each.value, each.value) for each in End], default=End.PENDING)
    found_by = models.CharField(max_length=64, blank=True)
    why = models.CharField(max_length=16, choices=[(each.value, each.value) for each in Unknown], blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    named_at = models.DateTimeField()
    began_at = models.DateTimeField(null=True, blank=True)
    last_alive_at = models.DateTimeField(null=True, blank=True)
    measured_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="the_end_of_a_foreign_token_says_when_it_was_measured",
                condition=Q(end="pending", measured_at=None) | (~Q(end="pending") & Q(measured_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="an_end_that_was_measured_says_how_and_an_unknown_one_why",
                condition=Q(end="pending", found_by="", why="")
                | (Q(end__in=["dead", "alive"], why="") & ~Q(found_by=""))
                | (Q(end="unknown", found_by="") & ~Q(why="")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="foreign_token_pending", fields=["named_at"], condition=Q(end="pending"))
        ]

    def __str__(self) -> str:
        return str(self.id)


class MeasuredEnds(models.Model):
    """The foreign tokens that the receipt of one revocation waits for, and the signed statement of their ends."""

    revocation = models.OneToOneField(
        "entitlements.Revocation", on_delete=models.PROTECT, primary_key=True, related_name="ends"
    )
    tokens = models.ManyToManyField(ForeignToken, related_name="waited_for")
    statement = models.TextField(blank=True)
    signed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_statement_of_measured_ends_says_when_it_was_signed",
                condition=Q(statement="", signed_at=None) | (~Q(statement="") & Q(signed_at__isnull=False)),
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)
