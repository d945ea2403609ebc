-- A removal is verified by a probe in which every call was denied; a proven one stays proven.
CREATE OR REPLACE FUNCTION governance_remediation_is_proven() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state = 'verified' AND (OLD.final_at IS NULL OR OLD.finished_at IS NOT NULL) THEN
        PERFORM governance_review_refuses('a proven removal stays proven');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'verified' AND NEW.state = 'failed' AND NEW.finished_at IS NULL THEN
        PERFORM governance_review_refuses('a proven removal stays proven');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'withdrawn' THEN
        PERFORM governance_review_refuses('a removal that was taken back stays so');
    END IF;
    IF NEW.state = 'withdrawn' AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = NEW.decision_id) THEN
        PERFORM governance_review_refuses('a removal is taken back with its answer');
    END IF;
    IF NEW.state = 'excepted' AND NOT EXISTS (SELECT FROM governance_removalexception x
            WHERE x.remediation_id = NEW.decision_id AND x.ended_at IS NULL) THEN
        PERFORM governance_review_refuses('a removal is excepted by a second person, until a day');
    END IF;
    IF NEW.state = 'verified' AND (coalesce(NEW.probe ->> 'holds', '') <> 'true'
            OR coalesce(jsonb_typeof(NEW.probe -> 'calls'), '') <> 'array' OR NEW.probe -> 'calls' = '[]') THEN
        PERFORM governance_review_refuses('a removal is verified by a probe in which every call was denied');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_removal_is_verified_by_a_probe BEFORE INSERT OR UPDATE ON governance_remediation
    FOR EACH ROW EXECUTE FUNCTION governance_remediation_is_proven();
