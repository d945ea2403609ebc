"""Signals of risk and what people decided about them, how each kind is answered, and events that were taken in."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from entitlements.proposals.models import TwoPersonProposal, second_person_constraints

_LEVELS: Final = ["low", "medium", "high"]


class RiskSignal(models.Model):
    """One signal about one agent, person or session: never changed and never deleted.

    `level` is what it says by itself, `subject_level` what the subject's level was with it. `response` and `mode` are
    how its kind was answered then, and `outcome` says what became of that. `reference` names what it came from, so that
    nothing is noted twice.
    """

    class Outcome(models.TextChoices):
        NOTED = "noted", "Noted"
        OBSERVED = "observed", "Would have been done"
        DONE = "done", "Done"
        NOTHING = "nothing", "There was nothing to do"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="risk_signals"
    )
    person = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="risk_signals"
    )
    session = models.ForeignKey(
        "entitlements.Session", null=True, blank=True, on_delete=models.PROTECT, related_name="risk_signals"
    )
    kind = models.CharField(max_length=32)
    level = models.CharField(max_length=16)
    subject_level = models.CharField(max_length=16)
    source = models.CharField(max_length=320)
    reason = models.CharField(max_length=500)
    at = models.DateTimeField()
    noted_at = models.DateTimeField()
    response = models.CharField(max_length=16)
    mode = models.CharField(max_length=16)
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    reference = models.CharField(max_length=200, unique=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_risk_signal_is_about_one_subject",
                condition=Q(agent__isnull=False, person=None, session=None)
                | Q(agent=None, person__isnull=False, session=None)
                | Q(agent=None, person=None, session__isnull=False),
            ),
            models.CheckConstraint(
                name="a_risk_signal_has_a_level_and_a_reason",
                condition=Q(level__in=_LEVELS, subject_level__in=_LEVELS) & ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="a_response_is_observed_or_done",
                condition=Q(outcome__in=["noted", "nothing"])
                | Q(outcome="observed", mode="observe")
                | Q(outcome="done", mode="enforce"),
            ),
        ]
        indexes: ClassVar = [models.Index(name="risk_signal_page", fields=["-noted_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.kind} about {self.about}"

    @property
    def about(self) -> str:
        """The link by which the audit log names its subject."""
        if self.agent is not None:
            return f"agent:{self.agent.slug}"
        return f"person:{self.person.login}" if self.person is not None else f"session:{self.session_id}"

    @property
    def state(self) -> str:
        """What was decided about it; `open` before."""
        return self.decision.verdict if hasattr(self, "decision") else "open"


class RiskDecision(models.Model):
    """What a person decided about a signal, once: never changed and never deleted."""

    signal = models.OneToOneField(RiskSignal, primary_key=True, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(max_length=16)
    by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.CharField(max_length=500)
    at = models.DateTimeField()
    subject_level = models.CharField(max_length=16)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_risk_decision_says_why", condition=~Q(reason="") & Q(subject_level__in=_LEVELS)
            )
        ]

    def __str__(self) -> str:
        return f"{self.signal_id}: {self.verdict}"


class SignalResponse(TwoPersonProposal):
    """How signals of one kind are answered; two people agree on it."""

    kind = models.CharField(max_length=32)
    response = models.CharField(max_length=16)
    mode = models.CharField(max_length=16)

    class Meta:
        constraints: ClassVar = second_person_constraints("a signal response", "kind")
        indexes: ClassVar = [models.Index(name="signal_response_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.kind}: {self.state}"


class SecurityEvent(models.Model):
    """A security event token of a trusted issuer that was taken in, checked and not yet followed, or followed.

    Its issuer uses a `jti` once; the same token again is answered as the first time, and not followed again.
    """

    class Outcome(models.TextChoices):
        SIGNALLED = "signalled", "Signalled"
        SUBJECT_UNKNOWN = "subject_unknown", "Its subject is not known here"
        VERIFIED = "verified", "It verified the stream"
        FAILED = "failed", "It could not be followed"

    issuer = models.ForeignKey("entitlements.TrustedIssuer", on_delete=models.PROTECT, related_name="security_events")
    jti = models.CharField(max_length=255)
    claims = models.JSONField()
    received_at = models.DateTimeField(db_default=Now())
    followed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_security_event_is_taken_once", fields=["issuer", "jti"]),
            models.CheckConstraint(
                name="a_followed_security_event_says_what_became_of_it",
                condition=Q(followed_at=None, outcome="") | (Q(followed_at__isnull=False) & ~Q(outcome="")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="security_event_to_follow", fields=["id"], condition=Q(followed_at=None)),
            models.Index(name="security_event_by_age", fields=["received_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.issuer_id}: {self.jti}"
