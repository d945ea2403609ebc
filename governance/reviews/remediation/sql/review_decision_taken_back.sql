-- A reviewer recalls a decision within fifteen minutes, and the campaign's owner opens an item again, while it is under
-- way.
CREATE OR REPLACE FUNCTION governance_answer_is_taken_back() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decision record;
BEGIN
    SELECT d.*, c.state AS campaign_state, c.owner_id INTO decision FROM governance_reviewdecision d
    JOIN governance_reviewitem i ON i.id = d.item_id JOIN governance_campaign c ON c.id = i.campaign_id
    WHERE d.id = NEW.decision_id FOR SHARE OF c;
    IF decision.campaign_state <> 'active' THEN
        PERFORM governance_review_refuses('an answer is taken back while its campaign is under way');
    END IF;
    IF decision.verb = 'abstain' THEN
        PERFORM governance_review_refuses('an abstention is no answer to take back');
    END IF;
    IF NEW.kind = 'recall' AND (NEW.by_id <> decision.decided_by_id OR NEW.at > decision.decided_at + interval '15 minutes') THEN
        PERFORM governance_review_refuses('only the reviewer recalls an answer, within fifteen minutes');
    END IF;
    IF NEW.kind = 'recall' AND EXISTS (SELECT FROM governance_reviewdecision d WHERE d.item_id = decision.item_id
            AND d.stage > decision.stage AND d.verb <> 'abstain'
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) THEN
        PERFORM governance_review_refuses('an answer on which another stands is not recalled');
    END IF;
    IF NEW.kind = 'reopen' AND NEW.by_id <> decision.owner_id THEN
        PERFORM governance_review_refuses('only the owner of a campaign opens an item again');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_answer_is_taken_back_by_who_may BEFORE INSERT ON governance_takenback
    FOR EACH ROW EXECUTE FUNCTION governance_answer_is_taken_back();
