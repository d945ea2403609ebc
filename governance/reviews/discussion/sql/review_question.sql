-- A question about an item stays as it was asked, and is answered once by who was asked or their delegate, who is not
-- the person who asked.
CREATE OR REPLACE FUNCTION governance_question_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    speaks bigint := CASE WHEN TG_OP = 'INSERT' THEN NEW.asked_by_id ELSE coalesce(NEW.answered_by_id, NEW.asked_of_id) END;
BEGIN
    PERFORM governance_talk_is_open(NEW.item_id);
    IF TG_OP = 'UPDATE' AND (OLD.answer <> '' OR to_jsonb(NEW) - 'answer' - 'answered_at' - 'answered_by_id'
            IS DISTINCT FROM to_jsonb(OLD) - 'answer' - 'answered_at' - 'answered_by_id') THEN
        PERFORM governance_review_refuses('a question stays as it was asked, and is answered once');
    END IF;
    IF TG_OP = 'INSERT' AND NEW.answer <> '' THEN
        PERFORM governance_review_refuses('a question is asked before it is answered');
    END IF;
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.is_active AND p.id = speaks)
            OR TG_OP = 'UPDATE' AND NOT EXISTS (SELECT FROM entitlements_person p WHERE p.is_active AND p.id = NEW.asked_of_id) THEN
        PERFORM governance_review_refuses('only an active person asks and answers');
    END IF;
    IF TG_OP = 'UPDATE' AND speaks <> NEW.asked_of_id AND NOT EXISTS (
            SELECT FROM governance_delegation g WHERE g.delegator_id = NEW.asked_of_id AND g.delegate_id = speaks
            AND g.ended_at IS NULL AND NEW.answered_at >= g.starts_at AND NEW.answered_at < g.ends_at) THEN
        PERFORM governance_review_refuses('only the person asked or their delegate answers a question');
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.asked_by_id = ANY (governance_accounts_of(ARRAY[speaks])) THEN
        PERFORM governance_review_refuses('a person cannot answer their own question');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_question_is_asked_and_answered_by_the_rules
    BEFORE INSERT OR UPDATE
    ON governance_reviewquestion
    FOR EACH ROW EXECUTE FUNCTION governance_question_is_allowed();
