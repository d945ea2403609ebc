"""What is said about an item of a review: kept as it was said, by whoever is active, until its evidence is sealed."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

DO = """
CREATE FUNCTION governance_talk_is_open(asked uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    -- Shared, so that whoever signs off or seals either waits for this, or is seen by it.
    SELECT c.id, c.state INTO held FROM governance_campaign c JOIN governance_reviewitem i ON i.campaign_id = c.id
    WHERE i.id = asked FOR SHARE OF c;
    IF held.state NOT IN ('active', 'paused', 'closing', 'closed') THEN
        PERFORM governance_review_refuses('an item is talked about once its campaign has begun');
    END IF;
    IF EXISTS (SELECT FROM governance_evidencepack p WHERE p.campaign_id = held.id)
    OR EXISTS (SELECT FROM governance_evidencesealing s WHERE s.campaign_id = held.id AND s.refused = '') THEN
        PERFORM governance_review_refuses('what is sealed stays as it is');
    END IF;
END $$;

CREATE FUNCTION governance_comment_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_talk_is_open(NEW.item_id);
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = NEW.by_id AND p.is_active) THEN
        PERFORM governance_review_refuses('only an active person comments');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_comment_is_made_by_the_rules BEFORE INSERT ON governance_reviewcomment
FOR EACH ROW EXECUTE FUNCTION governance_comment_is_allowed();
CREATE TRIGGER a_comment_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewcomment
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
"""
UNDO = """
DROP TRIGGER a_comment_is_never_changed ON governance_reviewcomment;
DROP TRIGGER a_comment_is_made_by_the_rules ON governance_reviewcomment;
DROP FUNCTION governance_comment_is_allowed();
DROP FUNCTION governance_talk_is_open(uuid);
"""


class Migration(migrations.Migration):
    """One table and its triggers."""

    dependencies: ClassVar = [
        ("governance", "0041_figures"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="ReviewComment",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("text", models.CharField(max_length=2000)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comments",
                        to="governance.reviewitem",
                    ),
                ),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=~Q(text=""), name="a_comment_says_something")],
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
