"""Sealed evidence: kept as it was handed out, only of a closed campaign, and signed off by nobody who answered in it."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

DO = """
CREATE TRIGGER a_pack_is_never_changed BEFORE UPDATE OR DELETE ON governance_evidencepack
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();

CREATE FUNCTION governance_pack_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM governance_campaign c WHERE c.id = NEW.campaign_id AND c.state = 'closed') THEN
        PERFORM governance_review_refuses('evidence is sealed once the campaign is closed');
    END IF;
    IF EXISTS (SELECT FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
               JOIN governance_reviewitem i ON i.id = d.item_id
               WHERE i.campaign_id = NEW.campaign_id AND r.state NOT IN ('verified', 'excepted', 'withdrawn')) THEN
        PERFORM governance_review_refuses('evidence is sealed once every removal is proven or excepted');
    END IF;
    IF EXISTS (SELECT FROM governance_assignment a JOIN governance_reviewitem i ON i.id = a.item_id
               WHERE i.campaign_id = NEW.campaign_id AND a.reviewer_id = NEW.signed_off_by_id) THEN
        PERFORM governance_review_refuses('who was to answer in a campaign does not sign it off');
    END IF;
    IF EXISTS (SELECT FROM jsonb_each_text(NEW.tie_out) AS t(name, difference) WHERE difference <> '0') THEN
        PERFORM governance_review_refuses('evidence is sealed once it adds up');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_pack_is_sealed_by_the_rules BEFORE INSERT ON governance_evidencepack
FOR EACH ROW EXECUTE FUNCTION governance_pack_is_allowed();
"""
UNDO = """
DROP TRIGGER a_pack_is_sealed_by_the_rules ON governance_evidencepack;
DROP TRIGGER a_pack_is_never_changed ON governance_evidencepack;
DROP FUNCTION governance_pack_is_allowed();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0019_requests_are_edited_questioned_and_appealed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="EvidencePack",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="pack",
                        serialize=False,
                        to="governance.campaign",
                    ),
                ),
                ("sealed_at", models.DateTimeField()),
                ("statement", models.TextField(max_length=2000)),
                (
                    "amr",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), default=list, size=None
                    ),
                ),
                ("key_id", models.CharField(max_length=64)),
                ("sha256", models.CharField(max_length=64)),
                ("files", models.JSONField()),
                ("tie_out", models.JSONField()),
                ("content", models.BinaryField()),
                (
                    "signed_off_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=~models.Q(statement=""), name="a_pack_says_what_is_signed_off"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(sha256__regex="^[0-9a-f]{64}$"), name="a_pack_has_its_digest"
                    ),
                ]
            },
        ),
        migrations.RunSQL(DO, UNDO),
    ]
