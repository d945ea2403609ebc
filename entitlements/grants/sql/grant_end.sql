-- A grant ends once: nothing brings an ended grant back, and its end never moves outwards.
CREATE OR REPLACE FUNCTION entitlements_grant_stays_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL AND (NEW.ended_at IS DISTINCT FROM OLD.ended_at OR NEW.state <> OLD.state) THEN
        RAISE EXCEPTION 'an ended grant stays ended' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.expires_at > OLD.expires_at THEN
        RAISE EXCEPTION 'the end of a grant never moves outwards' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER an_ended_grant_stays_ended BEFORE UPDATE ON entitlements_grant
    FOR EACH ROW EXECUTE FUNCTION entitlements_grant_stays_ended();
