"""A vendor's authorization server, and the names that people have there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from .rules import ScopeNames, Subjects, WayToJoin


class Vendor(models.Model):
    """The authorization server of a system of the kind `mcp`: an audience of ID-JAGs (EMA-I-2, EMA-I-6).

    `issuer` is compared byte by byte. `resources` are those that it issues tokens for. Nothing is issued while `issues`
    is off, or where the vendor joins by the company's provider alone. `salt` makes the pairwise subjects,
    `scope_names` says how scopes are called there, and `extra_claims` names further claims about the person. The test
    client is registered there; `trust_test` is how its last test went.
    """

    system = models.OneToOneField("entitlements.System", on_delete=models.CASCADE, related_name="vendor")
    issuer = models.CharField(max_length=500)
    resources = models.JSONField()
    joins = models.CharField(max_length=24, choices=[(way.value, way.label) for way in WayToJoin])
    issues = models.BooleanField(default=True)
    subjects = models.CharField(max_length=16, choices=[(each.value, each.label) for each in Subjects])
    scope_names = models.CharField(
        max_length=8, choices=[(each.value, each.label) for each in ScopeNames], default="whole"
    )
    extra_claims = models.JSONField(default=list, blank=True)
    salt = models.CharField(max_length=64)
    test_client_id = models.CharField(max_length=300, blank=True, default="")
    test_secret = models.BinaryField(null=True, blank=True)
    test_fingerprint = models.CharField(max_length=16, blank=True, default="")
    trust_test = models.JSONField(null=True, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="an_issuer_is_the_server_of_one_vendor", fields=["issuer"]),
            models.CheckConstraint(name="a_vendor_has_an_issuer", condition=~models.Q(issuer="")),
        ]

    def __str__(self) -> str:
        return self.issuer


class VendorSubject(models.Model):
    """The name by which a vendor knows a person, where it was stored."""

    vendor = models.ForeignKey(Vendor, on_delete=models.CASCADE, related_name="people")
    person = models.ForeignKey("entitlements.Person", on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=255)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_person_has_one_name_at_a_vendor", fields=["vendor", "person"]),
            models.UniqueConstraint(name="a_name_at_a_vendor_is_of_one_person", fields=["vendor", "subject"]),
            models.CheckConstraint(name="a_name_at_a_vendor_is_not_empty", condition=~models.Q(subject="")),
        ]

    def __str__(self) -> str:
        return self.subject
