-- Keeps the count of items by outcome, whichever release changes them. What a statement changed is added as rows of its
-- own, so that one reviewer's transaction does not wait for another's.
CREATE OR REPLACE FUNCTION governance_items_are_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO governance_itemtally (campaign_id, outcome, day, count)
    SELECT x.campaign_id, coalesce(d.verb, x.state), (d.decided_at AT TIME ZONE 'UTC')::date, sum(x.many)
    FROM (SELECT campaign_id, state, current_decision_id, 1 AS many FROM added
          UNION ALL SELECT campaign_id, state, current_decision_id, -1 FROM gone) x
    JOIN governance_campaign c ON c.id = x.campaign_id AND c.state NOT IN ('draft', 'staging')
    LEFT JOIN governance_reviewdecision d ON d.id = x.current_decision_id
    GROUP BY 1, 2, 3 HAVING sum(x.many) <> 0;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER what_becomes_of_items_is_counted AFTER UPDATE ON governance_reviewitem
    REFERENCING OLD TABLE AS gone NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION governance_items_are_counted();
