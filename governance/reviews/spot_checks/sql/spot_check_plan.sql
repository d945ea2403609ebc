-- Spot checks are switched on before a review ends, with the digest of their seed, and are drawn once.
CREATE OR REPLACE FUNCTION governance_spot_plan_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND (NEW.drawn_at IS NOT NULL OR NOT EXISTS (SELECT FROM governance_campaign c
            WHERE c.id = NEW.campaign_id AND c.kind <> 'micro' AND c.state IN ('draft', 'staging', 'staged', 'active', 'paused'))) THEN
        PERFORM governance_review_refuses('spot checks are switched on before a review ends');
    END IF;
    IF NEW.seed_sha256 <> encode(sha256(NEW.seed::bytea), 'hex') THEN
        PERFORM governance_review_refuses('the seed of spot checks matches the digest that was shown');
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.drawn_at IS NOT NULL OR to_jsonb(NEW) - 'drawn_at' - 'due_at' - 'frame'
            IS DISTINCT FROM to_jsonb(OLD) - 'drawn_at' - 'due_at' - 'frame') THEN
        PERFORM governance_review_refuses('the settings of spot checks do not change, and they are drawn once');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER spot_checks_are_planned_by_the_rules BEFORE INSERT OR UPDATE ON governance_spotplan
    FOR EACH ROW EXECUTE FUNCTION governance_spot_plan_is_allowed();
