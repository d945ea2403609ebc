-- Leases to a node a share of what is left of a budget in its present window: a tenth of it, or what is wanted where
-- that is more, and never more than is left. Nothing is leased where less is left than what the node needs at least.
-- The lock on the one row of the budget makes leases follow each other, so together they never exceed the amount.
-- A window never goes back, so a clock that does gives nothing twice. Seconds are null where the window never ends.
CREATE OR REPLACE FUNCTION lease_budget_v1(p_budget uuid, p_least numeric, p_wanted numeric)
RETURNS TABLE (leased numeric, window_began timestamptz, seconds float8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    b entitlements_budget%ROWTYPE;
    u entitlements_budgetuse%ROWTYPE;
    moment timestamptz;
    tenth numeric;
BEGIN
    SELECT * INTO STRICT b FROM entitlements_budget WHERE id = p_budget;
    SELECT * INTO STRICT u FROM entitlements_budgetuse WHERE budget_id = p_budget FOR UPDATE;
    moment := clock_timestamp();
    window_began := u.began;
    IF b.window_seconds IS NOT NULL THEN
        window_began := greatest(
            u.began, to_timestamp(floor(extract(epoch FROM moment) / b.window_seconds) * b.window_seconds)
        );
        seconds := extract(epoch FROM window_began - moment)::float8 + b.window_seconds;
    END IF;
    IF window_began > u.began THEN
        u.taken := 0;
    END IF;
    leased := 0;
    IF p_least > 0 AND b.amount - u.taken >= p_least THEN
        tenth := ceil((b.amount - u.taken) / 10 * CASE b.unit WHEN 'money' THEN 10000 ELSE 1 END);
        tenth := tenth / CASE b.unit WHEN 'money' THEN 10000 ELSE 1 END;
        leased := least(b.amount - u.taken, greatest(p_wanted, tenth));
    END IF;
    UPDATE entitlements_budgetuse SET began = window_began, taken = u.taken + leased WHERE budget_id = p_budget;
    RETURN NEXT;
END $$;
REVOKE ALL ON FUNCTION lease_budget_v1 FROM PUBLIC;
