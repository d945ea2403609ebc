-- An auditor's question is answered once, a share of evidence ended once; both are otherwise kept.
CREATE OR REPLACE FUNCTION governance_audit_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'governance_auditquestion' AND (to_jsonb(OLD) ->> 'answer' <> ''
            OR to_jsonb(NEW) - 'answer' - 'answered_by_id' - 'answered_at'
               IS DISTINCT FROM to_jsonb(OLD) - 'answer' - 'answered_by_id' - 'answered_at') THEN
        PERFORM governance_review_refuses('a question of an auditor stays, and is answered once');
    END IF;
    IF TG_TABLE_NAME = 'governance_evidenceshare' AND (to_jsonb(OLD) ->> 'ended_at' IS NOT NULL
            OR to_jsonb(NEW) - 'ended_at' IS DISTINCT FROM to_jsonb(OLD) - 'ended_at') THEN
        PERFORM governance_review_refuses('a share of evidence stays, and is ended once');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_audit_question_is_answered_once BEFORE UPDATE ON governance_auditquestion
    FOR EACH ROW EXECUTE FUNCTION governance_audit_goes_its_way();
CREATE OR REPLACE TRIGGER a_share_is_ended_once BEFORE UPDATE ON governance_evidenceshare
    FOR EACH ROW EXECUTE FUNCTION governance_audit_goes_its_way();
