"""People, their groups and admin roles, and the group mappings that give roles."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now, Upper
from django.utils.crypto import salted_hmac

from audit import clock
from audit.context import Principal
from entitlements.proposals.models import TwoPersonProposal, second_person_constraints

from .role_limits import EVERYTHING, NOTHING, RoleLimit


class Role(models.TextChoices):
    """What a person may do in Mandate itself; sponsors and owners are named on agents and systems instead."""

    ANALYST = "analyst", "Analyst"
    APPROVER = "approver", "Approver"
    SECURITY = "security", "Security approver"
    RESPONDER = "responder", "Responder"
    AUDITOR = "auditor", "Auditor"
    ADMIN = "admin", "Platform admin"


OFFICE: Final = (Role.ADMIN, Role.ANALYST, Role.SECURITY)
"""Who may open the back office; what each does there, the permission matrix says."""


class PersonManager(BaseUserManager["Person"]):
    """Django needs a manager for sign-in; people are made by the action `people.register`."""

    def get_by_natural_key(self, username: str | None) -> Person:
        """Find a person by login."""
        return self.get(login=username)

    def holding(self, *roles: str, or_limited: bool = False) -> models.QuerySet[Person]:
        """Return the active people who hold any of the roles at this moment, without a limit unless `or_limited`."""
        held = RoleAssignment.objects.current().filter(role__in=roles)
        held = held if or_limited else held.filter(is_limited=False)
        return self.filter(is_active=True, pk__in=held.values("person"))


class Person(AbstractBaseUser):
    """A human user. `login` is the stable name used in the record; a login is never given to another person.

    `sign_ins_valid_after` is when the person was last disabled or enabled: what proved who they are before it, a
    session of a browser or a code, proves nothing any more. What was signed in before `sign_in_required_after` is asked
    for again before an agent goes on for the person.
    """

    login = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    manager = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="reports")
    is_active = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    sign_ins_valid_after = models.DateTimeField(null=True, blank=True)
    risk_level = models.CharField(max_length=16, default="low", db_default="low")
    sign_in_required_after = models.DateTimeField(null=True, blank=True)
    held_by_risk = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "login"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects: ClassVar[PersonManager] = PersonManager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="disabled_person_says_when",
                condition=Q(is_active=True, disabled_at=None) | Q(is_active=False, disabled_at__isnull=False),
            ),
            models.CheckConstraint(name="nobody_manages_themselves", condition=~Q(manager=F("id"))),
        ]
        indexes: ClassVar = [
            models.Index(name="person_page", fields=["name", "id"]),
            models.Index(name="person_held_by_risk", fields=["login"], condition=Q(held_by_risk=True)),
            models.Index(Upper("email"), name="person_by_mail"),
            models.Index(Func(F("email"), function="entitlements_mailbox"), name="person_by_mailbox"),
        ]

    def __str__(self) -> str:
        return self.login

    @property
    def principal(self) -> Principal:
        """Who this is in the record."""
        return Principal("person", self.login)

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Return what a session of a browser must hold to be this person's: Django compares it at each request.

        It changes with the password and with `sign_ins_valid_after`, so that no session outlives a disabling.
        """
        if self.sign_ins_valid_after is None:
            return super()._get_session_auth_hash(secret)  # type: ignore[misc,no-any-return]
        value = f"{self.password} {self.sign_ins_valid_after.timestamp()}"
        return salted_hmac("entitlements.models.Person", value, secret=secret, algorithm="sha256").hexdigest()

    def has_role(self, *roles: str) -> bool:
        """Whether the person is active and holds any of the roles without a limit."""
        return self.is_active and self.roles.current().filter(role__in=roles, is_limited=False).exists()

    def reach(self, *roles: str) -> RoleLimit:
        """Return how far any of the roles reaches that the person, if active, holds now; read by one query."""
        reach = NOTHING
        for assignment in self.roles.current().filter(role__in=roles) if self.is_active else ():
            reach |= assignment.limit
        return reach

    @property
    def current_roles(self) -> list[RoleAssignment]:
        """The roles of this moment, of those that may have been fetched with the person already."""
        return sorted(
            (assignment for assignment in self.roles.all() if assignment.is_current),
            key=lambda assignment: assignment.role,
        )

    @property
    def is_staff(self) -> bool:
        """Whether the person may open the back office."""
        return self.has_role(*OFFICE)

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002 - Django's signature
        """Whether the back office shows an application at all."""
        return self.is_staff

    def has_perm(self, perm: str, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """Views only: what the back office changes, it changes by actions that the permission matrix admits."""
        return self.is_staff and ".view_" in perm


LONGEST_AUDIT: Final = timedelta(days=400)
"""The longest time that an auditor, who reads everything, keeps the role before another person confirms it."""


class RoleQuerySet(models.QuerySet["RoleAssignment"]):
    """Read roles through `current()`: a role that is over gives nothing, though its row may still exist."""

    def current(self) -> RoleQuerySet:
        """Return the roles that are held at this moment."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=clock.now()))


class RoleAssignment(models.Model):
    """A role that a person holds in Mandate itself, without an end or until one; an auditor's always ends.

    Where it `is_limited`, it counts for what belongs to the systems (by key) and departments that are named, and where
    none is, for nothing.
    """

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="roles")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    mapped_by = models.ForeignKey(
        "entitlements.GroupMapping", null=True, blank=True, on_delete=models.PROTECT, related_name="given"
    )
    is_limited = models.BooleanField(default=False, db_default=False)
    limit_systems = ArrayField(models.BigIntegerField(), default=list, blank=True, db_default=[])
    limit_departments = ArrayField(models.CharField(max_length=300), default=list, blank=True, db_default=[])

    objects: ClassVar[models.Manager[RoleAssignment]] = RoleQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_person_holds_a_role_once", fields=["person", "role"]),
            models.CheckConstraint(
                name="an_auditor_is_one_for_a_while",
                condition=~Q(role="auditor")
                | Q(expires_at__isnull=False, expires_at__lte=F("created_at") + LONGEST_AUDIT),
            ),
            models.CheckConstraint(name="role_is_known", condition=Q(role__in=Role.values)),
            models.CheckConstraint(
                name="a_role_without_a_limit_names_none",
                condition=Q(is_limited=True) | Q(limit_systems=[], limit_departments=[]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}:{self.role}"

    @property
    def limit(self) -> RoleLimit:
        """How far the role reaches."""
        if not self.is_limited:
            return EVERYTHING
        return RoleLimit(systems=frozenset(self.limit_systems), departments=frozenset(self.limit_departments))

    @property
    def is_current(self) -> bool:
        """Whether the role is held at this moment."""
        return self.expires_at is None or self.expires_at > clock.now()


class Group(models.Model):
    """A named set of people, for grants and for approvals."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    people = models.ManyToManyField(Person, through="Membership", related_name="member_of")

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """One person in one group, since a moment; none is known of those from before moments were kept."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    created_at = models.DateTimeField(null=True, default=clock.now, db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_person_is_in_a_group_once", fields=["group", "person"])
        ]

    def __str__(self) -> str:
        return f"{self.group_id}:{self.person_id}"


class Identity(models.Model):
    """One issuer's subject is this person. Never resolved by e-mail (EMA-R-15)."""

    issuer = models.ForeignKey("entitlements.TrustedIssuer", on_delete=models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=255)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="identities")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_person_per_issuer_and_subject", fields=["issuer", "subject"])
        ]

    def __str__(self) -> str:
        return f"{self.subject}@{self.issuer_id}"


class ApiToken(models.Model):
    """A personal token for scripts: shown once, stored as a SHA-256 of 256 random bits."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.label


class GroupMapping(TwoPersonProposal):
    """A claim's value at an issuer gives a role, while two people have it in force."""

    issuer = models.ForeignKey("entitlements.TrustedIssuer", on_delete=models.PROTECT, related_name="+")
    claim = models.CharField(max_length=200)
    value = models.CharField(max_length=300)
    role = models.CharField(max_length=16, choices=Role.choices)

    class Meta:
        db_table = "entitlements_rolemapping"
        constraints: ClassVar = [
            *second_person_constraints("a group mapping", "issuer", "claim", "value", "role", is_replaced=False),
            models.CheckConstraint(
                name="a_group_gives_no_role_that_stands_alone",
                condition=Q(role__in=["analyst", "approver", "security", "responder"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claim}={self.value}: {self.role}"
