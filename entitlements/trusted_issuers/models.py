"""Issuers whose signed assertions are accepted, who proposed and confirmed that, and their keys as we last saw them."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from entitlements.proposals.models import TwoPersonProposal, second_person

from .rules import TokenRules


class TrustedIssuer(models.Model):
    """An issuer whose signed assertions we accept, with its keys pinned or fetched from one address.

    `strict_single_use` chooses whether an ID-JAG is redeemed once, or until it expires (EMA-R-6). How its tokens are
    read is in `rules.TokenRules`, which names each column. An identity issuer may issue ID-JAGs as well, and any may
    send security events: those of `signal_events`, without any named all that are understood, for `signal_audience`,
    without one for our endpoint.
    """

    class Purpose(models.TextChoices):
        IDENTITY = "identity", "People's ID tokens"
        ID_JAG = "id_jag", "ID-JAGs"
        WORKLOAD = "workload", "Workload identity"
        SIGNALS = "signals", "Security events"

    TERMS: ClassVar = (
        *("purpose", "issues_id_jags", "jwks_uri", "jwks", "algorithms", "strict_single_use", "clients"),
        *("other_audiences", "subject_claim", "tenant_claim", "tenants", "contexts"),
        *("sends_signals", "signal_audience", "signal_events"),
    )
    """The columns that two people agree on."""

    issuer = models.CharField(max_length=300, unique=True)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    issues_id_jags = models.BooleanField(default=False, db_default=False)
    jwks_uri = models.URLField(max_length=500, blank=True)
    jwks = models.JSONField(null=True, blank=True)
    algorithms = models.JSONField(default=list)
    strict_single_use = models.BooleanField(default=True)
    clients = models.JSONField(default=dict, db_default={}, blank=True)
    other_audiences = models.JSONField(default=list, db_default=[], blank=True)
    subject_claim = models.CharField(max_length=64, default="sub", db_default="sub")
    tenant_claim = models.CharField(max_length=64, default="", db_default="", blank=True)
    tenants = models.JSONField(default=list, db_default=[], blank=True)
    contexts = models.JSONField(default=dict, db_default={}, blank=True)
    sends_signals = models.BooleanField(default=False, db_default=False)
    signal_audience = models.CharField(max_length=500, default="", db_default="", blank=True)
    signal_events = models.JSONField(default=list, db_default=[], blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="issuer_has_keys_or_an_address_for_them",
                condition=Q(jwks__isnull=False) | ~Q(jwks_uri=""),
            ),
        ]

    def __str__(self) -> str:
        return self.issuer

    @property
    def rules(self) -> TokenRules:
        """How the issuer's tokens are read."""
        return TokenRules(
            self.clients,
            frozenset(self.other_audiences),
            self.subject_claim,
            self.tenant_claim,
            frozenset(self.tenants),
            self.contexts,
        )


_BOTH: Final = Q(proposed_by__isnull=False, confirmed_by__isnull=False) & ~Q(confirmed_by=F("proposed_by"))
_NEITHER: Final = Q(proposed_by=None, confirmed_by=None)


class IssuerProposal(TwoPersonProposal):
    """What was proposed about an issuer: `terms` holds the columns of `TrustedIssuer.TERMS`.

    What the set-up trusts itself is in force without the two people.
    """

    issuer = models.CharField(max_length=300)
    terms = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)
    proposed_by = second_person()  # type: ignore[assignment]  # none, of what the set-up trusts

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="an_issuer_is_proposed_once_and_in_force_once",
                fields=["issuer", "state"],
                condition=Q(state__in=["proposed", "in_force"]),
            ),
            models.CheckConstraint(
                name="a_second_person_confirms_an_issuer",
                condition=Q(state__in=["proposed", "withdrawn"], proposed_by__isnull=False, confirmed_by=None)
                | (Q(state__in=["in_force", "replaced", "ended"], confirmed_at__isnull=False) & (_BOTH | _NEITHER)),
            ),
            models.CheckConstraint(
                name="an_issuer_proposal_that_is_over_says_when_and_why",
                condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                | (Q(state__in=["replaced", "withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="issuer_proposal_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.issuer}: {self.state}"


class IssuerKeys(models.Model):
    """An issuer's key set as a worker last fetched it: for people; each node of the edge fetches its own.

    `failing_since` is when the first of the fetches began that failed in a row, and `reported_at` when that was
    recorded as a finding.
    """

    issuer = models.OneToOneField(TrustedIssuer, primary_key=True, on_delete=models.CASCADE, related_name="keys_seen")
    keys = models.JSONField(default=list)
    fetched_at = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField()
    failing_since = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    reported_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"keys of {self.issuer_id}"
