-- An active person comments on an item while its discussion is open.
CREATE OR REPLACE FUNCTION governance_comment_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM governance_talk_is_open(NEW.item_id);
    IF NOT EXISTS (SELECT FROM entitlements_person p WHERE p.id = NEW.by_id AND p.is_active) THEN
        PERFORM governance_review_refuses('only an active person comments');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_comment_is_made_by_the_rules BEFORE INSERT ON governance_reviewcomment
    FOR EACH ROW EXECUTE FUNCTION governance_comment_is_allowed();
