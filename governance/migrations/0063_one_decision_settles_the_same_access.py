"""An open item may be settled by a decision of another review about the same access, and opens again with it.

Only adds: what the release before writes is refused nowhere, since it settles nothing while a review is under way.
"""

# ruff: noqa: E501 - the SQL is read as one piece

from importlib import import_module
from typing import ClassVar

from django.db import migrations, models

_ALL = import_module("governance.migrations.0039_who_answers_by_risk").DO
BEFORE = _ALL[_ALL.index("CREATE OR REPLACE FUNCTION governance_item_goes_its_way") :]
_KEEPS = """
    IF OLD.state <> 'in_review' AND NEW.state <> OLD.state AND NOT (OLD.state = 'decided' AND NEW.state = 'in_review'
            AND EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = OLD.current_decision_id)) THEN
"""
_OPENS = """
    IF OLD.state <> 'in_review' AND NEW.state <> OLD.state AND NOT (OLD.state = 'decided' AND NEW.state = 'in_review'
            AND EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = OLD.current_decision_id))
    AND NOT (OLD.state = 'carried_forward' AND NEW.state = 'in_review'
            AND NOT EXISTS (SELECT FROM governance_reviewitem o WHERE o.current_decision_id = OLD.carried_from_id)) THEN
"""
_END = "    RETURN NEW;\nEND $$;"
_CARRIED = """    RETURN NEW;
END $$;

CREATE FUNCTION governance_item_is_settled_by_the_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here record;
    given record;
    said text;
BEGIN
    SELECT c.state, c.framework INTO here FROM governance_campaign c WHERE c.id = NEW.campaign_id;
    IF here.framework = 'sox' THEN
        PERFORM governance_review_refuses('a review under SOX takes no decision from another review');
    END IF;
    IF here.state NOT IN ('active', 'paused', 'closing', 'closed') THEN
        RETURN NEW; -- what is staged carries answers of reviews that are over
    END IF;
    SELECT d.verb, d.decided_by_id, a.reviewer_id, c.kind INTO given
    FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
    JOIN governance_reviewitem o ON o.current_decision_id = d.id JOIN governance_campaign c ON c.id = o.campaign_id
    WHERE d.id = NEW.carried_from_id AND o.campaign_id <> NEW.campaign_id AND o.subject_kind = 'access'
      AND NEW.subject_kind = 'access' AND o.agent_id = NEW.agent_id AND o.system_id = NEW.system_id;
    IF here.state <> 'active' OR given IS NULL THEN
        PERFORM governance_review_refuses('an item under way is settled by a decision that stands about the same access');
    END IF;
    IF given.verb <> 'revoke' AND given.kind = 'micro'
            AND governance_item_stages(NEW.holder_first, NEW.risk, NEW.campaign_id) > 1 THEN
        PERFORM governance_review_refuses('an event-triggered review settles nothing that two people answer');
    END IF;
    said := coalesce(governance_review_conflict(NEW.id, given.decided_by_id),
                     nullif(governance_review_conflict(NEW.id, given.reviewer_id), 'only an active person decides'));
    IF said IS NOT NULL THEN
        PERFORM governance_review_refuses(said);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER an_item_is_settled_by_the_rules BEFORE UPDATE ON governance_reviewitem
FOR EACH ROW WHEN (NEW.carried_from_id IS NOT NULL AND NEW.carried_from_id IS DISTINCT FROM OLD.carried_from_id)
EXECUTE FUNCTION governance_item_is_settled_by_the_rules();
"""
DO = BEFORE.replace(_KEEPS, _OPENS)
DO = DO[: DO.rindex(_END)] + _CARRIED
UNDO = (
    "DROP TRIGGER an_item_is_settled_by_the_rules ON governance_reviewitem;\n"
    "DROP FUNCTION governance_item_is_settled_by_the_rules();\n" + BEFORE
)
_STATES = [
    ("in_review", "Open"),
    ("decided", "Decided"),
    ("no_response", "Not answered"),
    ("superseded", "Ended meanwhile"),
    ("excluded", "Left out"),
    ("carried_forward", "Decided in another review"),
]


class Migration(migrations.Migration):
    """One function that triggers call is replaced, one trigger is added, and a state is named anew."""

    dependencies: ClassVar = [("governance", "0062_notices_of_credentials")]
    operations: ClassVar = [
        migrations.AlterField(
            "reviewitem", "state", models.CharField(choices=_STATES, default="in_review", max_length=16)
        ),
        migrations.RunSQL(DO, UNDO),
    ]
