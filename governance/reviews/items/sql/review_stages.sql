-- How many people decide an item one after the other. Two where the first is asked about what is their own: keeping it
-- is never enough.
CREATE OR REPLACE FUNCTION governance_item_stages(holder_first boolean, risk text, campaign uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN holder_first OR governance_strategy(risk, campaign) <> 'first_decides' THEN 2 ELSE 1 END
$$;
