"""Risk signals, what people decide about them, how each kind is answered, and security events of trusted issuers."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Now

_LEVELS = ["low", "medium", "high"]
_LOW = {"db_default": "low", "default": "low", "max_length": 16}
_SECOND = Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))
_STATES = [("proposed", "Proposed"), ("in_force", "In force"), ("replaced", "Replaced"), ("withdrawn", "Withdrawn")]
_OUTCOMES = [("noted", "Noted"), ("observed", "Would have been done"), ("done", "Done"), ("nothing", "There was nothing to do")]
_FOLLOWED = [
    ("signalled", "Signalled"),
    ("subject_unknown", "Its subject is not known here"),
    ("verified", "It verified the stream"),
    ("failed", "It could not be followed"),
]
_PURPOSES = [("identity", "People's ID tokens"), ("id_jag", "ID-JAGs"), ("workload", "Workload identity"), ("signals", "Security events")]


def _of(to: str, **more: object) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=to, **more)


def _about(to: str) -> models.ForeignKey:
    return _of(to, blank=True, null=True, related_name="risk_signals")


def _person(*, null: bool = True) -> models.ForeignKey:
    return _of(settings.AUTH_USER_MODEL, blank=null, null=null, db_index=False, related_name="+")


def _text(length: int, **more: object) -> models.CharField:
    return models.CharField(max_length=length, **more)


_ALTER = """
ALTER TABLE entitlements_trustedissuer ADD COLUMN sends_signals boolean DEFAULT false NOT NULL,
    ADD COLUMN signal_audience varchar(500) DEFAULT '' NOT NULL, ADD COLUMN signal_events jsonb DEFAULT '[]' NOT NULL;
ALTER TABLE entitlements_agent ADD COLUMN risk_level varchar(16) DEFAULT 'low' NOT NULL,
    ADD COLUMN sign_in_required_after timestamptz NULL;
ALTER TABLE entitlements_person ADD COLUMN risk_level varchar(16) DEFAULT 'low' NOT NULL,
    ADD COLUMN sign_in_required_after timestamptz NULL;
"""
"""Last, and one statement for each table: nodes read these meanwhile."""


class Migration(migrations.Migration):
    """Add four tables, and columns with a default."""

    dependencies: ClassVar = [("entitlements", "0034_guardrails")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="RiskSignal",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", _text(32)),
                ("level", _text(16)),
                ("subject_level", _text(16)),
                ("source", _text(320)),
                ("reason", _text(500)),
                ("at", models.DateTimeField()),
                ("noted_at", models.DateTimeField()),
                ("response", _text(16)),
                ("mode", _text(16)),
                ("outcome", _text(16, choices=_OUTCOMES)),
                ("reference", _text(200, unique=True)),
                ("agent", _about("entitlements.agent")),
                ("person", _about(settings.AUTH_USER_MODEL)),
                ("session", _about("entitlements.session")),
            ],
            options={
                "indexes": [models.Index(fields=["-noted_at", "-id"], name="risk_signal_page")],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(agent__isnull=False, person=None, session=None)
                        | Q(agent=None, person__isnull=False, session=None)
                        | Q(agent=None, person=None, session__isnull=False),
                        name="a_risk_signal_is_about_one_subject",
                    ),
                    models.CheckConstraint(
                        condition=Q(level__in=_LEVELS, subject_level__in=_LEVELS) & ~Q(reason=""), name="a_risk_signal_has_a_level_and_a_reason"
                    ),
                    models.CheckConstraint(
                        condition=Q(outcome__in=["noted", "nothing"]) | Q(outcome="observed", mode="observe") | Q(outcome="done", mode="enforce"),
                        name="a_response_is_observed_or_done",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RiskDecision",
            fields=[
                (
                    "signal",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name="decision", serialize=False, to="entitlements.risksignal"
                    ),
                ),
                ("verdict", _text(16)),
                ("reason", _text(500)),
                ("at", models.DateTimeField()),
                ("subject_level", _text(16)),
                ("by", _person(null=False)),
            ],
            options={"constraints": [models.CheckConstraint(condition=~Q(reason="") & Q(subject_level__in=_LEVELS), name="a_risk_decision_says_why")]},
        ),
        migrations.CreateModel(
            name="SignalResponse",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", _text(32)),
                ("response", _text(16)),
                ("mode", _text(16)),
                ("reason", _text(500)),
                ("state", _text(16, choices=_STATES, default="proposed")),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", _text(500, blank=True)),
                ("proposed_by", _person(null=False)),
                ("confirmed_by", _person()),
            ],
            options={
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="signal_response_page")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(state__in=["proposed", "in_force"]), fields=["kind", "state"], name="a_signal_response_is_proposed_once_and_in_force_once"
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=["proposed", "withdrawn"], confirmed_by=None) | (Q(state__in=["in_force", "replaced"]) & _SECOND),
                        name="a_second_person_confirms_a_signal_response",
                    ),
                    models.CheckConstraint(
                        condition=(Q(state__in=["proposed", "in_force"], ended_at=None) & ~Q(reason=""))
                        | (Q(state__in=["replaced", "withdrawn"], ended_at__isnull=False) & ~Q(end_reason="")),
                        name="a_signal_response_that_is_over_says_when_and_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SecurityEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("jti", _text(255)),
                ("claims", models.JSONField()),
                ("received_at", models.DateTimeField(db_default=Now())),
                ("followed_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", _text(16, blank=True, choices=_FOLLOWED)),
                ("issuer", _of("entitlements.trustedissuer", related_name="security_events")),
            ],
            options={
                "indexes": [
                    models.Index(condition=Q(followed_at=None), fields=["id"], name="security_event_to_follow"),
                    models.Index(fields=["received_at"], name="security_event_by_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("issuer", "jti"), name="a_security_event_is_taken_once"),
                    models.CheckConstraint(
                        condition=Q(followed_at=None, outcome="") | (Q(followed_at__isnull=False) & ~Q(outcome="")),
                        name="a_followed_security_event_says_what_became_of_it",
                    ),
                ],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ALTER)],
            state_operations=[
                migrations.AddField("trustedissuer", "sends_signals", models.BooleanField(db_default=False, default=False)),
                migrations.AddField("trustedissuer", "signal_audience", _text(500, blank=True, db_default="", default="")),
                migrations.AddField("trustedissuer", "signal_events", models.JSONField(blank=True, db_default=[], default=list)),
                migrations.AlterField("trustedissuer", "purpose", _text(16, choices=_PURPOSES)),
                *(migrations.AddField(row, "risk_level", models.CharField(**_LOW)) for row in ("agent", "person")),
                *(migrations.AddField(row, "sign_in_required_after", models.DateTimeField(blank=True, null=True)) for row in ("agent", "person")),
            ],
        ),
    ]
