"""Large reads, a part at a time: a cursor of the server that lives in a transaction, as a transaction pooler allows.

Django's own `iterator()` opens its cursor outside transactions too and would lose it there. The settings therefore keep
it to the client (DISABLE_SERVER_SIDE_CURSORS), where it holds all rows at once: enough for short lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connections, models
from django.db.transaction import TransactionManagementError


def in_parts[Row](rows: models.QuerySet[Any, Row], size: int = 2000) -> Iterator[Row]:
    """Yield the rows of a query, `size` of them in memory at a time.

    The transaction must last until the last row is read. Raises TransactionManagementError outside of one.
    """
    if not connections[rows.db].in_atomic_block:
        raise TransactionManagementError("A large read needs a transaction around it, and this one has none.")
    return iter(rows._iterator(use_chunked_fetch=True, chunk_size=size))  # type: ignore[attr-defined]  # noqa: SLF001
