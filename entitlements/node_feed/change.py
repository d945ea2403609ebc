"""One row of the change feed as a node reads it: whom it concerns, by name and by key."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from entitlements.decisions.reads import FeedSubject
from entitlements.feed.models import SUBJECTS
from entitlements.feed.subjects import KINDS

READ: Final = """
SELECT clock_timestamp(), (SELECT coalesce(max(seq), 0) FROM entitlements_change), c.seq, c.kind,
       c.concerns_all OR num_nonnulls(c.agent_id, c.person_id, c.group_id, c.client_id, c.system_id, c.tool_id,
           c.grant_id, c.trusted_issuer_id, c.identity_link_id, c.signing_key_id, c.session_id, c.token_id,
           c.client_session_id, c.token_family_id) = 0
         OR num_nonnulls(c.agent_id, c.person_id, c.client_id, c.system_id, c.tool_id)
            <> num_nonnulls(a.slug, p.login, k.identifier, y.slug, x.slug)
         OR num_nonnulls(c.grant_id, c.session_id, c.token_family_id) > 0 AND c.agent_id IS NULL,
       a.slug, p.login, c.group_id, k.identifier, coalesce(y.slug, x.slug, z.slug),
       c.agent_id, c.person_id, c.client_id, coalesce(c.system_id, t.system_id), c.tool_id, c.grant_id,
       c.trusted_issuer_id, c.identity_link_id, c.signing_key_id, c.session_id, c.token_id, c.client_session_id,
       c.token_family_id
FROM (SELECT 1) AS one LEFT JOIN entitlements_change c ON c.seq > %s
LEFT JOIN entitlements_agent a ON a.id = c.agent_id
LEFT JOIN entitlements_person p ON p.id = c.person_id
LEFT JOIN entitlements_client k ON k.id = c.client_id
LEFT JOIN entitlements_system y ON y.id = c.system_id
LEFT JOIN (entitlements_tool t JOIN entitlements_system x ON x.id = t.system_id) ON t.id = c.tool_id
LEFT JOIN (entitlements_grant g JOIN entitlements_entitlement e ON e.id = g.entitlement_id
           JOIN entitlements_system z ON z.id = e.system_id) ON g.id = c.grant_id AND c.system_id IS NULL
ORDER BY c.seq LIMIT %s
"""
"""A change of one that is no longer there, or of something whose agent it does not name, concerns all."""

_KEYS: Final = tuple(name for name in SUBJECTS if name != "group_id")
"""The keys that READ returns last, in its order."""


class Change(NamedTuple):
    """One row of the feed: whom it concerns, by the names that cached facts are kept under, and by their keys.

    `system` is also that of a tool or a grant which changed. What this release does not know concerns all.
    """

    seq: int
    kind: str
    concerns_all: bool
    agent: str | None = None
    person: str | None = None
    group: int | None = None
    client: str | None = None
    system: str | None = None
    subjects: tuple[FeedSubject, ...] = ()


def of_row(row: tuple[Any, ...]) -> Change:
    """Return the change that a row of READ tells, without its first two columns."""
    seq, kind, concerns_all, agent, person, group, client, system, *keys = row
    subjects = [(column, key) for column, key in zip(_KEYS, keys, strict=True) if key is not None]
    subjects += [("group_id", group)] if group is not None else []
    return Change(seq, kind, concerns_all or kind not in KINDS, agent, person, group, client, system, tuple(subjects))
