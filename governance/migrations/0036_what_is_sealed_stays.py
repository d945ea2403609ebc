"""Once the evidence of a campaign is sealed, its items and who was asked stay as the pack has them."""

from typing import ClassVar

from django.db import migrations

DO = """
CREATE FUNCTION governance_sealed_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    campaign uuid;
BEGIN
    IF TG_TABLE_NAME = 'governance_reviewitem' THEN
        campaign := OLD.campaign_id;
    ELSE
        SELECT i.campaign_id INTO campaign FROM governance_reviewitem i
        WHERE i.id = (to_jsonb(OLD) ->> 'item_id')::uuid;
    END IF;
    IF EXISTS (SELECT FROM governance_evidencepack p WHERE p.campaign_id = campaign) THEN
        PERFORM governance_review_refuses('what is sealed stays as it is');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_sealed_item_stays BEFORE UPDATE ON governance_reviewitem
FOR EACH ROW EXECUTE FUNCTION governance_sealed_stays();
CREATE TRIGGER a_sealed_assignment_stays BEFORE UPDATE ON governance_assignment
FOR EACH ROW EXECUTE FUNCTION governance_sealed_stays();
"""
UNDO = """
DROP TRIGGER a_sealed_assignment_stays ON governance_assignment;
DROP TRIGGER a_sealed_item_stays ON governance_reviewitem;
DROP FUNCTION governance_sealed_stays();
"""


class Migration(migrations.Migration):
    """Two triggers."""

    dependencies: ClassVar = [("governance", "0035_an_auditors_work")]
    operations: ClassVar = [migrations.RunSQL(DO, UNDO)]
