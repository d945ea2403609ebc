-- Counts a campaign's items by outcome and its assignments by reviewer from nothing.
CREATE OR REPLACE FUNCTION governance_count_campaign(campaign uuid) RETURNS void LANGUAGE sql AS $$
    DELETE FROM governance_itemtally t WHERE t.campaign_id = campaign;
    DELETE FROM governance_assignmenttally t WHERE t.campaign_id = campaign;
    INSERT INTO governance_itemtally (campaign_id, outcome, day, count)
    SELECT i.campaign_id, coalesce(d.verb, i.state), (d.decided_at AT TIME ZONE 'UTC')::date, count(*)
    FROM governance_reviewitem i LEFT JOIN governance_reviewdecision d ON d.id = i.current_decision_id
    WHERE i.campaign_id = campaign GROUP BY 1, 2, 3;
    INSERT INTO governance_assignmenttally (campaign_id, reviewer_id, state, count)
    SELECT i.campaign_id, a.reviewer_id, a.state, count(*)
    FROM governance_assignment a JOIN governance_reviewitem i ON i.id = a.item_id
    WHERE i.campaign_id = campaign AND a.replaced_by_id IS NULL GROUP BY 1, 2, 3;
$$;
