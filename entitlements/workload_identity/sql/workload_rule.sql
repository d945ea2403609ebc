-- A workload rule says what was accepted as a credential of its client's agent, and changes no more: it only ends. So no
-- row lets a workload in that no person responsible for the agent accepted.
CREATE OR REPLACE FUNCTION entitlements_a_workload_rule_says_what_was_accepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.ended_at IS NOT NULL OR
        (OLD.client_id, OLD.issuer_id, OLD.platform, OLD.claims, OLD.credential_id, OLD.made_at) IS DISTINCT FROM
        (NEW.client_id, NEW.issuer_id, NEW.platform, NEW.claims, NEW.credential_id, NEW.made_at)) THEN
        RAISE EXCEPTION 'workload rule % is not what was accepted, or has ended', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_workload_rule_only_ends';
    END IF;
    IF TG_OP = 'INSERT' AND NOT EXISTS (
        SELECT FROM entitlements_clientcredential c
          JOIN entitlements_client k ON k.identifier = c.client_id AND k.agent_id = c.agent_id
          JOIN entitlements_trustedissuer i ON i.issuer = c.workload ->> 'issuer'
         WHERE c.id = NEW.credential_id AND c.state = 'accepted' AND c.purpose = 'workload'
           AND k.id = NEW.client_id AND i.id = NEW.issuer_id AND i.purpose = 'workload'
           AND c.workload ->> 'platform' = NEW.platform AND c.workload -> 'claims' = NEW.claims
    ) THEN
        RAISE EXCEPTION 'workload rule % was not accepted for the agent of its client', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_workload_rule_says_what_was_accepted';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_workload_rule_says_what_was_accepted
    BEFORE INSERT OR UPDATE ON entitlements_workloadrule
    FOR EACH ROW EXECUTE FUNCTION entitlements_a_workload_rule_says_what_was_accepted();
