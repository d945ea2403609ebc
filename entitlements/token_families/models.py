"""Token families: one row for each sign-in of a person at a client, to one system or to the identity side."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q


class TokenFamily(models.Model):
    """What one consent made. Its refresh token is this row's id and a generation under a MAC; none is stored.

    `generation` is the one that is in use. `retired` says when those before it were replaced, the latest first. `scope`
    is what was asked for and agreed to, the ceiling of each token; empty, whatever the agent holds at that moment.
    `last_used_from` is the address from which its client last came for a token, kept while the family is open.
    Without `system` it is a sign-in at `/idp`: its agent may be missing, and its session begins with an ID-JAG. `acr`
    and `amr`, methods between spaces, say how the person signed in (OpenID Connect Core 2), if it is known. `jkt` names
    the key (RFC 7638) that each refresh must be proven with (RFC 9449 section 5), and is empty for none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey("entitlements.Client", on_delete=models.PROTECT, related_name="token_families")
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="token_families"
    )
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="token_families")
    system = models.ForeignKey("entitlements.System", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    session = models.ForeignKey(
        "entitlements.Session", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    resource = models.CharField(max_length=500, blank=True)
    scope = models.TextField(blank=True)
    code_sha256 = models.CharField(max_length=64)
    sign_in_sha256 = models.CharField(max_length=64)
    auth_time = models.DateTimeField()
    acr = models.CharField(max_length=255, blank=True, db_default="")
    amr = models.TextField(blank=True, db_default="")
    generation = models.PositiveIntegerField(default=1)
    retired = ArrayField(models.DateTimeField(), default=list, blank=True)
    started_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    jkt = models.CharField(max_length=64, blank=True, default="", db_default="")
    last_used_from = models.CharField(max_length=64, blank=True, default="", db_default="")
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "token families"
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_code_begins_one_token_family", fields=["code_sha256"]),
            models.CheckConstraint(name="ended_token_family_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")),
            models.CheckConstraint(
                name="token_family_ends_after_it_begins", condition=Q(expires_at__gt=F("started_at"))
            ),
            models.CheckConstraint(
                name="token_family_of_a_system_has_its_agent_session_and_resource",
                condition=Q(system=None) | Q(agent__isnull=False, session__isnull=False) & ~Q(resource=""),
            ),
        ]
        indexes: ClassVar = [models.Index(name="token_family_page", fields=["-started_at", "-id"])]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def methods(self) -> list[str]:
        """How the person signed in: values of RFC 8176, or what their company says."""
        return self.amr.split()
