"""A client's identifier may be the address of its metadata document."""

from typing import ClassVar

from django.db import migrations, models

_WIDER = """
DO $$
DECLARE
    watched text;
BEGIN
    -- A trigger that watches a column holds its type; it comes back as it was.
    SELECT pg_get_triggerdef(t.oid) INTO watched FROM pg_trigger t
     WHERE t.tgname = 'a_live_client_holds_what_was_accepted' AND t.tgrelid = 'entitlements_client'::regclass;
    IF watched IS NOT NULL THEN
        DROP TRIGGER a_live_client_holds_what_was_accepted ON entitlements_client;
    END IF;
    ALTER TABLE entitlements_client ALTER COLUMN client_id TYPE varchar(1000);
    ALTER TABLE entitlements_clientcredential ALTER COLUMN client_id TYPE varchar(1000);
    IF watched IS NOT NULL THEN
        EXECUTE watched;
    END IF;
END $$
"""


class Migration(migrations.Migration):
    """Widen both columns that hold one."""

    dependencies: ClassVar = [("entitlements", "0006_token_families")]

    operations: ClassVar = [
        migrations.RunSQL(
            _WIDER,
            migrations.RunSQL.noop,
            state_operations=[
                migrations.AlterField(
                    "client", "client_id", models.CharField(max_length=1000, unique=True, verbose_name="client ID")
                ),
                migrations.AlterField("clientcredential", "client_id", models.CharField(max_length=1000)),
            ],
        ),
    ]
