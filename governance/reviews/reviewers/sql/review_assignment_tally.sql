-- Keeps the count of assignments by reviewer and state, as that of items is kept.
CREATE OR REPLACE FUNCTION governance_assigned_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO governance_assignmenttally (campaign_id, reviewer_id, state, count)
        SELECT i.campaign_id, x.reviewer_id, x.state, count(*)
        FROM added x JOIN governance_reviewitem i ON i.id = x.item_id
        JOIN governance_campaign c ON c.id = i.campaign_id AND c.state NOT IN ('draft', 'staging')
        WHERE x.replaced_by_id IS NULL GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO governance_assignmenttally (campaign_id, reviewer_id, state, count)
        SELECT i.campaign_id, x.reviewer_id, x.state, sum(x.many)
        FROM (SELECT item_id, reviewer_id, state, 1 AS many FROM added WHERE replaced_by_id IS NULL
              UNION ALL SELECT item_id, reviewer_id, state, -1 FROM gone WHERE replaced_by_id IS NULL) x
        JOIN governance_reviewitem i ON i.id = x.item_id
        JOIN governance_campaign c ON c.id = i.campaign_id AND c.state NOT IN ('draft', 'staging')
        GROUP BY 1, 2, 3 HAVING sum(x.many) <> 0;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER what_was_asked_is_counted AFTER UPDATE ON governance_assignment
    REFERENCING OLD TABLE AS gone NEW TABLE AS added
    FOR EACH STATEMENT
    EXECUTE FUNCTION governance_assigned_is_counted();
CREATE OR REPLACE TRIGGER who_is_asked_is_counted AFTER INSERT ON governance_assignment
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION governance_assigned_is_counted();
