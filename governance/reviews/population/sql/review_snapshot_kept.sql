-- What is being staged may be put away, to be taken anew; of what is staged or began nothing is changed or deleted.
CREATE OR REPLACE FUNCTION governance_snapshot_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held text;
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('governance_reviewitem', 'governance_populationrow') THEN
        SELECT c.state INTO held FROM governance_campaign c WHERE c.id = OLD.campaign_id;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT c.state INTO held FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
        WHERE i.id = OLD.item_id;
    END IF;
    IF held IS DISTINCT FROM 'staging' THEN
        PERFORM governance_review_refuses('what a review holds is never changed or deleted');
    END IF;
    RETURN OLD;
END $$;

CREATE OR REPLACE TRIGGER an_assignment_is_never_deleted BEFORE DELETE ON governance_assignment
    FOR EACH ROW EXECUTE FUNCTION governance_snapshot_stays();
CREATE OR REPLACE TRIGGER a_population_is_never_changed BEFORE UPDATE OR DELETE ON governance_populationrow
    FOR EACH ROW EXECUTE FUNCTION governance_snapshot_stays();
CREATE OR REPLACE TRIGGER an_item_is_never_deleted BEFORE DELETE ON governance_reviewitem
    FOR EACH ROW EXECUTE FUNCTION governance_snapshot_stays();
CREATE OR REPLACE TRIGGER a_line_is_never_changed BEFORE UPDATE OR DELETE ON governance_reviewline
    FOR EACH ROW EXECUTE FUNCTION governance_snapshot_stays();
CREATE OR REPLACE TRIGGER a_suggestion_is_never_changed BEFORE UPDATE OR DELETE ON governance_suggestion
    FOR EACH ROW EXECUTE FUNCTION governance_snapshot_stays();
