-- A campaign goes from draft to staging, staged, active, closing and closed; what it looks at is fixed when it begins,
-- and it closes when each item has an outcome and each removal is verified.
CREATE OR REPLACE FUNCTION governance_campaign_goes_its_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN
            PERFORM governance_review_refuses('a campaign begins as a draft');
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state IN ('closed', 'cancelled') THEN
        PERFORM governance_review_refuses('a ' || OLD.state || ' campaign stays as it is');
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN
            (('draft', 'staging'), ('staging', 'staged'), ('staging', 'draft'), ('staged', 'staging'), ('staged', 'active'),
             ('active', 'paused'), ('paused', 'active'), ('active', 'closing'), ('closing', 'closed'),
             ('draft', 'cancelled'), ('staging', 'cancelled'), ('staged', 'cancelled'), ('active', 'cancelled'),
             ('paused', 'cancelled')) THEN
        PERFORM governance_review_refuses(
            'a campaign goes from draft to staging, staged, under way, closing and closed, not from '
            || OLD.state || ' to ' || NEW.state);
    END IF;
    IF OLD.state <> 'draft' AND (NEW.kind, NEW.scope, NEW.scope_sha256) IS DISTINCT FROM (OLD.kind, OLD.scope, OLD.scope_sha256)
       OR OLD.state NOT IN ('draft', 'staging') AND (OLD.state, NEW.state) <> ('staged', 'staging')
          AND (NEW.snapshot_at, NEW.population_rows, NEW.population_sha256)
              IS DISTINCT FROM (OLD.snapshot_at, OLD.population_rows, OLD.population_sha256)
       OR OLD.state NOT IN ('draft', 'staging', 'staged') AND NEW.is_rehearsal <> OLD.is_rehearsal THEN
        PERFORM governance_review_refuses('what a campaign looks at is fixed when it begins');
    END IF;
    IF OLD.state = 'staging' AND NEW.state = 'staged' AND (
        (SELECT count(*) FROM governance_populationrow p WHERE p.campaign_id = NEW.id) IS DISTINCT FROM NEW.population_rows
        OR EXISTS (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND i.state = 'in_review' AND NOT EXISTS
                   (SELECT FROM governance_assignment a WHERE a.item_id = i.id AND a.state = 'assigned'))) THEN
        PERFORM governance_review_refuses('a campaign is staged with all of its population, each item assigned');
    END IF;
    IF OLD.state = 'active' AND NEW.state = 'closing' AND EXISTS
            (SELECT FROM governance_reviewitem i WHERE i.campaign_id = NEW.id AND i.state = 'in_review') THEN
        PERFORM governance_review_refuses('a campaign closes when every item has an outcome');
    END IF;
    IF NEW.state = 'closed' AND EXISTS
            (SELECT FROM governance_remediation r JOIN governance_reviewdecision d ON d.id = r.decision_id
             JOIN governance_reviewitem i ON i.id = d.item_id WHERE i.campaign_id = NEW.id
             AND (r.state NOT IN ('verified', 'excepted', 'withdrawn')
                  OR r.state = 'verified' AND r.final_at IS NOT NULL AND r.finished_at IS NULL)) THEN
        PERFORM governance_review_refuses('a campaign is closed when every removal is proven');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_campaign_goes_its_way BEFORE INSERT OR UPDATE ON governance_campaign
    FOR EACH ROW EXECUTE FUNCTION governance_campaign_goes_its_way();
