-- All accounts of the people given: accounts of one mailbox are one human's. Rules that ask for a second person use it.
CREATE OR REPLACE FUNCTION governance_accounts_of(bigint[]) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    SELECT array_agg(DISTINCT v.id) FROM entitlements_person n
      JOIN entitlements_person v
        ON v.id = n.id OR (n.email <> '' AND entitlements_mailbox(v.email) = entitlements_mailbox(n.email))
     WHERE n.id = ANY ($1)
$$;
