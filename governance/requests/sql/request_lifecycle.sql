-- A request is never deleted and is decided once; it is approved when every stage has answered.
CREATE OR REPLACE FUNCTION governance_request_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'requests are never deleted' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.state <> 'in_approval' AND NEW.state <> OLD.state THEN
        RAISE EXCEPTION 'a decided request stays decided' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state = 'approved' AND OLD.state <> 'approved' AND (
        EXISTS (SELECT 1 FROM governance_approval a WHERE a.request_id = NEW.id AND a.answer IN ('waiting', 'denied'))
        OR NOT EXISTS (SELECT 1 FROM governance_approval a WHERE a.request_id = NEW.id AND a.answer = 'approved')) THEN
        RAISE EXCEPTION 'a request is approved when every stage has answered' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_request_is_never_deleted_and_decided_once
    BEFORE UPDATE OR DELETE
    ON governance_accessrequest
    FOR EACH ROW EXECUTE FUNCTION governance_request_stays();
