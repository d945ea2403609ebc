"""An index that is built while others read and write its table: for migrations on large tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.postgres.operations import AddIndexConcurrently

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState


class AddIndexUnderLoad(AddIndexConcurrently):
    """As its base, and again after it was broken off: what such a try left behind is taken away, what it made stays.

    It waits as long as others take that began before: nobody waits behind it. Its migration is not `atomic`.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Build the index, unless it is there already."""
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 0")
            try:
                cursor.execute(
                    "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(%s)", [self.index.name]
                )
                found = cursor.fetchone()
                if found == (False,):
                    schema_editor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(self.index.name)}")
                if found != (True,):
                    super().database_forwards(app_label, schema_editor, from_state, to_state)
            finally:
                cursor.execute("RESET lock_timeout")
