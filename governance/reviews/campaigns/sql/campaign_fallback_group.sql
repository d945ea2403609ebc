-- Whether a group may be the fallback reviewers: it has two active people, counted by mailbox.
CREATE OR REPLACE FUNCTION governance_is_asked_last(which bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT which IS NULL OR count(DISTINCT coalesce(nullif(entitlements_mailbox(p.email), ''), p.login)) >= 2
    FROM entitlements_membership m JOIN entitlements_person p ON p.id = m.person_id WHERE m.group_id = which AND p.is_active
$$;
