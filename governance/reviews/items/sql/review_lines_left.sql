-- The lines of an item that no removal in effect has taken away.
CREATE OR REPLACE FUNCTION governance_lines_left(asked uuid) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(l.id ORDER BY l.id), '{}') FROM governance_reviewline l
    WHERE l.item_id = asked AND NOT EXISTS (
        SELECT FROM governance_reviewdecision d LEFT JOIN governance_remediation r ON r.decision_id = d.id
        WHERE d.item_id = asked AND d.verb = 'reduce' AND NOT l.id = ANY(d.kept_lines)
          AND r.state IS DISTINCT FROM 'withdrawn')
$$;
