-- An auto-approval rule approves nothing beyond its bounds: low risk, reading tools, its own entitlement, while it
-- lasts.
CREATE OR REPLACE FUNCTION governance_answer_by_rule_is_within_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.rule_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM governance_accessrequest r JOIN governance_approvalrule u ON u.id = NEW.rule_id
         WHERE r.id = NEW.request_id AND r.state = 'in_approval' AND r.risk = 'low' AND r.renews_id IS NULL
           AND u.entitlement_id = r.entitlement_id AND u.state = 'in_force' AND u.expires_at > NEW.answered_at
           AND r.lasts <= u.longest
           AND NOT EXISTS (SELECT 1 FROM governance_requestline l JOIN entitlements_tool t ON t.id = l.tool_id
                            WHERE l.request_id = r.id AND l.kept AND (t.risk <> 'low' OR t.action <> 'read'))) THEN
        RAISE EXCEPTION 'a rule approves nothing beyond its bounds' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_answer_by_a_rule_is_within_it BEFORE INSERT OR UPDATE ON governance_approval
    FOR EACH ROW WHEN (NEW.rule_id IS NOT NULL)
    EXECUTE FUNCTION governance_answer_by_rule_is_within_it();
