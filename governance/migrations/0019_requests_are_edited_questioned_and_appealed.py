"""What an approver asks back, what an appeal appeals, why something was denied, and answers that an edit makes void."""

# ruff: noqa: E501 - the SQL is that of the function as it is, with another condition

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

ONCE = "OLD.answer <> ''waiting'' AND NEW.answer <> OLD.answer THEN"
UNLESS_EDITED = (
    "OLD.answer <> ''waiting'' AND NEW.answer <> OLD.answer AND NOT (OLD.answer = ''approved'' AND NEW.answer = ''void''"
    " AND NEW.by_id IS NULL AND EXISTS (SELECT 1 FROM governance_accessrequest r"
    " WHERE r.id = NEW.request_id AND r.state = ''in_approval'')) THEN"
)
REPLACE = """
DO $do$ BEGIN
    EXECUTE replace(pg_get_functiondef('governance_answer_is_independent'::regproc), '%s', '%s');
END $do$;
"""

APPEALS = """
CREATE FUNCTION governance_appeal_is_answered_by_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM governance_accessrequest r JOIN governance_approval p ON p.request_id = r.appeals_id
                WHERE r.id = NEW.request_id
                  AND (p.by_id IN (NEW.by_id, NEW.in_place_of_id) OR p.in_place_of_id IN (NEW.by_id, NEW.in_place_of_id))) THEN
        RAISE EXCEPTION 'nobody answers the appeal of what they answered' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER an_appeal_is_answered_by_others BEFORE INSERT OR UPDATE ON governance_approval
FOR EACH ROW WHEN (NEW.by_id IS NOT NULL) EXECUTE FUNCTION governance_appeal_is_answered_by_others();
"""
NO_APPEALS = """
DROP TRIGGER an_appeal_is_answered_by_others ON governance_approval;
DROP FUNCTION governance_appeal_is_answered_by_others();
"""


class Migration(migrations.Migration):
    """One table, two columns, and the triggers that read them."""

    dependencies: ClassVar = [
        ("governance", "0026_requests_by_state"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="RequestQuestion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("text", models.CharField(max_length=2000)),
                ("asked_at", models.DateTimeField()),
                ("answered_as", models.CharField(blank=True, max_length=120)),
                ("answer", models.CharField(blank=True, max_length=2000)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="governance.accessrequest",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=~Q(text=""), name="a_question_says_something"),
                    models.CheckConstraint(
                        condition=Q(answer="", answered_as="", answered_at=None)
                        | (~Q(answer="") & ~Q(answered_as="") & Q(answered_at__isnull=False)),
                        name="an_answer_to_a_question_says_what_by_whom_and_when",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="accessrequest",
            name="appeals",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="appealed_by",
                to="governance.accessrequest",
            ),
        ),
        migrations.AddField(
            model_name="approval",
            name="denied_as",
            field=models.CharField(
                blank=True,
                choices=[
                    ("not_needed", "Not needed"),
                    ("too_much", "Too much at once"),
                    ("too_long", "For too long"),
                    ("wrong_people", "For the wrong people"),
                    ("too_risky", "Too risky"),
                    ("unclear", "Unclear what for"),
                ],
                db_default="",
                max_length=16,
            ),
        ),
        migrations.RunSQL(REPLACE % (ONCE, UNLESS_EDITED), REPLACE % (UNLESS_EDITED, ONCE)),
        migrations.RunSQL(APPEALS, NO_APPEALS),
    ]
