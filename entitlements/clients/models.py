"""OAuth clients, and the swapped django-oauth-toolkit rows behind the code, refresh and device flows."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractApplication,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
)

from audit import clock
from entitlements.words import LONGEST_CLIENT_ID

from . import redirects


class Client(AbstractApplication):
    """How an agent (or a script of a person) authenticates. Its secret, if any, is 256 random bits under SHA-256.

    `idle` says what became of it for lack of use, since `idle_since`; with an empty `idle`, when it was last kept.
    Whatever was issued to the client at or before `tokens_valid_after` is dead, so that enabling it brings none back.
    `serves` says through which agent it acts for a person: its own, or the person's (`Connection`).
    `credential_made_at` is when its secret or its keys were made. After a rotation the `previous_` credential works
    too, until `previous_ends_at`.
    """

    class Auth(models.TextChoices):
        PRIVATE_KEY_JWT = "private_key_jwt", "Signed assertion"
        CLIENT_SECRET_BASIC = "client_secret_basic", "Shared secret"
        NONE = "none", "Public client"
        WORKLOAD_IDENTITY = "workload_identity", "Workload identity, no secret"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        DISABLED = "disabled", "Disabled"

    class Idle(models.TextChoices):
        HIDDEN = "hidden", "Unused and hidden"
        CLOSED = "closed", "Unused and closed"
        DELETED = "deleted", "Unused and put away for good"

    class Serves(models.TextChoices):
        OWN_AGENT = "own_agent", "One agent, shared by all its people"
        PERSONAL_AGENTS = "personal_agents", "A personal agent of each person"

    client_id = models.CharField(
        max_length=LONGEST_CLIENT_ID, unique=True, db_column="identifier", verbose_name="client ID"
    )
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="clients"
    )
    auth = models.CharField(max_length=32, choices=Auth.choices, default=Auth.PRIVATE_KEY_JWT)
    jwks = models.JSONField(default=dict, blank=True)
    secret_sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    api_scopes = models.JSONField(default=list, blank=True)
    idle = models.CharField(max_length=16, choices=Idle.choices, blank=True, default="", db_default="")
    idle_since = models.DateTimeField(null=True, blank=True)
    tokens_valid_after = models.DateTimeField(null=True, blank=True)
    credential_made_at = models.DateTimeField(default=clock.now, db_default=Now())
    previous_secret_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="")
    previous_jwks = models.JSONField(default=dict, blank=True, db_default={})
    previous_made_at = models.DateTimeField(null=True, blank=True)
    previous_ends_at = models.DateTimeField(null=True, blank=True)
    serves = models.CharField(
        max_length=16, choices=Serves.choices, default=Serves.OWN_AGENT, db_default=Serves.OWN_AGENT
    )

    objects: ClassVar[models.Manager[Client]] = models.Manager()

    class Meta(AbstractApplication.Meta):
        abstract = False
        constraints: ClassVar = [
            models.CheckConstraint(
                name="client_has_the_credential_of_its_method",
                condition=(Q(auth="private_key_jwt") & ~Q(jwks={}))
                | (Q(auth="client_secret_basic") & ~Q(secret_sha256=""))
                | Q(auth="none")
                | Q(auth="workload_identity", jwks={}, secret_sha256=""),
            ),
            models.CheckConstraint(
                name="an_unused_client_that_is_closed_is_disabled",
                condition=Q(idle__in=["", "hidden"]) | Q(idle__in=["closed", "deleted"], status="disabled"),
            ),
            models.CheckConstraint(
                name="client_of_personal_agents_has_no_agent_of_its_own",
                condition=Q(serves="own_agent") | Q(serves="personal_agents", agent=None, api_scopes=[]),
            ),
            models.CheckConstraint(
                name="a_previous_credential_has_its_age_and_its_end",
                condition=Q(previous_secret_sha256="", previous_jwks={}, previous_made_at=None, previous_ends_at=None)
                | (
                    (~Q(previous_secret_sha256="") | ~Q(previous_jwks={}))
                    & Q(previous_made_at__isnull=False, previous_ends_at__isnull=False)
                ),
            ),
        ]

    @property
    def name_is_claimed(self) -> bool:
        """Whether the client's name is only its own word: nothing that it sends proves that it is this client."""
        return self.auth == self.Auth.NONE

    @property
    def is_usable_now(self) -> bool:
        """Whether the client may authenticate at all."""
        return self.status == self.Status.ACTIVE

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Say whether people may be sent to an address; the toolkit asks, whose own comparison is looser."""
        return redirects.allows(self.redirect_uris.split(), uri)


class ClientCredential(models.Model):
    """A key or a secret for a client of an agent: who asked for it, and who accepted it for the agent. Kept for good.

    Only what the client's own row holds works, so a credential that waits here opens nothing. `askers` are the logins
    of the people behind `asked_by`. Those with `precedes_acceptance` worked before acceptance was required. One that is
    `rotated` was made by the client itself, with the credential that it `continues`, and allows the same. With
    `keeps_previous` the credential before it works on for the overlap.
    `workload` holds what a workload rule would say: `issuer`, `platform` and `claims`.
    """

    class Purpose(models.TextChoices):
        CLIENT = "client", "New client"
        SECRET = "secret", "New secret"
        KEYS = "keys", "New keys"
        DOCUMENT = "document", "Changed metadata document"
        WORKLOAD = "workload", "New workload rule"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for acceptance"
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused"
        REPLACED = "replaced", "Replaced by a newer one"
        LAPSED = "lapsed", "Not accepted in time"
        ROTATED = "rotated", "Rotated by its client"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="credentials")
    client_id = models.CharField(max_length=LONGEST_CLIENT_ID)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    name = models.CharField(max_length=255, blank=True)
    auth = models.CharField(max_length=32, choices=Client.Auth.choices)
    jwks = models.JSONField(default=dict, blank=True)
    secret_sha256 = models.CharField(max_length=64, blank=True)
    redirect_uris = models.TextField(blank=True)
    api_scopes = models.JSONField(default=list, blank=True)
    workload = models.JSONField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    asked_by = models.CharField(max_length=200)
    askers = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    asked_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    acceptor = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_by = models.CharField(max_length=200, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answer_reason = models.CharField(max_length=500, blank=True)
    precedes_acceptance = models.BooleanField(default=False, db_default=False)
    keeps_previous = models.BooleanField(default=False, db_default=False)
    continues = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_credential_of_a_client_waits_at_a_time", fields=["client_id"], condition=Q(state="waiting")
            ),
            models.CheckConstraint(
                name="an_accepted_credential_names_its_acceptor",
                condition=Q(state="accepted", precedes_acceptance=True, acceptor=None)
                | Q(state="accepted", precedes_acceptance=False, acceptor__isnull=False)
                | (~Q(state="accepted") & Q(acceptor=None)),
            ),
            models.CheckConstraint(
                name="a_credential_is_answered_exactly_when_it_no_longer_waits",
                condition=Q(state="waiting", answered_at=None) | (~Q(state="waiting") & Q(answered_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="a_credential_is_accepted_in_time",
                condition=~Q(state="accepted") | Q(answered_at__lte=F("answer_by")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="credential_of_client", fields=["client_id", "agent"]),
            models.Index(name="credential_due", fields=["answer_by"], condition=Q(state="waiting")),
            models.Index(name="credential_page", fields=["-asked_at", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.client_id}:{self.purpose}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be accepted."""
        return self.state == self.State.WAITING and self.answer_by > clock.now()


class AuthorizationCode(AbstractGrant):
    """A pending authorization code (django-oauth-toolkit's `Grant`; our word Grant means something else).

    `auth_time` is when the person signed in, in the browser session in which they agreed, `acr` and `amr` how; empty
    where that is not known. `system` is the one at whose authorization server the code is redeemed; without one that is
    the identity side. `jkt` is the thumbprint of the key with which it must be redeemed, empty for any (RFC 9449
    section 10).
    """

    auth_time = models.DateTimeField(null=True, blank=True)
    acr = models.CharField(max_length=255, blank=True, db_default="")
    amr = models.TextField(blank=True, db_default="")
    system = models.ForeignKey("entitlements.System", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    jkt = models.CharField(max_length=64, blank=True, default="", db_default="")

    objects: ClassVar[models.Manager[AuthorizationCode]] = models.Manager()

    class Meta(AbstractGrant.Meta):
        abstract = False


class OAuthAccessToken(AbstractAccessToken):
    """What django-oauth-toolkit keeps for its own code flow at the identity issuer; no resource accepts it.

    `family` is the sign-in that it came of, where that lasts.
    """

    family = models.UUIDField(null=True, blank=True)

    objects: ClassVar[models.Manager[OAuthAccessToken]] = models.Manager()

    class Meta(AbstractAccessToken.Meta):
        abstract = False
        indexes: ClassVar = [
            models.Index(name="access_token_of_family", fields=["family"], condition=Q(family__isnull=False))
        ]


class OAuthRefreshToken(AbstractRefreshToken):
    """django-oauth-toolkit's refresh token of the code flow."""

    objects: ClassVar[models.Manager[OAuthRefreshToken]] = models.Manager()

    class Meta(AbstractRefreshToken.Meta):
        abstract = False


class OAuthIDToken(AbstractIDToken):
    """django-oauth-toolkit's note of an ID token that our key signed."""

    objects: ClassVar[models.Manager[OAuthIDToken]] = models.Manager()

    class Meta(AbstractIDToken.Meta):
        abstract = False


class OAuthDeviceGrant(AbstractDeviceGrant):
    """django-oauth-toolkit's pending device authorization."""

    objects: ClassVar[models.Manager[OAuthDeviceGrant]] = models.Manager()

    class Meta(AbstractDeviceGrant.Meta):
        abstract = False


class ClientAlias(models.Model):
    """The client's identifier at one resource authorization server (EMA-I-10). Without a row it is the same as here."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="aliases")
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="client_aliases")
    foreign_id = models.CharField(max_length=300)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="one_alias_per_client_and_system", fields=["client", "system"]),
            models.UniqueConstraint(name="an_alias_names_one_client_at_a_system", fields=["system", "foreign_id"]),
        ]

    def __str__(self) -> str:
        return self.foreign_id
