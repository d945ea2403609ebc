-- An open item is settled by a decision of another review only where that stands about the same access, and its
-- reviewer might have decided this one too.
CREATE OR REPLACE FUNCTION governance_item_is_settled_by_the_rules() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    here record;
    given record;
    conflict text;
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
    conflict := coalesce(governance_review_conflict(NEW.id, given.decided_by_id),
                         nullif(governance_review_conflict(NEW.id, given.reviewer_id), 'only an active person decides'));
    IF conflict IS NOT NULL THEN
        PERFORM governance_review_refuses(conflict);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_item_is_settled_by_the_rules BEFORE UPDATE ON governance_reviewitem
    FOR EACH ROW WHEN (NEW.carried_from_id IS NOT NULL AND NEW.carried_from_id IS DISTINCT FROM OLD.carried_from_id)
    EXECUTE FUNCTION governance_item_is_settled_by_the_rules();
