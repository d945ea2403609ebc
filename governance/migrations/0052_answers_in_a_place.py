"""Who stands in for somebody may answer what she is asked about an item, and the row says who did. Only adds."""

import importlib
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import F, Q

DO = """
CREATE OR REPLACE FUNCTION governance_question_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    speaks bigint := CASE WHEN TG_OP = 'INSERT' THEN NEW.asked_by_id ELSE coalesce(NEW.answered_by_id, NEW.asked_of_id) END;
BEGIN
    PERFORM governance_talk_is_open(NEW.item_id);
    IF TG_OP = 'UPDATE' AND (OLD.answer <> '' OR to_jsonb(NEW) - 'answer' - 'answered_at' - 'answered_by_id'
            IS DISTINCT FROM to_jsonb(OLD) - 'answer' - 'answered_at' - 'answered_by_id') THEN
        PERFORM governance_review_refuses('a question stays as it was asked, and is answered once');
    END IF;
    IF TG_OP = 'INSERT' AND NEW.answer <> '' THEN
        PERFORM governance_review_refuses('a question is asked before it is answered');
    END IF;
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.is_active AND p.id = speaks)
            OR TG_OP = 'UPDATE' AND NOT EXISTS (SELECT FROM entitlements_person p WHERE p.is_active AND p.id = NEW.asked_of_id) THEN
        PERFORM governance_review_refuses('only an active person asks and answers');
    END IF;
    IF TG_OP = 'UPDATE' AND speaks <> NEW.asked_of_id AND NOT EXISTS (
            SELECT FROM governance_delegation g WHERE g.delegator_id = NEW.asked_of_id AND g.delegate_id = speaks
            AND g.ended_at IS NULL AND NEW.answered_at >= g.starts_at AND NEW.answered_at < g.ends_at) THEN
        PERFORM governance_review_refuses('only who is asked answers, or who stands in for her');
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.asked_by_id = ANY (governance_accounts_of(ARRAY[speaks])) THEN
        PERFORM governance_review_refuses('nobody answers what they asked');
    END IF;
    RETURN NEW;
END $$;
"""  # noqa: E501 - the SQL is read as one piece
_BEFORE = importlib.import_module("governance.migrations.0048_questions_about_items").DO
UNDO = _BEFORE[: _BEFORE.index("CREATE TRIGGER")].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    """One column, a check and what a trigger calls."""

    dependencies: ClassVar = [("governance", "0051_times_are_forgotten")]
    operations: ClassVar = [
        migrations.AddField(
            "reviewquestion",
            "answered_by",
            models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        AddConstraintNotValid(
            "reviewquestion",
            models.CheckConstraint(
                condition=Q(answered_by=None) | (~Q(answer="") & ~Q(answered_by=F("asked_by"))),
                name="nobody_answers_what_they_asked_or_what_is_not_answered",
            ),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
