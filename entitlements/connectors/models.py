"""Which connectors a system has, by which key each proves itself, and what discovery asks the nodes to ask for it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from entitlements.people.models import Person


def _person() -> models.ForeignKey[Person | None, Person | None]:
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


class Connector(models.Model):
    """A program inside the network of a system: `place` is 1 or 2, since a system has two at most.

    `public_key` is the Ed25519 key that it made itself, as the member `x` of its JWK. `code_sha256` is of the one-time
    code, which is forgotten when it is used. `nodes` says when which node last held a connection of it.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waits for enrolment"
        ACTIVE = "active", "Active"
        REVOKED = "revoked", "Revoked"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="connectors")
    name = models.CharField(max_length=100)
    place = models.SmallIntegerField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    reason = models.CharField(max_length=500)
    created_by = _person()
    created_at = models.DateTimeField()
    code_sha256 = models.CharField(max_length=64, blank=True)
    code_ends_at = models.DateTimeField()
    public_key = models.CharField(max_length=64, blank=True)
    thumbprint = models.CharField(max_length=64, blank=True)
    enrolled_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    nodes = models.JSONField(default=dict, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_place_of_a_system_has_one_connector_at_a_time",
                fields=["system", "place"],
                condition=Q(state__in=["pending", "active"]),
            ),
            models.CheckConstraint(name="a_system_has_two_connectors_at_most", condition=Q(place__in=[1, 2])),
            models.CheckConstraint(
                name="a_connector_has_its_code_or_its_key",
                condition=(Q(state="pending", public_key="", enrolled_at=None) & ~Q(code_sha256=""))
                | (Q(state="active", code_sha256="", enrolled_at__isnull=False) & ~Q(public_key=""))
                | Q(state="revoked", code_sha256=""),
            ),
            models.CheckConstraint(
                name="a_connector_that_is_revoked_says_when_and_why",
                condition=(Q(revoked_at=None) & ~Q(state="revoked"))
                | (Q(state="revoked", revoked_at__isnull=False) & ~Q(revoke_reason="")),
            ),
            models.UniqueConstraint(
                name="an_enrolment_code_is_of_one_connector", fields=["code_sha256"], condition=~Q(code_sha256="")
            ),
            models.UniqueConstraint(name="a_key_is_enrolled_once", fields=["thumbprint"], condition=~Q(thumbprint="")),
        ]
        indexes: ClassVar = [models.Index(name="connector_page", fields=["-created_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class RelayedDiscovery(models.Model):
    """What a worker asks the nodes: the list of tools of a system that a connector reaches. It lives for seconds.

    The node that has a connection takes it (`node`), and writes the `tools`, or at which stage it failed (`problem`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField()
    node = models.CharField(max_length=64, blank=True, db_default="", default="")
    answered_at = models.DateTimeField(null=True, blank=True)
    tools = models.JSONField(null=True, blank=True)
    is_whole = models.BooleanField(db_default=True, default=True)
    problem = models.CharField(max_length=64, blank=True, db_default="", default="")

    def __str__(self) -> str:
        return f"{self.system_id}: {self.node or 'waits'}"
