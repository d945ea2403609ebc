"""Find one event by its id: the address of a decision names no time, by which alone events were found."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models

_PARTS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1"


def build(_apps: Any, editor: Any) -> None:
    """Build the index a month at a time, so that events are recorded all the while. It may be run again."""
    with editor.connection.cursor() as cursor:
        cursor.execute("CREATE INDEX IF NOT EXISTS events_by_id ON ONLY events (uuid)")
        cursor.execute(_PARTS)
        for (part,) in cursor.fetchall():
            cursor.execute("SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid", [f"{part}_by_id"])
            if cursor.fetchone():
                cursor.execute(f"DROP INDEX CONCURRENTLY {part}_by_id")
            cursor.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {part}_by_id ON {part} (uuid)")
            cursor.execute(f"ALTER INDEX events_by_id ATTACH PARTITION {part}_by_id")


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("audit", "0003_anchor_states")]
    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(build, migrations.RunPython.noop)],
            [migrations.AddIndex("event", models.Index(name="events_by_id", fields=["uuid"]))],
        )
    ]
