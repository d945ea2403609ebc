-- How many people answer an item one after the other. Two where the first is asked about what is their own: keeping it
-- is never enough. The forms without a campaign know of no strategies.
CREATE OR REPLACE FUNCTION governance_review_stages(risk text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN risk IN ('high', 'critical') THEN 2 ELSE 1 END
$$;
CREATE OR REPLACE FUNCTION governance_item_stages(holder_first boolean, risk text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN holder_first THEN 2 ELSE governance_review_stages(risk) END
$$;
CREATE OR REPLACE FUNCTION governance_item_stages(holder_first boolean, risk text, campaign uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN holder_first OR governance_strategy(risk, campaign) <> 'first_decides' THEN 2 ELSE 1 END
$$;
