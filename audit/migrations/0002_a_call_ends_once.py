"""A second end of one call is refused: the uuid of an end follows from its call (`entitlements/gateway/records.py`).

A partitioned table can only be unique together with its partition key, so each month has an index of its own; two ends
on both sides of midnight between two months are the gateway's alone to prevent. Ends written before this migration
have uuids at random, so building the indexes finds nothing twice.
"""

from typing import TYPE_CHECKING, ClassVar

from django.db import migrations

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

ENDS = "action IN (''call.finished'', ''call.withdrawn'', ''call.indeterminate'')"

# Months that are made from now on get the index while they are still empty.
LATER_MONTHS = f"""
DO $do$
DECLARE
    before text := pg_get_functiondef('ensure_event_months'::regproc);
    made constant text := $$EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', name);$$;
    indexed constant text := $$
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (uuid) WHERE {ENDS}',
                       'one_end_per_call_' || name, name);$$;
BEGIN
    IF position(made IN before) = 0 THEN
        RAISE EXCEPTION 'ensure_event_months is not the function that this migration knows';
    END IF;
    IF position(indexed IN before) = 0 THEN
        EXECUTE replace(before, made, made || indexed);
    END IF;
END $do$;
"""

PARTITIONS = """
SELECT c.relname, i.indisvalid FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
  LEFT JOIN pg_index i ON i.indexrelid = to_regclass(quote_ident('one_end_per_call_' || c.relname))
 WHERE p.inhparent = 'events'::regclass ORDER BY c.relname
"""


def index_each_month(_: "Apps", editor: "BaseDatabaseSchemaEditor") -> None:
    """Build the index of each partition while others write; what a try left behind that was broken off is built anew."""
    quote, ends = editor.quote_name, ENDS.replace("''", "'")
    with editor.connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        found = cursor.fetchall()
        cursor.execute("SET lock_timeout = 0")  # nothing waits behind a build that goes on beside it
        try:
            for partition, is_valid in found:
                name = quote(f"one_end_per_call_{partition}")
                if is_valid is False:
                    cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
                if not is_valid:
                    cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {quote(partition)} (uuid) WHERE {ends}")
        finally:
            cursor.execute("RESET lock_timeout")


class Migration(migrations.Migration):
    """Change what makes months first, so that none comes between."""

    atomic = False
    dependencies: ClassVar = [("audit", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(LATER_MONTHS, migrations.RunSQL.noop),
        migrations.RunPython(index_each_month, migrations.RunPython.noop),
    ]
