-- A version of a guardrail is never changed or deleted: what two people agreed on is what every node holds calls against.
CREATE OR REPLACE FUNCTION entitlements_guardrail_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a version of a guardrail is never changed or deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE TRIGGER a_guardrail_version_is_never_changed BEFORE UPDATE OR DELETE ON entitlements_guardrailversion
    FOR EACH ROW EXECUTE FUNCTION entitlements_guardrail_version_stays();
