"""The two statements that write events, each with its pending row. Shared by the transactional and the batch writer."""

from typing import Any, Final
from uuid import UUID

from audit.draft import Draft

INSERT_ONE: Final = """
WITH event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body, personal)
    VALUES (%(at)s, %(uuid)s, %(action)s, %(links)s, %(trace)s, %(producer)s, %(sequence)s, %(body)s, %(personal)s)
)
INSERT INTO pending (at, uuid, producer, sequence) VALUES (%(at)s, %(uuid)s, %(producer)s, %(sequence)s)
"""

INSERT_MANY: Final = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        %(at)s::timestamptz[], %(uuid)s::uuid[], %(action)s::text[], %(links)s::text[], %(trace)s::text[],
        %(sequence)s::bigint[], %(body)s::text[], %(personal)s::jsonb[]
    ) AS row (at, uuid, action, links, trace, sequence, body, personal)
), event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body, personal)
    SELECT at, uuid, action, links::text[], trace, %(producer)s::uuid, sequence, body, personal FROM given
)
INSERT INTO pending (at, uuid, producer, sequence)
SELECT at, uuid, %(producer)s::uuid, sequence FROM given ORDER BY sequence
"""


def columns(drafts: list[Draft], producer: UUID, first: int) -> dict[str, Any]:
    """Turn drafts into the column arrays of INSERT_MANY, numbered from `first`."""
    return {
        "at": [d.at for d in drafts],
        "uuid": [d.uuid for d in drafts],
        "action": [d.action for d in drafts],
        "links": [_array(d.links) for d in drafts],
        "trace": [d.trace for d in drafts],
        "producer": producer,
        "sequence": list(range(first, first + len(drafts))),
        "body": [d.body(producer, first + place) for place, d in enumerate(drafts)],
        "personal": [None] * len(drafts),
    }


def _array(links: list[str]) -> str:
    """Write a PostgreSQL array literal: unnest() would flatten an array of arrays."""
    quoted = (link.replace("\\", "\\\\").replace('"', '\\"') for link in links)
    return "{" + ",".join(f'"{link}"' for link in quoted) + "}"
