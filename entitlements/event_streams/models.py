"""Receivers of our security events, their streams, what waits in each; and the streams of others that we poll."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from entitlements.people.models import Person


def _person() -> models.ForeignKey[Person, Person]:
    return models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)


class EventReceiver(models.Model):
    """A program that may have streams of our events: a client of its own, with a secret of which we keep the digest.

    `audience` stands in the `aud` of what is sent to it, and `push_host` is the only host, with its port if it is
    another than 443, to which events may be pushed; without one it polls. `subject_format` is how people are named.
    """

    class SubjectFormat(models.TextChoices):
        ISS_SUB = "iss_sub", "Our issuer and the login"
        EMAIL = "email", "The mail address"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=64, unique=True)
    audience = models.CharField(max_length=500)
    push_host = models.CharField(max_length=300, blank=True)
    subject_format = models.CharField(max_length=16, choices=SubjectFormat.choices)
    secret_sha256 = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=500)
    registered_by = _person()
    registered_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_receiver_that_ended_has_no_secret_and_says_why",
                condition=(Q(ended_at=None) & ~Q(secret_sha256=""))
                | (Q(ended_at__isnull=False, secret_sha256="") & ~Q(end_reason="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="event_receiver_page", fields=["-registered_at", "-id"])]

    def __str__(self) -> str:
        return self.name


class EventStream(models.Model):
    """One stream of a receiver, as the receiver configured it (Shared Signals Framework 1.0, section 8.1.1).

    `claimed_until` is how long one worker alone delivers it; `failing_since` is when the first of the deliveries was
    tried that failed in a row, and `retry_at` when the next is tried.
    """

    class Method(models.TextChoices):
        PUSH = "push", "Push"
        POLL = "poll", "Poll"

    class Status(models.TextChoices):
        ENABLED = "enabled", "Enabled"
        PAUSED = "paused", "Paused"
        DISABLED = "disabled", "Disabled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    receiver = models.ForeignKey(EventReceiver, on_delete=models.PROTECT, related_name="streams")
    method = models.CharField(max_length=8, choices=Method.choices)
    endpoint_url = models.CharField(max_length=1000, blank=True)
    sealed_authorization = models.BinaryField(null=True, blank=True)
    events_requested = models.JSONField(default=list)
    description = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ENABLED)
    status_reason = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_stream_that_is_pushed_has_an_address",
                condition=(Q(method="push") & ~Q(endpoint_url=""))
                | Q(method="poll", endpoint_url="", sealed_authorization=None),
            ),
            models.CheckConstraint(
                name="the_status_of_a_stream_is_known", condition=Q(status__in=["enabled", "paused", "disabled"])
            ),
            models.CheckConstraint(
                name="a_failing_stream_says_since_when",
                condition=Q(failures=0, failing_since=None) | Q(failures__gt=0, failing_since__isnull=False),
            ),
        ]
        indexes: ClassVar = [models.Index(name="event_stream_page", fields=["-created_at", "-id"])]

    def __str__(self) -> str:
        return str(self.pk)


class StreamEvent(models.Model):
    """One event of one stream. The same `jti` stands in a stream once, however often the audit log is read.

    `claims` are what is signed, without `iss` and `aud`. That its status changed (`goes_at_once`) is sent
    also while the stream is paused or disabled.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        TAKEN = "taken", "Taken"
        REFUSED = "refused", "Refused"

    stream = models.ForeignKey(EventStream, on_delete=models.CASCADE, related_name="stream_events")
    jti = models.CharField(max_length=64)
    type = models.CharField(max_length=200)
    claims = models.JSONField()
    goes_at_once = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    answer = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_stream_holds_an_event_once", fields=["stream", "jti"]),
            models.CheckConstraint(
                name="an_event_says_when_it_was_taken_or_refused",
                condition=Q(state="waiting", done_at=None) | Q(state__in=["taken", "refused"], done_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="stream_event_waiting", fields=["stream", "id"], condition=Q(state="waiting")),
            models.Index(name="stream_event_page", fields=["stream", "-made_at", "-id"]),
            models.Index(name="stream_event_by_age", fields=["made_at"]),
        ]

    def __str__(self) -> str:
        return self.jti


class SignalPoll(models.Model):
    """A stream of a trusted issuer that a worker polls (RFC 8936). What it brings is checked as what is pushed.

    The sealed secret is the bearer token of the endpoint, or, with a `token_url`, the secret of the client `client_id`
    there. `problem` says why the last poll failed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    issuer = models.ForeignKey("entitlements.TrustedIssuer", on_delete=models.PROTECT, related_name="signal_polls")
    endpoint_url = models.CharField(max_length=1000)
    token_url = models.CharField(max_length=1000, blank=True)
    client_id = models.CharField(max_length=255, blank=True)
    scope = models.CharField(max_length=255, blank=True)
    sealed_secret = models.BinaryField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    made_by = _person()
    made_at = models.DateTimeField()
    polled_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)
    to_answer = models.JSONField(default=dict, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="an_issuer_is_polled_at_one_address", fields=["issuer"], condition=Q(ended_at=None)
            ),
            models.CheckConstraint(
                name="a_poll_that_ended_has_no_secret_and_says_why",
                condition=Q(ended_at=None, sealed_secret__isnull=False)
                | (Q(ended_at__isnull=False, sealed_secret=None) & ~Q(end_reason="")),
            ),
            models.CheckConstraint(
                name="a_token_endpoint_knows_its_client",
                condition=Q(token_url="", client_id="", scope="") | (~Q(token_url="") & ~Q(client_id="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="signal_poll_page", fields=["-made_at", "-id"])]

    def __str__(self) -> str:
        return self.endpoint_url
