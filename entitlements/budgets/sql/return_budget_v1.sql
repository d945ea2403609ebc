-- Takes back what a node leased of a budget and did not spend, as long as the window that it was leased in lasts. A node
-- calls it at most once for what it returns: what is lost on the way stays taken.
CREATE OR REPLACE FUNCTION return_budget_v1(p_budget uuid, p_began timestamptz, p_amount numeric)
RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE entitlements_budgetuse SET taken = taken - p_amount
    WHERE budget_id = p_budget AND began = p_began AND p_amount > 0
$$;
REVOKE ALL ON FUNCTION return_budget_v1 FROM PUBLIC;
