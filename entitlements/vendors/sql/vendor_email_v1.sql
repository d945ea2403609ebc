-- A person's mail address for one vendor, for a role that may read no mail addresses: only where it was chosen that this
-- vendor gets them, and to which an ID-JAG is issued at all.
CREATE OR REPLACE FUNCTION vendor_email_v1(p_system bigint, p_person bigint)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p.email FROM entitlements_person p, entitlements_vendor v
     WHERE p.id = p_person AND v.system_id = p_system AND v.issues AND v.joins = 'our_issuer'
       AND (v.subjects = 'email' OR v.extra_claims ? 'email')
$$;
REVOKE ALL ON FUNCTION vendor_email_v1 FROM PUBLIC;
