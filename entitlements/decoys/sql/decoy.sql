-- A decoy is written once and ended once, has the name of no tool of its system, and its touches are kept. A tool that
-- comes later with the name goes before it: the list and the calls look for tools first, and a sweep ends the decoy.
CREATE OR REPLACE FUNCTION entitlements_decoy_written_once() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT FROM entitlements_tool t WHERE t.system_id = NEW.system_id AND t.name = NEW.name) THEN
            RAISE EXCEPTION 'a decoy has the name of no tool' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL
        OR to_jsonb(NEW) - '{ended_at,end_reason}'::text[] <> to_jsonb(OLD) - '{ended_at,end_reason}'::text[] THEN
        RAISE EXCEPTION 'a decoy is written once and ended once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER a_decoy_is_written_once BEFORE INSERT OR UPDATE OR DELETE ON entitlements_decoy
    FOR EACH ROW EXECUTE FUNCTION entitlements_decoy_written_once();
CREATE OR REPLACE TRIGGER a_decoy_keeps_its_agents BEFORE UPDATE OR DELETE ON entitlements_decoyagent
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
CREATE OR REPLACE TRIGGER a_touch_is_kept BEFORE UPDATE OR DELETE ON entitlements_decoytouch
    FOR EACH ROW EXECUTE FUNCTION record_is_append_only();
