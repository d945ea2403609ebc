-- A pinned definition of a tool is never changed: what a person approved is what runs.
CREATE OR REPLACE FUNCTION entitlements_pinned_definition_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.definition IS DISTINCT FROM OLD.definition OR NEW.sha256 <> OLD.sha256 OR NEW.tool_id <> OLD.tool_id THEN
        RAISE EXCEPTION 'a pinned definition is never changed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_pinned_definition_is_never_changed BEFORE UPDATE ON entitlements_toolversion
    FOR EACH ROW EXECUTE FUNCTION entitlements_pinned_definition_stays();
