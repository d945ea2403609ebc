"""What a token endpoint needs to know about its client, and the system it asks for: one query each, no ORM rows."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit.context import Principal
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.decisions import own_connection
from entitlements.decisions.reads import FeedSubject, Reads, Rows

_CLIENT: Final = """
c.id, c.identifier, c.auth, c.status, c.jwks::text, c.secret_sha256, c.api_scopes::text, c.serves, a.id, a.slug,
a.sponsor_id, a.owner_id, c.credential_made_at, c.previous_secret_sha256, c.previous_jwks::text, c.previous_made_at,
c.previous_ends_at
"""
_WIDTH: Final = 17
"""How many columns those are."""
_SYSTEM: Final = "y.id, y.slug, y.kind, y.upstream_url, y.token_seconds, y.status, y.signing_algorithm"

_BY_ID: Final = f"""
SELECT {_CLIENT} FROM entitlements_client c LEFT JOIN entitlements_agent a ON a.id = c.agent_id WHERE c.identifier = %s
"""  # noqa: S608 - the columns are constants
_AT_SYSTEM: Final = f"""
SELECT {_SYSTEM}, own.foreign_id, {_CLIENT}
FROM entitlements_system y
LEFT JOIN entitlements_clientalias named ON named.system_id = y.id AND named.foreign_id = %(client)s
LEFT JOIN entitlements_client c
       ON c.id = coalesce(named.client_id, (SELECT id FROM entitlements_client WHERE identifier = %(client)s))
LEFT JOIN entitlements_clientalias own ON own.system_id = y.id AND own.client_id = c.id
LEFT JOIN entitlements_agent a ON a.id = c.agent_id
WHERE y.slug = %(system)s AND NOT EXISTS (SELECT FROM entitlements_vendor v WHERE v.system_id = y.id)
"""  # noqa: S608 - the columns are constants
_TARGET: Final = f"""
SELECT {_SYSTEM},
       (SELECT l.foreign_id FROM entitlements_clientalias l WHERE l.system_id = y.id AND l.client_id = %(pk)s),
       EXISTS (SELECT FROM entitlements_clientalias l
                WHERE l.system_id = y.id AND l.foreign_id = %(client)s AND l.client_id <> %(pk)s)
FROM entitlements_system y
WHERE y.slug = %(system)s AND NOT EXISTS (SELECT FROM entitlements_vendor v WHERE v.system_id = y.id)
"""  # noqa: S608 - the columns are constants
_OF_TOKEN: Final = f"""
SELECT {_SYSTEM}, {_CLIENT}, t.jti, t.issued_at, t.expires_at, t.revoked_at, t.scope, t.session_id, p.login,
       t.person_id, t.parent, t.family
FROM entitlements_issuedtoken t
JOIN entitlements_system y ON y.id = t.system_id
JOIN entitlements_client c ON c.id = t.client_id
LEFT JOIN entitlements_agent a ON a.id = t.agent_id
LEFT JOIN entitlements_person p ON p.id = t.person_id
WHERE t.jti = %s
"""  # noqa: S608 - the columns are constants


@dataclass(frozen=True, slots=True)
class Caller:
    """An OAuth client and the agent it belongs to, if it does.

    One whose people have agents of their own belongs to none, until `connected_agent.for_person` says which it is.
    """

    pk: int
    client_id: str
    auth: str
    status: str
    jwks: str
    secret_sha256: str = field(repr=False)
    api_scopes: tuple[str, ...]
    serves: str
    agent_pk: int | None
    agent: str | None
    sponsor_pk: int | None
    owner_pk: int | None
    made: datetime
    previous_secret_sha256: str = field(repr=False)
    previous_jwks: str
    previous_made: datetime | None
    previous_ends: datetime | None

    @property
    def principal(self) -> Principal:
        """Who acts: the agent, or the client itself when it belongs to none."""
        return Principal("agent", self.agent) if self.agent else Principal("client", self.client_id)

    @property
    def links(self) -> list[str]:
        """How its events are found again."""
        return [f"client:{self.client_id}", *([f"agent:{self.agent}"] if self.agent else [])]

    @property
    def is_active(self) -> bool:
        """Whether the client itself is not disabled; the decision asks again, under its lock."""
        return self.status == Client.Status.ACTIVE


@dataclass(frozen=True, slots=True)
class Target:
    """The system that a token is for."""

    pk: int
    slug: str
    kind: str
    upstream_url: str
    token_seconds: int
    status: str
    signing_algorithm: str

    @property
    def is_own_api(self) -> bool:
        """Whether its resources are our own API and decision point: its scopes are what clients are registered for."""
        return self.kind == System.Kind.BUILTIN and not self.is_all_systems

    @property
    def is_all_systems(self) -> bool:
        """Whether it stands for every system behind the gateway at once."""
        return self.kind == System.Kind.BUILTIN and self.slug == addresses.ALL

    @property
    def is_decided_by_gateway(self) -> bool:
        """Whether our gateway holds each call against the grants, so that a token opens nothing by itself."""
        return self.is_all_systems or self.kind in System.SERVED

    @property
    def issuer_path(self) -> str:
        """The path of its resource authorization server."""
        return addresses.issuer_path(self.slug)

    @property
    def issuer(self) -> str:
        """The issuer of its tokens, which is the audience of ID-JAGs for it (EMA-I-2)."""
        return addresses.issuer(self.issuer_path)

    @property
    def resources(self) -> tuple[str, ...]:
        """The resource identifiers that are registered with it (EMA-I-6)."""
        return addresses.resources_of(self.slug, self.kind, self.upstream_url)

    def presented(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claims of an ID-JAG as its server gets them."""
        return dict(claims)

    def own_scopes(self, requested: Iterable[str]) -> tuple[str, ...]:
        """Return what a client asks for by the names of its server."""
        return tuple(requested)

    def server_scopes(self, granted: Iterable[str]) -> tuple[str, ...]:
        """Return how its server calls what is granted."""
        return tuple(granted)


@dataclass(frozen=True, slots=True)
class Issued:
    """What was issued, to whom and for which system; `person` is the login of the user, None without one."""

    target: Target
    caller: Caller
    jti: UUID
    issued: datetime
    expires: datetime
    revoked: datetime | None
    scope: str
    session: UUID | None
    person: str | None


async def find(reads: Reads, client_id: str) -> Caller | None:
    """Find a client by its identifier."""
    rows = await reads.kept(_BY_ID, [client_id], lambda rows: _subjects(rows[0]))
    return _caller(rows[0]) if rows else None


async def find_at(reads: Reads, client_id: str, slug: str) -> tuple[Target | None, Caller | None, str]:
    """Find a system and a client by its identifier there; also returns that identifier (EMA-I-10).

    An alias comes first: where another client's alias is `client_id`, that name means the other client.
    """
    rows = await reads.kept(_AT_SYSTEM, {"client": client_id, "system": slug}, _subjects_at)
    if not rows:
        return None, None, ""
    target, foreign, rest = Target(*rows[0][:7]), rows[0][7], rows[0][8:]
    if rest[0] is None:
        return target, None, ""
    caller = _caller(rest)
    return target, caller, foreign or caller.client_id


async def find_target(reads: Reads, slug: str, caller: Caller) -> tuple[Target | None, str]:
    """Find a system and the client's identifier there, empty when that identifier means another client there."""
    asked = {"system": slug, "pk": caller.pk, "client": caller.client_id}
    rows = await reads.kept(_TARGET, asked, lambda rows: [("system_id", rows[0][0]), ("client_id", caller.pk)])
    if not rows:
        return None, ""
    *columns, foreign, taken = rows[0]
    return Target(*columns), foreign or ("" if taken else caller.client_id)


async def of_token(reads: Reads, jti: UUID) -> Issued | None:
    """Find a token of ours with its client and system, all at once: introspection asks this every time."""
    rows = await reads.kept(_OF_TOKEN, [jti], _subjects_of_token)
    if not rows:
        return None
    row = rows[0]
    after = 7 + _WIDTH
    return Issued(Target(*row[:7]), _caller(row[7:after]), *row[after : after + 7])


def by_id(client_id: str) -> Caller | None:
    """Do as `find` on Django's own connection."""
    return own_connection.run(find(own_connection.READS, client_id))


@functools.lru_cache(maxsize=10_000)
def _caller(row: tuple[Any, ...]) -> Caller:
    """Read a client's columns; the same ones are read once."""
    return Caller(*(*row[:6], tuple(json.loads(row[6])), *row[7:]))


def _subjects(columns: tuple[Any, ...]) -> list[FeedSubject]:
    """Name whom the columns of a client are about."""
    if columns[0] is None:
        return []
    about: list[FeedSubject] = [("client_id", columns[0])]
    return about + ([("agent_id", columns[8])] if columns[8] is not None else [])


def _subjects_at(rows: Rows) -> list[FeedSubject]:
    """Name whom a client at a system is about; a name that no client has there is asked for again each time."""
    return [("system_id", rows[0][0]), *_subjects(rows[0][8:])] if rows[0][8] is not None else []


def _subjects_of_token(rows: Rows) -> list[FeedSubject]:
    row, token = rows[0], rows[0][7 + _WIDTH :]
    person, parent, family = token[7:10]
    about = [("system_id", row[0]), *_subjects(row[7 : 7 + _WIDTH]), ("token_id", token[0])]
    about += [("session_id", token[5])] if token[5] else []
    about += [("person_id", person)] if person else []
    about += [("token_family_id", family)] if family else []
    return about + ([("token_id", parent)] if parent else [])
