"""Accounts of one mailbox are one human's, and disabling a person ends every sign-in for good. Only adds."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Func

from entitlements.indexing import AddIndexUnderLoad

# The rule is said in entitlements/mailboxes.py. Which letters are small ones must not depend on the database's locale:
# pg_c_utf8 is built in from PostgreSQL 17 on, and an older server has only its own.
MAILBOX = r"""
DO $do$
DECLARE
    always text := CASE WHEN EXISTS (SELECT FROM pg_collation WHERE collname = 'pg_c_utf8')
                        THEN ' COLLATE pg_catalog.pg_c_utf8' ELSE '' END;
BEGIN
    EXECUTE replace($text$
CREATE OR REPLACE FUNCTION entitlements_mailbox(email text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
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
"""


class Migration(migrations.Migration):
    """A function, an index by it, and a column that the release before need not write."""

    atomic = False
    dependencies: ClassVar = [("entitlements", "0021_what_one_client_was_issued")]
    operations: ClassVar = [
        migrations.RunSQL(MAILBOX, "DROP FUNCTION IF EXISTS entitlements_mailbox(text)"),
        AddIndexUnderLoad(
            "person", models.Index(Func(F("email"), function="entitlements_mailbox"), name="person_by_mailbox")
        ),
        migrations.AddField("person", "sign_ins_valid_after", models.DateTimeField(null=True, blank=True)),
    ]
