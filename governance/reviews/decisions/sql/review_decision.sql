-- A reviewer's decision is made under way, by the reviewer assigned or their delegate, without a conflict of interest,
-- stage by stage by distinct people; it keeps, reduces or revokes lines of its own item, with the reasons its risk
-- needs.
CREATE OR REPLACE FUNCTION governance_decision_is_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    item record;
    asked bigint;
    before uuid;
    lines_left bigint[];
    bar text;
BEGIN
    SELECT i.*, c.state AS campaign_state INTO item
    FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id WHERE i.id = NEW.item_id FOR SHARE OF c;
    IF item.campaign_state <> 'active' THEN
        PERFORM governance_review_refuses('a decision is made while its campaign is under way');
    END IF;
    SELECT a.reviewer_id INTO asked FROM governance_assignment a
    WHERE a.id = NEW.assignment_id AND a.item_id = NEW.item_id AND a.stage = NEW.stage AND a.state = 'assigned';
    bar := governance_review_conflict(NEW.item_id, NEW.decided_by_id);
    IF bar IS NULL AND asked IS NOT NULL AND asked <> NEW.decided_by_id THEN
        bar := nullif(governance_review_conflict(NEW.item_id, asked), 'only an active person decides');
    END IF;
    IF bar IS NOT NULL THEN
        PERFORM governance_review_refuses(bar);
    END IF;
    IF asked IS NULL OR asked <> NEW.decided_by_id AND NOT EXISTS (
            SELECT FROM governance_delegation g WHERE g.delegator_id = asked AND g.delegate_id = NEW.decided_by_id
            AND g.ended_at IS NULL AND NEW.decided_at >= g.starts_at AND NEW.decided_at < g.ends_at) THEN
        PERFORM governance_review_refuses('only the person an item is assigned to decides it');
    END IF;
    IF item.state <> 'in_review' THEN
        PERFORM governance_review_refuses('an item with an outcome is decided again only by superseding');
    END IF;
    IF NEW.stage > 1 AND item.holder_id IN (NEW.decided_by_id, asked) THEN
        PERFORM governance_review_refuses('a person cannot certify what is their own');
    END IF;
    IF item.subject_kind <> 'access' AND (NEW.limits <> '{}' OR NEW.valid_until IS NOT NULL
            OR NEW.verb = 'reduce' AND item.subject_kind <> 'entitlement') THEN
        PERFORM governance_review_refuses('what is no access is kept or removed as it is');
    END IF;
    IF (NEW.verb = 'reduce' OR NEW.valid_until IS NOT NULL)
            AND governance_strategy(item.risk, item.campaign_id) = 'all_must_keep' THEN
        PERFORM governance_review_refuses('where everybody must keep all of it, nothing is kept in part');
    END IF;
    IF NEW.stage < 1 OR NEW.stage > governance_item_stages(item.holder_first, item.risk, item.campaign_id) THEN
        PERFORM governance_review_refuses('an item has as many stages as its risk asks for');
    END IF;
    IF NEW.stage > 1 AND NOT EXISTS (
            SELECT FROM governance_reviewdecision d WHERE d.item_id = NEW.item_id AND d.stage = NEW.stage - 1
            AND d.verb IN ('certify', 'reduce') AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)) THEN
        PERFORM governance_review_refuses('a stage is answered after the one before it');
    END IF;
    IF EXISTS (SELECT FROM governance_reviewdecision d JOIN governance_assignment a ON a.id = d.assignment_id
               WHERE d.item_id = NEW.item_id AND d.stage <> NEW.stage AND d.verb <> 'abstain'
               AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
               AND (d.decided_by_id IN (NEW.decided_by_id, asked) OR a.reviewer_id IN (NEW.decided_by_id, asked))) THEN
        PERFORM governance_review_refuses('two distinct people answer the two stages');
    END IF;
    IF NEW.verb = 'abstain' THEN
        RETURN NEW;
    END IF;
    SELECT d.id INTO before FROM governance_reviewdecision d
    WHERE d.item_id = NEW.item_id AND d.stage = NEW.stage AND d.verb <> 'abstain'
      AND NOT EXISTS (SELECT FROM governance_reviewdecision n WHERE n.supersedes_id = d.id);
    IF NEW.supersedes_id IS DISTINCT FROM before OR before IS NOT NULL
            AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = before) THEN
        PERFORM governance_review_refuses('a decision supersedes the one that was taken back');
    END IF;
    lines_left := governance_lines_left(NEW.item_id);
    IF NEW.verb = 'certify' THEN
        IF lines_left IS DISTINCT FROM (SELECT coalesce(array_agg(k ORDER BY k), '{}') FROM unnest(NEW.kept_lines) k) THEN
            PERFORM governance_review_refuses('keeping an item keeps each of its lines');
        END IF;
        IF item.risk IN ('high', 'critical') AND NEW.reason_code = '' THEN
            PERFORM governance_review_refuses('keeping what is of high risk needs a reason');
        END IF;
    END IF;
    IF NEW.verb = 'reduce' AND (NOT NEW.kept_lines <@ lines_left
            OR (SELECT count(*) <> count(DISTINCT k) FROM unnest(NEW.kept_lines) k)
            OR cardinality(NEW.kept_lines) >= cardinality(lines_left) AND NEW.limits = '{}'
            OR EXISTS (SELECT FROM jsonb_object_keys(NEW.limits) k WHERE NOT k = ANY(NEW.kept_lines::text[]))) THEN
        PERFORM governance_review_refuses('a reduction keeps some of its own lines, or tightens their limits');
    END IF;
    IF NEW.valid_until IS NOT NULL AND NEW.valid_until >= coalesce((
            SELECT max(g.expires_at) FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
            WHERE p.item_id = NEW.item_id AND g.ended_at IS NULL), NEW.decided_at) THEN
        PERFORM governance_review_refuses('an earlier end lies before the end that stands');
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER a_decision_is_allowed BEFORE INSERT ON governance_reviewdecision
    FOR EACH ROW EXECUTE FUNCTION governance_decision_is_allowed();
