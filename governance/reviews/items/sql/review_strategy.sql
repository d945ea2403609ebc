-- How the answers about a risk level come together: as the campaign says, else two people from high risk on.
CREATE OR REPLACE FUNCTION governance_strategy(risk text, campaign uuid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT c.strategies ->> risk FROM governance_campaign c WHERE c.id = campaign),
                    CASE WHEN risk IN ('high', 'critical') THEN 'any_deny_denies' ELSE 'first_decides' END)
$$;
