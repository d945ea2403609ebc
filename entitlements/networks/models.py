"""Which private networks and which company CA a system has, who agreed to them, and the certificate that we show it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from entitlements.proposals.models import TwoPersonProposal, second_person_constraints


class SystemNetwork(TwoPersonProposal):
    """What was proposed about the network of a system: `prefixes` in CIDR, and `company_ca` as PEM.

    `relayed` are the `host:port` that its connectors reach for it, in the place of prefixes. It opens the guard of the
    way out, so two people agree on it.
    """

    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="networks")
    prefixes = models.JSONField(default=list)
    relayed = models.JSONField(default=list, db_default=[])
    company_ca = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = second_person_constraints("a system network", "system")
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
