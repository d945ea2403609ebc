-- The mailbox that an address leads to, as `entitlements/people/mailboxes.py` has it: accounts of one mailbox are one human's.
-- Which letters are small ones must not depend on the database's locale: pg_c_utf8 is built in from PostgreSQL 17 on,
-- and an older server has only its own. The index person_by_mailbox is made with this function: a change of what it
-- returns needs a migration that builds the index again.
DO $do$
DECLARE
    always text := CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'pg_c_utf8')
                        THEN ' COLLATE pg_catalog.pg_c_utf8' ELSE '' END;
BEGIN
    EXECUTE replace($text$
CREATE OR REPLACE FUNCTION entitlements_mailbox(email text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    small text := btrim(lower(normalize(email, NFKC) THE_COLLATION));
    local text := regexp_replace(small, '@[^@]*$', '');
    domain text := rtrim(regexp_replace(small, '^.*@', ''), '.');
BEGIN
    IF position('@' IN small) = 0 THEN
        RETURN small;
    END IF;
    IF length(local) > 1 AND local LIKE '"%"' THEN
        local := replace(substr(local, 2, length(local) - 2), '\', '');
    END IF;
    IF position('+' IN local) > 1 THEN
        local := split_part(local, '+', 1);
    END IF;
    IF domain IN ('gmail.com', 'googlemail.com') THEN
        local := coalesce(nullif(replace(local, '.', ''), ''), local);
        domain := 'gmail.com';
    END IF;
    RETURN local || '@' || domain;
END $$
$text$, ' THE_COLLATION', always);
END $do$;
