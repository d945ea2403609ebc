"""Agents have a time before they are in use and, where ephemeral, an end; clients one when nobody uses them.

The trigger is for the release before this one, which knows of no end, while both serve.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now

KINDS = [("personal", "Personal"), ("shared", "Shared"), ("service", "Service"), ("ephemeral", "Ephemeral")]
SOURCES = [
    ("ci", "A build"),
    ("cimd", "Its client's metadata document"),
    ("manual", "A person"),
    ("unknown", "Not known"),
]
IDLE = [
    ("hidden", "Unused and hidden"),
    ("closed", "Unused and closed"),
    ("deleted", "Unused and put away for good"),
]

ENDS = """
CREATE FUNCTION entitlements_an_ephemeral_agent_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'ephemeral' AND NEW.ends_at IS NULL THEN
        NEW.ends_at := NEW.created_at + interval '24 hours';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_ephemeral_agent_ends BEFORE INSERT ON entitlements_agent
    FOR EACH ROW EXECUTE FUNCTION entitlements_an_ephemeral_agent_ends();
-- Those that exist were promised no end, so their sponsors get time to register another kind.
UPDATE entitlements_agent SET ends_at = now() + interval '30 days' WHERE kind = 'ephemeral' AND ends_at IS NULL;
UPDATE entitlements_agent SET activated_at = NULL WHERE status = 'staged';

CREATE FUNCTION entitlements_retired_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'agent % is retired for good', OLD.slug USING ERRCODE = 'check_violation', CONSTRAINT = 'retired_is_final';
END $$;
CREATE TRIGGER retired_is_final BEFORE UPDATE ON entitlements_agent
    FOR EACH ROW WHEN (OLD.status = 'retired' AND NEW.status <> 'retired')
    EXECUTE FUNCTION entitlements_retired_is_final();
"""
ENDS_BACK = """
DROP TRIGGER retired_is_final ON entitlements_agent;
DROP FUNCTION entitlements_retired_is_final();
DROP TRIGGER an_ephemeral_agent_ends ON entitlements_agent;
DROP FUNCTION entitlements_an_ephemeral_agent_ends();
"""


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0013_pages_of_large_lists")]

    operations = [
        migrations.AddField(
            "agent", "activated_at", models.DateTimeField(null=True, blank=True, db_default=Now())
        ),
        migrations.AddField("agent", "ends_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField(
            "client", "idle", models.CharField(max_length=16, choices=IDLE, blank=True, default="", db_default="")
        ),
        migrations.AddField("client", "idle_since", models.DateTimeField(null=True, blank=True)),
        migrations.RunSQL(ENDS, ENDS_BACK),
        migrations.AddConstraint(
            "agent",
            models.CheckConstraint(
                name="an_ephemeral_agent_has_an_end_and_no_other",
                condition=Q(kind="ephemeral", ends_at__isnull=False) | (~Q(kind="ephemeral") & Q(ends_at=None)),
            ),
        ),
        migrations.AddConstraint(
            "agent",
            models.CheckConstraint(
                name="an_agent_in_use_was_put_into_use", condition=~Q(status="active") | Q(activated_at__isnull=False)
            ),
        ),
        migrations.AddConstraint(
            "client",
            models.CheckConstraint(
                name="an_unused_client_that_is_closed_is_disabled",
                condition=Q(idle__in=["", "hidden"]) | Q(idle__in=["closed", "deleted"], status="disabled"),
            ),
        ),
        migrations.CreateModel(
            "KindRule",
            [
                ("kind", models.CharField(primary_key=True, max_length=16, choices=KINDS, serialize=False)),
                ("allowed", models.BooleanField()),
                ("reason", models.CharField(max_length=500)),
                ("changed_by", models.CharField(max_length=200)),
                ("changed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            "AgentVersion",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("model", models.CharField(max_length=200)),
                ("prompt_sha256", models.CharField(max_length=64, blank=True)),
                ("client_metadata_sha256", models.CharField(max_length=64, blank=True)),
                ("source", models.CharField(max_length=16, choices=SOURCES)),
                ("reported_at", models.DateTimeField()),
                ("reported_by", models.CharField(max_length=200)),
                (
                    "agent",
                    models.ForeignKey(
                        to="entitlements.agent", on_delete=django.db.models.deletion.PROTECT, related_name="versions"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="agent_version_is_of_a_known_source",
                        condition=Q(source__in=["ci", "cimd", "manual", "unknown"]),
                    )
                ],
                "indexes": [models.Index(fields=["agent", "-reported_at", "-id"], name="version_of_agent")],
            },
        ),
    ]
