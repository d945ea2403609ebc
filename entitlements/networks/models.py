"""Which private networks and which company CA a system has, who agreed to them, and the certificate that we show it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar, Final

from django.db import models
from django.db.models import F, Q

if TYPE_CHECKING:
    from entitlements.people.models import Person


def _person() -> models.ForeignKey[Person | None, Person | None]:
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


_SECOND: Final = Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))


class SystemNetwork(models.Model):
    """What was proposed about the network of a system: `prefixes` in CIDR, and `company_ca` as PEM.

    `relayed` are the `host:port` that its connectors reach for it, in the place of prefixes.

    It opens the guard of the way out, so one person proposes it and another confirms it. A change is another proposal,
    which replaces the one in force.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        IN_FORCE = "in_force", "In force"
        REPLACED = "replaced", "Replaced"
        WITHDRAWN = "withdrawn", "Withdrawn"
        ENDED = "ended", "Ended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="networks")
    prefixes = models.JSONField(default=list)
    relayed = models.JSONField(default=list, db_default=[])
    company_ca = models.TextField(blank=True)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = _person()
    proposed_at = models.DateTimeField()
    confirmed_by = _person()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_system_network_is_proposed_once_and_in_force_once",
                fields=["system", "state"],
                condition=Q(state__in=["proposed", "in_force"]),
            ),
            models.CheckConstraint(
                name="a_second_person_confirms_a_system_network",
                condition=Q(proposed_by__isnull=False)
                & (
                    Q(state__in=["proposed", "withdrawn"], confirmed_by=None)
                    | (Q(state__in=["in_force", "replaced", "ended"]) & _SECOND)
                ),
            ),
            models.CheckConstraint(
                name="a_system_network_that_is_over_says_when_and_why",
                condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                | (Q(state__in=["replaced", "withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="system_network_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.system_id}: {self.state}"


class ClientCertificate(models.Model):
    """The certificate by which Mandate signs in to a system over TLS: its chain, and its private key sealed.

    The key is bound to the system, so that it opens in no other row.
    """

    system = models.OneToOneField("entitlements.System", on_delete=models.CASCADE, related_name="client_certificate")
    chain = models.TextField()
    sealed_key = models.BinaryField()
    subject = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    ends_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.fingerprint[:16]
