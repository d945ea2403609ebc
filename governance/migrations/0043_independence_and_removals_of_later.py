"""Independence in the database for every account of whoever answers, and for whoever owned the agent when it was taken.

And removals that take effect on a later day, no further off than a fortnight; and nothing of a review is deleted, not
its drafts or templates either. Only adds.
"""

# ruff: noqa: E501 - the SQL is read as one piece, and compared with that of 0032 and 0039

from datetime import timedelta
from importlib import import_module
from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import F, Q

DO = """
CREATE OR REPLACE FUNCTION governance_review_conflict(asked uuid, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    own record;
    voices bigint[] := governance_accounts_of(ARRAY[who]);
BEGIN
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = who AND p.is_active) THEN
        RETURN 'only an active person decides';
    END IF;
    SELECT i.holder_first INTO own FROM governance_reviewitem i WHERE i.id = asked AND i.holder_id = ANY (voices);
    IF FOUND AND own.holder_first AND EXISTS (SELECT FROM governance_assignment a
            WHERE a.item_id = asked AND a.stage = 1 AND a.state = 'assigned') THEN
        RETURN NULL; -- she is asked first; her keeping it only asks the next
    END IF;
    IF FOUND THEN
        RETURN 'nobody certifies what is their own';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN entitlements_agent a ON a.id = i.agent_id
               WHERE i.id = asked AND a.owner_id = ANY (voices))
    OR EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_person o ON o.login = p.payload::jsonb ->> 'owner'
               WHERE p.item_id = asked AND p.grant_id IS NOT NULL AND o.id = ANY (voices)) THEN
        RETURN 'the technical owner never certifies for that agent';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_accessrequest r ON r.id = g.request_id
               WHERE p.item_id = asked AND (r.requested_by_id = ANY (voices)
                  OR r.requested_as LIKE 'agent:%' AND r.owner_then_id = ANY (voices))) THEN
        RETURN 'nobody certifies what they requested';
    END IF;
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_populationrow p ON p.item_id = i.id
               JOIN entitlements_grant g ON g.id = p.grant_id JOIN governance_approval v ON v.request_id = g.request_id
               WHERE i.id = asked AND i.risk IN ('high', 'critical') AND v.answer = 'approved'
                 AND (v.by_id = ANY (voices) OR v.in_place_of_id = ANY (voices)) AND v.answered_at > now() - interval '90 days') THEN
        RETURN 'nobody certifies what they approved lately';
    END IF;
    IF EXISTS (SELECT FROM governance_populationrow p JOIN entitlements_grantsubject s ON s.grant_id = p.grant_id
               LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
               WHERE p.item_id = asked AND (s.person_id = ANY (voices) OR m.person_id = ANY (voices))) THEN
        RETURN 'nobody certifies what they benefit from';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION governance_stages_are_two_people() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    voices bigint[];
BEGIN
    SELECT governance_accounts_of(ARRAY[NEW.decided_by_id, a.reviewer_id]) INTO voices
    FROM governance_assignment a WHERE a.id = NEW.assignment_id;
    IF EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
               WHERE d.item_id = NEW.item_id AND d.stage <> NEW.stage AND d.verb <> 'abstain'
               AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
               AND (d.decided_by_id = ANY (voices) OR a.reviewer_id = ANY (voices))) THEN
        PERFORM governance_review_refuses('two distinct people answer the two stages');
    END IF;
    IF NEW.effective_at IS NOT NULL AND EXISTS
            (SELECT FROM governance_reviewitem i WHERE i.id = NEW.item_id AND i.subject_kind <> 'access') THEN
        PERFORM governance_review_refuses('what is no access is removed at once');
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION governance_exception_is_a_second_persons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
               WHERE d.id = NEW.remediation_id
                 AND NEW.by_id = ANY (governance_accounts_of(ARRAY[d.decided_by_id, a.reviewer_id]))) THEN
        PERFORM governance_review_refuses('a second person excepts a removal');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER an_exception_is_made_by_a_second_person AFTER INSERT ON governance_removalexception
FOR EACH ROW EXECUTE FUNCTION governance_exception_is_a_second_persons();

CREATE FUNCTION governance_pack_is_signed_by_another() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    voices bigint[] := governance_accounts_of(ARRAY[NEW.signed_off_by_id]);
BEGIN
    IF EXISTS (SELECT FROM governance_reviewitem i JOIN governance_assignment a ON a.item_id = i.id
               WHERE i.campaign_id = NEW.campaign_id AND a.reviewer_id = ANY (voices))
    OR EXISTS (SELECT FROM governance_reviewitem i JOIN governance_reviewdecision d ON d.item_id = i.id
               WHERE i.campaign_id = NEW.campaign_id AND d.decided_by_id = ANY (voices)) THEN
        PERFORM governance_review_refuses('who was to answer in a campaign does not sign it off');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_pack_is_signed_off_by_somebody_else AFTER INSERT ON governance_evidencepack
FOR EACH ROW EXECUTE FUNCTION governance_pack_is_signed_by_another();

CREATE TRIGGER a_draft_is_never_deleted BEFORE DELETE ON governance_draft
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_staging_is_never_deleted BEFORE DELETE ON governance_campaignstaging
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_template_is_never_deleted BEFORE DELETE ON governance_campaigntemplate
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER a_sealing_is_never_deleted BEFORE DELETE ON governance_evidencesealing
FOR EACH ROW EXECUTE FUNCTION governance_review_stays();
CREATE TRIGGER two_stages_are_answered_by_two_people AFTER INSERT ON governance_reviewdecision
FOR EACH ROW EXECUTE FUNCTION governance_stages_are_two_people();
"""
_BEFORE = import_module("governance.migrations.0032_things_that_are_no_access").DO
_FROM = _BEFORE.index("CREATE OR REPLACE FUNCTION governance_review_conflict")
UNDO = _BEFORE[_FROM : _BEFORE.index("CREATE OR REPLACE FUNCTION governance_decision_is_allowed")]
UNDO += """
DROP TRIGGER two_stages_are_answered_by_two_people ON governance_reviewdecision;
DROP TRIGGER an_exception_is_made_by_a_second_person ON governance_removalexception;
DROP TRIGGER a_pack_is_signed_off_by_somebody_else ON governance_evidencepack;
DROP TRIGGER a_draft_is_never_deleted ON governance_draft;
DROP TRIGGER a_staging_is_never_deleted ON governance_campaignstaging;
DROP TRIGGER a_template_is_never_deleted ON governance_campaigntemplate;
DROP TRIGGER a_sealing_is_never_deleted ON governance_evidencesealing;
DROP FUNCTION governance_stages_are_two_people(), governance_exception_is_a_second_persons(),
    governance_pack_is_signed_by_another();
"""


class Migration(migrations.Migration):
    """Two columns, a check and the functions that triggers call."""

    dependencies: ClassVar = [("governance", "0040_sealing_keeps_its_trace")]
    operations: ClassVar = [
        migrations.AddField("draft", "effective_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("reviewdecision", "effective_at", models.DateTimeField(null=True, blank=True)),
        AddConstraintNotValid(
            "reviewdecision",
            models.CheckConstraint(
                name="a_removal_of_later_comes_within_a_fortnight",
                condition=Q(effective_at=None)
                | Q(
                    verb="revoke",
                    effective_at__gt=F("decided_at"),
                    effective_at__lte=F("decided_at") + timedelta(days=14),
                ),
            ),
        ),
        migrations.RunSQL(DO, UNDO),
    ]
