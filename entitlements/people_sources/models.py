"""People sources: directories that keep people and groups up to date, and what each says of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.core.checks import CheckMessage
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left, Lower, Now

from audit import clock
from audit.context import Principal

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
"""The member of a person's document that holds their department (RFC 7643 section 4.3)."""


class StoredColumn(models.GeneratedField):
    """A column that PostgreSQL derives and stores. Its check asks no database: `check` runs where none answers."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:  # noqa: ANN401 - the framework's signature
        """Check what is declared alone."""
        return super().check(**{**kwargs, "databases": []})

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Stand in migrations as the framework's own field."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.GeneratedField", args, kwargs


class PeopleSource(models.Model):
    """A directory that keeps people and groups up to date by SCIM; its token is stored as a SHA-256 of 256 random bits.

    `token_made_at` is when the token was made.
    With `subjects_of` the external id of a person is their subject at that issuer, so that they can sign in there.
    While `paused_at` is set, its removals are held until a platform admin lets them through or refuses them.
    """

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    subjects_of = models.ForeignKey(
        "entitlements.TrustedIssuer", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    digest = models.CharField(max_length=64, unique=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    token_made_at = models.DateTimeField(default=clock.now, db_default=Now())
    seen_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.slug

    @property
    def principal(self) -> Principal:
        """Who this is in the record."""
        return Principal("source", self.slug)


class SourcedPerson(models.Model):
    """One person as a source describes them. `said` is the source's document; `manager_said` names the manager there.

    `department` is the one in `said` (RFC 7643 section 4.3); it stays when the source removes the person.
    `left_at` says when the source shut the person out, so that it may let them in again: what a person stopped, no
    source starts.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(PeopleSource, on_delete=models.PROTECT, related_name="people")
    person = models.OneToOneField("entitlements.Person", on_delete=models.PROTECT, related_name="sourced")
    user_name = models.CharField(max_length=254)
    external_id = models.CharField(max_length=255, blank=True)
    manager_said = models.CharField(max_length=255, blank=True)
    said = models.JSONField(default=dict)
    department = StoredColumn(
        expression=Left(KeyTextTransform("department", KeyTransform(ENTERPRISE, "said")), 300),
        output_field=models.CharField(max_length=300, null=True),
        db_persist=True,
    )
    active = models.BooleanField(default=True)
    left_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "source",
                Lower("user_name"),
                condition=Q(removed_at=None),
                name="a_source_has_one_person_of_a_user_name",
            ),
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(removed_at=None) & ~Q(external_id=""),
                name="a_source_has_one_person_of_an_external_id",
            ),
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(active=False), name="whoever_a_source_removed_is_not_active_there"
            ),
            models.CheckConstraint(
                condition=Q(held_at=None) | Q(active=True), name="only_who_is_still_active_there_is_held"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["source", "manager_said"], name="sourced_person_manager"),
            models.Index(fields=["department", "person"], name="sourced_person_of_department"),
        ]

    def __str__(self) -> str:
        return f"{self.user_name}@{self.source_id}"


class SourcedGroup(models.Model):
    """A group that a source keeps: who is in it is the source's to say."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(PeopleSource, on_delete=models.PROTECT, related_name="groups")
    group = models.OneToOneField("entitlements.Group", on_delete=models.PROTECT, related_name="sourced")
    external_id = models.CharField(max_length=255, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(removed_at=None) & ~Q(external_id=""),
                name="a_source_has_one_group_of_an_external_id",
            )
        ]

    def __str__(self) -> str:
        return f"{self.group_id}@{self.source_id}"
