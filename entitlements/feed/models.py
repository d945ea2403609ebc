"""The change feed, and the gateway nodes that read it."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

SUBJECTS: Final = (
    "agent_id",
    "person_id",
    "group_id",
    "client_id",
    "system_id",
    "tool_id",
    "grant_id",
    "trusted_issuer_id",
    "identity_link_id",
    "signing_key_id",
    "session_id",
    "token_id",
    "client_session_id",
    "token_family_id",
)
"""The columns of a change that name whom it concerns, each by the primary key of its row."""
_ALONE: Final = tuple(name for name in SUBJECTS if name != "token_family_id")
"""A change of a token family always names its agent too."""


class Change(models.Model):
    """A right may have been taken away. `seq` is given at commit, so that its order is the order of commits.

    The typed columns name whom it concerns; a row may name several. They are no foreign keys: a change outlives the row
    that it names, and takes no lock on it. What says nothing about that concerns all.
    """

    id = models.BigAutoField(primary_key=True)
    seq = models.BigIntegerField(null=True, unique=True)
    kind = models.CharField(max_length=32)
    agent = models.ForeignKey("entitlements.Agent", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    person_id = models.BigIntegerField(null=True, blank=True)
    group_id = models.BigIntegerField(null=True, blank=True)
    client_id = models.BigIntegerField(null=True, blank=True)
    system_id = models.BigIntegerField(null=True, blank=True)
    tool_id = models.BigIntegerField(null=True, blank=True)
    grant_id = models.UUIDField(null=True, blank=True)
    trusted_issuer_id = models.BigIntegerField(null=True, blank=True)
    identity_link_id = models.BigIntegerField(null=True, blank=True)
    signing_key_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - null: it names no key
    session_id = models.UUIDField(null=True, blank=True)
    token_id = models.UUIDField(null=True, blank=True)
    client_session_id = models.UUIDField(null=True, blank=True)
    token_family_id = models.UUIDField(null=True, blank=True)
    concerns_all = models.BooleanField(default=False, db_default=True)
    subject = models.CharField(max_length=200)
    noted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_change_names_a_subject_or_concerns_all",
                condition=Q(concerns_all=True) | Q(*((f"{name}__isnull", False) for name in _ALONE), _connector=Q.OR),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.seq}:{self.subject}"


class GatewayNode(models.Model):
    """One gateway process. Its lease is alive while `polled_at` is younger than two seconds."""

    id = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    polled_at = models.DateTimeField()
    position = models.BigIntegerField(default=0)
    stopped_at = models.DateTimeField(null=True, blank=True)
    relays = models.BooleanField(default=False, db_default=False)
    """Whether connectors connect to it."""

    def __str__(self) -> str:
        return self.id
