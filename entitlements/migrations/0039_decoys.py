"""Decoys, the agents that they were planted for, and their touches."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

_KINDS = [("tool", "Tool"), ("client_secret", "Client identifier and secret"), ("token", "Access token")]
_TOOL = Q(kind="tool", system__isnull=False, beside__isnull=False, definition__isnull=False, digest="", place="") & ~Q(answer="")
_CREDENTIAL = Q(kind__in=["client_secret", "token"], system=None, beside=None, definition__isnull=True, answer="") & ~Q(digest="") & ~Q(place="")


def _key(to: str, related_name: str = "+", **more: bool) -> models.ForeignKey:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name=related_name, to=to, **more)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0038_event_streams")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Decoy",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=_KINDS, max_length=16)),
                ("name", models.CharField(max_length=128)),
                ("definition", models.JSONField(blank=True, null=True)),
                ("answer", models.CharField(blank=True, max_length=500)),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("place", models.CharField(blank=True, max_length=300)),
                ("reason", models.CharField(max_length=500)),
                ("planted_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
                ("beside", _key("entitlements.tool", blank=True, null=True)),
                ("planted_by", _key(settings.AUTH_USER_MODEL)),
                ("system", _key("entitlements.system", blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["-planted_at", "-id"], name="decoy_page")],
                "constraints": [
                    models.CheckConstraint(condition=_TOOL | _CREDENTIAL, name="a_decoy_is_a_tool_or_a_credential"),
                    models.CheckConstraint(
                        condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""),
                        name="a_decoy_that_ended_says_why",
                    ),
                    models.UniqueConstraint(
                        condition=Q(ended_at=None, kind="tool"), fields=("system", "name"), name="a_decoy_in_force_has_a_name_of_its_own"
                    ),
                    models.UniqueConstraint(condition=~Q(digest=""), fields=("digest",), name="a_decoy_secret_is_one_decoy"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DecoyAgent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("agent", _key("entitlements.agent")),
                ("decoy", _key("entitlements.decoy", "planted_for")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("decoy", "agent"), name="a_decoy_is_planted_for_an_agent_once")]
            },
        ),
        migrations.AddField(
            "decoy", "agents", models.ManyToManyField(related_name="+", through="entitlements.DecoyAgent", to="entitlements.agent")
        ),
        migrations.CreateModel(
            name="DecoyTouch",
            fields=[
                ("event", models.UUIDField(primary_key=True, serialize=False)),
                ("door", models.CharField(max_length=32)),
                ("at", models.DateTimeField()),
                ("agent", _key("entitlements.agent")),
                ("decoy", _key("entitlements.decoy", "touches")),
                ("signal", _key("entitlements.risksignal", blank=True, null=True)),
            ],
            options={"indexes": [models.Index(fields=["decoy", "-at"], name="decoy_touch_page")]},
        ),
    ]
