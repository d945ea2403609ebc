"""The two statements that write events, each with its pending row. Shared by the transactional and the batch writer."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg.types.json import Json

from audit.draft import Draft, TextDraft

INSERT_ONE: Final = """
WITH event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body, personal)
    VALUES (%(at)s, %(uuid)s, %(action)s, %(links)s, %(trace)s, %(producer)s, %(sequence)s, %(body)s, %(personal)s)
)
INSERT INTO pending (at, uuid, producer, sequence) VALUES (%(at)s, %(uuid)s, %(producer)s, %(sequence)s)
"""

# One JSON parameter: adapting an array a column costs the gateway's event loop three times as much.
INSERT_MANY: Final = """
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s) AS row (
        at timestamptz, uuid uuid, action text, links text[], trace text, sequence bigint, body text
    )
), event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body)
    SELECT at, uuid, action, links, trace, %(producer)s, sequence, body FROM given
)
INSERT INTO pending (at, uuid, producer, sequence)
SELECT at, uuid, %(producer)s, sequence FROM given ORDER BY sequence
"""

CLAIM_AND_INSERT_MANY: Final = """
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s) AS row (
        at timestamptz, uuid uuid, action text, links text[], trace text, sequence bigint, body text
    )
), claimed AS (
    {claim}
), event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body)
    SELECT at, uuid, action, links, trace, %(producer)s, sequence, body FROM given
    WHERE (SELECT count(*) FROM claimed) = %(claims)s
), written AS (
    INSERT INTO pending (at, uuid, producer, sequence)
    SELECT at, uuid, %(producer)s, sequence FROM given
    WHERE (SELECT count(*) FROM claimed) = %(claims)s ORDER BY sequence
)
SELECT of, name FROM claimed
"""
"""As INSERT_MANY, with names that are used up: where one was used before, the others are claimed and nothing is
written."""


def columns(drafts: Sequence[Draft | TextDraft], producer: UUID, first: int) -> dict[str, Any]:
    """Turn drafts into the parameters of INSERT_MANY, numbered from `first`."""
    rows = [
        {
            "at": event.moment,
            "uuid": event.uuid,
            "action": event.action,
            "links": event.links,
            "trace": event.trace,
            "sequence": sequence,
            "body": event.body(producer, sequence),
        }
        for sequence, event in enumerate(drafts, first)
    ]
    return {"rows": Json(rows, dumps=msgspec.json.encode), "producer": producer}
