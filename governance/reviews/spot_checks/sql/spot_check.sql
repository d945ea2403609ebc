-- A spot check is drawn when a review ends, answered once and in time by a person who may, and followed up once by who
-- runs the review.
CREATE OR REPLACE FUNCTION governance_spot_check_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    why text;
    until timestamptz;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.verb <> '' OR NEW.followed <> '' OR NOT EXISTS (SELECT FROM governance_reviewitem i
                JOIN governance_campaign c ON c.id = i.campaign_id JOIN governance_spotplan p ON p.campaign_id = c.id
                WHERE i.id = NEW.item_id AND c.id = NEW.plan_id AND c.state = 'closing' AND p.drawn_at IS NOT NULL
                AND i.current_decision_id IS NOT NULL) THEN
            PERFORM governance_review_refuses('spot checks are drawn from what was answered, when a review ends');
        END IF;
    ELSIF OLD.verb = '' AND NEW.verb <> '' THEN
        SELECT p.due_at INTO until FROM governance_spotplan p WHERE p.campaign_id = NEW.plan_id;
        IF NEW.followed <> '' OR NEW.answered_at >= until OR to_jsonb(NEW) - 'verb' - 'reason_code' - 'comment' - 'answered_at'
                IS DISTINCT FROM to_jsonb(OLD) - 'verb' - 'reason_code' - 'comment' - 'answered_at' THEN
            PERFORM governance_review_refuses('a spot check is answered as it was asked, before it is due');
        END IF;
        PERFORM governance_talk_is_open(NEW.item_id);
    ELSE
        IF OLD.followed <> '' OR to_jsonb(NEW) - 'followed' - 'followed_by_id' - 'followed_at' - 'followed_because'
                IS DISTINCT FROM to_jsonb(OLD) - 'followed' - 'followed_by_id' - 'followed_at' - 'followed_because'
                OR NOT EXISTS (SELECT FROM governance_campaign c WHERE c.id = NEW.plan_id AND c.owner_id = NEW.followed_by_id) THEN
            PERFORM governance_review_refuses('a spot check is answered once, and followed up once by who runs the review');
        END IF;
        RETURN NEW;
    END IF;
    why := CASE WHEN NEW.checker_id IS NOT NULL THEN governance_spot_conflict(NEW.item_id, NEW.checker_id) END;
    IF why IS NOT NULL THEN
        PERFORM governance_review_refuses(why);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_spot_check_is_asked_and_answered_by_the_rules
    BEFORE INSERT OR UPDATE
    ON governance_spotcheck
    FOR EACH ROW EXECUTE FUNCTION governance_spot_check_is_allowed();
