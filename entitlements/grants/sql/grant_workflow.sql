-- A grant is a workflow that is governed, however it was made; what is onboarded has its row already.
CREATE OR REPLACE FUNCTION entitlements_grant_makes_a_workflow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO entitlements_workflow (agent_id, system_id, origin, state, changed_at, changed_by)
    SELECT DISTINCT g.agent_id, e.system_id, 'grant', 'governed', now(), ''
      FROM made g JOIN entitlements_entitlement e ON e.id = g.entitlement_id
      JOIN entitlements_system s ON s.id = e.system_id AND s.kind <> 'builtin'
     WHERE NOT EXISTS (SELECT 1 FROM entitlements_workflow w WHERE w.agent_id = g.agent_id
                          AND w.system_id = e.system_id AND (w.origin = 'grant' OR w.state <> 'known'))
     ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER a_grant_makes_a_workflow AFTER INSERT ON entitlements_grant
    REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT
    EXECUTE FUNCTION entitlements_grant_makes_a_workflow();
