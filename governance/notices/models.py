"""Notices to people, and the mail that carries them. The inbox is the truth; mail only points there."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Kind(models.TextChoices):
    """The kinds of notices; people choose by kind what they are mailed."""

    REQUEST_WAITING = "request_waiting", "A request waits for me"
    REQUEST_DECIDED = "request_decided", "A request of mine was answered or narrowed"
    GRANT_ENDING = "grant_ending", "Access is about to end"
    GRANT_REVOKED = "grant_revoked", "Access was taken back"
    AGENT_STOPPED = "agent_stopped", "An agent of mine was stopped"
    TOOL_QUARANTINED = "tool_quarantined", "A tool changed and was stopped"
    OFFICE_PROPOSED = "office_proposed", "I am asked to answer for an agent"
    CREDENTIAL = "credential", "A credential of an agent of mine waits or changed"
    DELEGATED = "delegated", "A person answers in another's place"
    EMERGENCY = "emergency", "Access was given in an emergency"
    REVIEW_WAITING = "review_waiting", "A review waits for me"
    CHANGE_WAITING = "change_waiting", "A change waits for a second person"
    POSTURE_REPORT = "posture_report", "A posture report is ready"
    RISK = "risk", "A sign that an agent or person is compromised"
    SETUP_LOST = "setup_lost", "Part of the set-up no longer works"


class Outgoing(models.Model):
    """The columns of what is tried until the other side takes it, or given up (`governance/mail/outbox.py`)."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    answer = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def links(self) -> list[str]:
        """Return the links by which the audit log names it."""
        raise NotImplementedError


def outgoing_constraints(noun: str) -> list[models.BaseConstraint]:
    """Return what the database refuses of such rows; `noun` is their name in the sentences."""
    return [
        models.CheckConstraint(
            name=f"a_{noun}_says_when_exactly_if_it_was_sent",
            condition=Q(state="sent", sent_at__isnull=False) | (~Q(state="sent") & Q(sent_at=None)),
        ),
        models.CheckConstraint(name=f"{noun}_state_is_known", condition=Q(state__in=["waiting", "sent", "dead"])),
    ]


def outgoing_indexes(noun: str) -> list[models.Index]:
    """Return the indexes of what is due, and of the list."""
    return [
        models.Index(name=f"{noun}_due", fields=["next_at"], condition=Q(state="waiting")),
        models.Index(name=f"{noun}_page", fields=["-made_at", "-id"]),
    ]


class Delivery(Outgoing):
    """One mail or chat message to a person.

    A mail carries the notices that name it; a chat message carries its own `notice`, or is a test without one.
    """

    class Channel(models.TextChoices):
        URGENT = "urgent", "Mail at once"
        DIGEST = "digest", "Mail of the day"
        SLACK = "slack", "Slack"
        TEAMS = "teams", "Microsoft Teams"

    channel = models.CharField(max_length=16, choices=Channel.choices)
    dedupe = models.CharField(max_length=200, unique=True)
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="deliveries")
    notice = models.ForeignKey(
        "governance.Notice", null=True, blank=True, on_delete=models.PROTECT, related_name="chat_deliveries"
    )

    class Meta:
        constraints: ClassVar = outgoing_constraints("delivery")
        indexes: ClassVar = outgoing_indexes("delivery")

    def __str__(self) -> str:
        return self.dedupe

    def links(self) -> list[str]:
        """Return the links by which the audit log names it."""
        return [f"delivery:{self.pk}", f"person:{self.person.login}"]


class Notice(models.Model):
    """One notice to one person, with the page to open. `dedupe` keeps the same notice from being stored twice."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    about = models.CharField(max_length=200)
    sentence = models.CharField(max_length=500)
    url = models.CharField(max_length=300)
    urgent = models.BooleanField(default=False)
    dedupe = models.CharField(max_length=200)
    made_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    delivery = models.ForeignKey(Delivery, null=True, blank=True, on_delete=models.PROTECT, related_name="notices")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_person_is_told_the_same_once", fields=["person", "dedupe"]),
            models.CheckConstraint(name="a_notice_says_something", condition=~Q(sentence="")),
            models.CheckConstraint(
                name="a_notice_leads_to_a_page_of_ours",
                condition=Q(url__startswith="/") & ~Q(url__startswith="//"),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="notice_page", fields=["person", "-made_at", "-id"]),
            models.Index(name="notice_unread", fields=["person"], condition=Q(read_at=None)),
            models.Index(name="notice_undigested", fields=["made_at"], condition=Q(delivery=None, read_at=None)),
        ]

    def __str__(self) -> str:
        return self.sentence


class NoticeSettings(models.Model):
    """When and about what one person is mailed; a person without a row has the defaults of the fields.

    `not_mailed` lists kinds; kinds about safety are mailed all the same. `chat_off` lists the chat services in which
    the person wants no messages. `bad_address` is an address that a mail server rejected as unknown: nothing is mailed
    while it is still the person's address.
    """

    person = models.OneToOneField(
        "entitlements.Person", primary_key=True, on_delete=models.PROTECT, related_name="notice_settings"
    )
    time_zone = models.CharField(max_length=64, default="UTC")
    digest_hour = models.PositiveSmallIntegerField(default=8)
    quiet_from = models.PositiveSmallIntegerField(null=True, blank=True)
    quiet_until = models.PositiveSmallIntegerField(null=True, blank=True)
    not_mailed = models.JSONField(default=list)
    chat_off = models.JSONField(default=list, db_default=[])
    bad_address = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="the_hour_of_the_digest_is_one", condition=Q(digest_hour__lte=23)),
            models.CheckConstraint(
                name="quiet_hours_have_a_beginning_and_an_end",
                condition=Q(quiet_from=None, quiet_until=None) | Q(quiet_from__lte=23, quiet_until__lte=23),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.time_zone}"
