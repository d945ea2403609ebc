"""Steps of the set-up that a person has checked, and invitations of the first people."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Invitation(models.Model):
    """A link of 256 random bits, good once and for a short while, with which a person sets their password."""

    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="invitations")
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="invitation_ends_after_it_is_made", condition=Q(expires_at__gt=F("made_at"))),
            models.CheckConstraint(
                name="invitation_is_used_in_time", condition=Q(used_at=None) | Q(used_at__lte=F("expires_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} until {self.expires_at}"


class SetupCheck(models.Model):
    """The last test of one line of the set-up page: whether it passed, what of, and since when it has been passing."""

    class Line(models.TextChoices):
        """The lines, in the order in which they are worked through."""

        SIGN_IN = "sign_in", "Company sign-in"
        SECOND_ADMIN = "second_admin", "Second administrator"
        MAIL = "mail", "Mail"
        ANCHOR = "anchor", "Anchor of the record"
        BACKUP = "backup", "Backup"
        SYSTEM = "system", "First system"
        AGENT = "agent", "First agent"
        CLIENT = "client", "Connect a client"
        CALL = "call", "First allowed call"
        STOP = "stop", "Stop test"
        DEMO = "demo", "Demo"

    line = models.CharField(max_length=16, primary_key=True, choices=Line.choices)
    passed = models.BooleanField()
    subject = models.CharField(max_length=300, blank=True)
    sentence = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()
    since = models.DateTimeField(null=True, blank=True)
    by = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="setup_line_is_known",
                condition=Q(
                    line__in=[
                        *("sign_in", "second_admin", "mail", "anchor", "backup"),
                        *("system", "agent", "client", "call", "stop", "demo"),
                    ]
                ),
            ),
            models.CheckConstraint(
                name="setup_check_that_passed_says_since_when",
                condition=Q(passed=True, since__isnull=False) | Q(passed=False, since=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line}: {'passed' if self.passed else 'failed'}"
