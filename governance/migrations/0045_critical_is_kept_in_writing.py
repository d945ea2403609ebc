"""What is of critical risk is kept with a reason in somebody's own words. Only adds.

The release before is refused such an answer without a comment, and says so, until it is replaced.
"""

from typing import ClassVar

from django.db import migrations

DO = """
CREATE FUNCTION governance_critical_is_kept_in_writing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.verb = 'certify' AND length(regexp_replace(NEW.comment, '\\s', '', 'g')) < 10
            AND EXISTS (SELECT FROM governance_reviewitem i WHERE i.id = NEW.item_id AND i.risk = 'critical') THEN
        PERFORM governance_review_refuses('keeping what is of critical risk needs a written reason');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER what_is_critical_is_kept_in_writing AFTER INSERT ON governance_reviewdecision
FOR EACH ROW EXECUTE FUNCTION governance_critical_is_kept_in_writing();
"""
UNDO = """
DROP TRIGGER what_is_critical_is_kept_in_writing ON governance_reviewdecision;
DROP FUNCTION governance_critical_is_kept_in_writing();
"""


class Migration(migrations.Migration):
    """One trigger."""

    dependencies: ClassVar = [("governance", "0044_comments_on_items")]
    operations: ClassVar = [migrations.RunSQL(DO, UNDO)]
