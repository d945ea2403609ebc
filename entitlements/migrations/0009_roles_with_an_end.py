"""Roles in Mandate may end, and an auditor's must: those that exist get 30 days, as those given without an end.

The trigger is for the release before this one, which knows of no end, while both serve.
"""

from datetime import timedelta

from django.db import migrations, models
from django.db.models import F, Q

import audit.clock

GIVE_AN_END = """
CREATE FUNCTION entitlements_an_auditor_for_a_while() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.role = 'auditor' AND NEW.expires_at IS NULL THEN
        NEW.expires_at := NEW.created_at + interval '30 days';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_auditor_for_a_while BEFORE INSERT ON entitlements_roleassignment
    FOR EACH ROW EXECUTE FUNCTION entitlements_an_auditor_for_a_while();
UPDATE entitlements_roleassignment SET created_at = now(), expires_at = now() + interval '30 days'
    WHERE role = 'auditor' AND expires_at IS NULL;
"""
TAKE_IT_BACK = """
DROP TRIGGER an_auditor_for_a_while ON entitlements_roleassignment;
DROP FUNCTION entitlements_an_auditor_for_a_while();
"""


class Migration(migrations.Migration):
    dependencies = [("entitlements", "0011_agents_seen_elsewhere")]

    operations = [
        migrations.AddField("roleassignment", "expires_at", models.DateTimeField(null=True, blank=True)),
        migrations.AlterField("roleassignment", "created_at", models.DateTimeField(default=audit.clock.now)),
        migrations.RunSQL(GIVE_AN_END, TAKE_IT_BACK),
        migrations.AddConstraint(
            "roleassignment",
            models.CheckConstraint(
                name="an_auditor_is_one_for_a_while",
                condition=~Q(role="auditor")
                | Q(expires_at__isnull=False, expires_at__lte=F("created_at") + timedelta(days=400)),
            ),
        ),
    ]
