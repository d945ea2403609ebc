"""What was asked stays beside what is left of it; nothing is approved while a stage waits."""

from datetime import timedelta
from typing import ClassVar

from django.db import migrations, models

DO = """
CREATE OR REPLACE FUNCTION governance_request_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'requests are never deleted' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state <> 'in_approval' AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'a decided request stays decided' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state = 'approved' AND OLD.state <> 'approved' AND (
        EXISTS (SELECT 1 FROM governance_approval a WHERE a.request_id = NEW.id AND a.answer IN ('waiting', 'denied'))
        OR NOT EXISTS (SELECT 1 FROM governance_approval a WHERE a.request_id = NEW.id AND a.answer = 'approved')) THEN
        RAISE EXCEPTION 'a request is approved when every stage has answered' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""

UNDO = """
CREATE OR REPLACE FUNCTION governance_request_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'requests are never deleted' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state <> 'in_approval' AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'a decided request stays decided' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("governance", "0002_nobody_approves_their_own")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="accessrequest",
            name="asked_lasts",
            field=models.DurationField(default=timedelta(days=90)),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(condition=models.Q(("state", "in_approval")), fields=["answer_by"], name="request_due"),
        ),
        migrations.AddConstraint(
            model_name="accessrequest",
            constraint=models.CheckConstraint(
                name="request_is_only_ever_shortened",
                condition=models.Q(("lasts__gt", timedelta(0)), ("lasts__lte", models.F("asked_lasts"))),
            ),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
