"""Loading many rows at once: as the tables' owner, who puts secondary indexes and references back after the rows.

What is checked row by row otherwise is then checked by one statement a table. Others wait for these tables meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg

_REFERENCES: Final = """
SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY(%s::regclass[])
"""
_INDEXES: Final = """
SELECT i.indexrelid::regclass::text, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') FROM pg_index i
 WHERE i.indrelid = ANY(%s::regclass[]) AND NOT i.indisunique
   AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


@contextmanager
def loading(owner: str, tables: Sequence[str]) -> Iterator[psycopg.Cursor]:
    """Yield a cursor of the owner in one transaction, in which these tables stand bare until the end of the block."""
    with psycopg.connect(owner) as connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL maintenance_work_mem = '256MB'; SET LOCAL work_mem = '128MB'")
        references = cursor.execute(_REFERENCES, [list(tables)]).fetchall()
        indexes = cursor.execute(_INDEXES, [list(tables)]).fetchall()
        for name, table, _ in references:
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}".encode())
        yield cursor
        for _, definition in indexes:
            cursor.execute(definition.encode())
        for name, table, definition in references:
            cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}'.encode())
