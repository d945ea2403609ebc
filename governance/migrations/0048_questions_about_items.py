"""What a reviewer asks somebody about an item: it stays, and is answered once, until its evidence is sealed."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

DO = """
CREATE FUNCTION governance_question_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_talk_is_open(NEW.item_id);
    IF TG_OP = 'UPDATE' AND (OLD.answer <> '' OR to_jsonb(NEW) - 'answer' - 'answered_at'
            IS DISTINCT FROM to_jsonb(OLD) - 'answer' - 'answered_at') THEN
        PERFORM governance_review_refuses('a question stays as it was asked, and is answered once');
    END IF;
    IF TG_OP = 'INSERT' AND NEW.answer <> '' THEN
        PERFORM governance_review_refuses('a question is asked before it is answered');
    END IF;
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.is_active
            AND p.id = CASE WHEN TG_OP = 'INSERT' THEN NEW.asked_by_id ELSE NEW.asked_of_id END) THEN
        PERFORM governance_review_refuses('only an active person asks and answers');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_question_is_asked_and_answered_by_the_rules BEFORE INSERT OR UPDATE ON governance_reviewquestion
FOR EACH ROW EXECUTE FUNCTION governance_question_is_allowed();
CREATE TRIGGER a_question_is_never_deleted BEFORE DELETE ON governance_reviewquestion
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
"""
UNDO = """
DROP TRIGGER a_question_is_never_deleted ON governance_reviewquestion;
DROP TRIGGER a_question_is_asked_and_answered_by_the_rules ON governance_reviewquestion;
DROP FUNCTION governance_question_is_allowed();
"""


def _person(**more: object) -> models.ForeignKey:
    kept = {"on_delete": django.db.models.deletion.PROTECT, "related_name": "+", "to": settings.AUTH_USER_MODEL}
    return models.ForeignKey(**{**kept, **more})


class Migration(migrations.Migration):
    """One table and its triggers."""

    dependencies: ClassVar = [
        ("governance", "0047_credentials_of_systems"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="ReviewQuestion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("asked_by", _person(db_index=False)),
                ("text", models.CharField(max_length=2000)),
                ("asked_at", models.DateTimeField()),
                ("answer", models.CharField(blank=True, max_length=2000)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("asked_of", _person(related_name="review_questions")),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="governance.reviewitem",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        name="a_question_about_an_item_says_something_and_is_answered_whole",
                        condition=~Q(text="")
                        & (Q(answer="", answered_at=None) | (~Q(answer="") & Q(answered_at__isnull=False))),
                    ),
                    models.CheckConstraint(name="nobody_asks_themselves", condition=~Q(asked_by=F("asked_of"))),
                ],
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
