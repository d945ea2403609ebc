-- What an item is about is fixed; it is decided when each of its stages is answered, by the strictest answer, and keeps
-- its outcome unless that was taken back.
CREATE OR REPLACE FUNCTION governance_item_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stands record;
BEGIN
    IF (NEW.campaign_id, NEW.number, NEW.subject_kind, NEW.subject_key, NEW.label, NEW.holder_id, NEW.holder_first,
            NEW.agent_id, NEW.system_id, NEW.subjects_digest, NEW.subjects, NEW.risk)
            IS DISTINCT FROM (OLD.campaign_id, OLD.number, OLD.subject_kind, OLD.subject_key, OLD.label, OLD.holder_id, OLD.holder_first,
            OLD.agent_id, OLD.system_id, OLD.subjects_digest, OLD.subjects, OLD.risk) THEN
        PERFORM governance_review_refuses('what an item is about is fixed when its campaign begins');
    END IF;
    IF OLD.state <> 'in_review' AND NEW.state <> OLD.state AND NOT (OLD.state = 'decided' AND NEW.state = 'in_review'
            AND EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = OLD.current_decision_id))
    AND NOT (OLD.state = 'carried_forward' AND NEW.state = 'in_review'
            AND NOT EXISTS (SELECT FROM governance_reviewitem o WHERE o.current_decision_id = OLD.carried_from_id)) THEN
        PERFORM governance_review_refuses('an item with an outcome keeps it');
    END IF;
    IF NEW.current_decision_id IS NOT DISTINCT FROM OLD.current_decision_id OR NEW.current_decision_id IS NULL THEN
        RETURN NEW;
    END IF;
    SELECT d.*, EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id) AS back INTO stands
    FROM governance_reviewdecision d WHERE d.id = NEW.current_decision_id AND d.item_id = NEW.id;
    IF stands IS NULL OR stands.back OR stands.verb = 'abstain' THEN
        PERFORM governance_review_refuses('the decision of an item is about that item');
    END IF;
    IF stands.verb <> 'revoke' AND (SELECT count(DISTINCT d.stage) FROM governance_reviewdecision d
            WHERE d.item_id = NEW.id AND d.verb IN ('certify', 'reduce')
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) < governance_item_stages(NEW.holder_first, NEW.risk, NEW.campaign_id) THEN
        PERFORM governance_review_refuses('an item is decided when each of its stages is answered');
    END IF;
    IF EXISTS (SELECT FROM governance_reviewdecision d WHERE d.item_id = NEW.id
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
            AND coalesce(array_position(ARRAY['certify', 'reduce', 'revoke'], d.verb::text), 0)
                > array_position(ARRAY['certify', 'reduce', 'revoke'], stands.verb::text)) THEN
        PERFORM governance_review_refuses('the strictest answer wins');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_item_goes_its_way BEFORE UPDATE ON governance_reviewitem
    FOR EACH ROW EXECUTE FUNCTION governance_item_goes_its_way();
