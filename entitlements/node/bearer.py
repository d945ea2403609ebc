"""Who calls: an access token of ours (RFC 9068), for exactly this resource, checked with our own keys and no other.

A token that was checked is kept under its SHA-256, never under itself, until a key or a client changes. Whether it was
revoked is not decided here: that is a fact about the agent, and the policy looks at it on every call.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.conf import settings

from audit import clock
from audit.context import Principal
from entitlements import addresses
from entitlements.authorization_details import details
from entitlements.codes import Code
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import Call, Chain, Token
from entitlements.dpop import proofs
from entitlements.keys import act_claim, issuer_keys, jws
from entitlements.keys.issuer_keys import IssuerKey
from entitlements.node.directory import Directory
from entitlements.node.refusals import Refused
from entitlements.node.snapshots import Snapshots
from entitlements.traces.trace_context import is_trace
from entitlements.words import LONGEST_CLIENT_ID

MOST_KEPT: Final = 50_000
_KEYS_AGAIN_AFTER: Final = 1.0
_CLIENT: Final = """
SELECT c.identifier, c.auth = 'none', coalesce(a.slug, (
    SELECT b.slug FROM entitlements_connection k JOIN entitlements_person p ON p.id = k.person_id
    JOIN entitlements_agent b ON b.id = k.agent_id
    WHERE k.client_id = c.id AND p.login = %(person)s AND b.slug = %(actor)s LIMIT 1))
FROM entitlements_system y
LEFT JOIN entitlements_clientalias l ON l.system_id = y.id AND l.foreign_id = %(client)s
JOIN entitlements_client c
  ON c.id = coalesce(l.client_id, (SELECT id FROM entitlements_client WHERE identifier = %(client)s))
LEFT JOIN entitlements_agent a ON a.id = c.agent_id
WHERE y.slug = %(system)s
"""
"""The client, and its agent: its own, or the person's by a connection. One that ended still says whose token it is: the
policy, to whose facts the client belongs no longer, refuses the call and records it."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who presented a valid token: `agent` is empty for a client that belongs to none, `person` None without a user.

    `jkt` is the thumbprint of the key that it is bound to (RFC 9449 section 6.1), empty for a bearer token. `trace` is
    that of the session, or of the token where there is none (the claim `txn`).
    """

    resource: str
    token: Token
    agent: str
    client: str
    person: str | None
    session: str | None
    chain: Chain = ()
    jkt: str = ""
    needs_nonce: bool = False
    scheme: bytes = b"bearer"
    trace: str = ""

    @property
    def principal(self) -> Principal:
        """Who acts."""
        return Principal("agent", self.agent) if self.agent else Principal("client", self.client)

    def asks(self, system: str, tool: str = "", arguments: Mapping[str, object] | None = None) -> Call:
        """Return the question whether this caller may call a tool; without one, whether it may see the system."""
        return Call(
            self.agent, self.client, self.person, system, tool, arguments or {}, self.token, self.session,
            chain=self.chain,
        )  # fmt: skip

    @property
    def caller(self) -> str:
        """Who has a share of what all use: the agent, or a client that belongs to none."""
        return self.agent or f"client {self.client}"

    @property
    def key(self) -> tuple[str, str | None, str]:
        """The three for whom alone a session, ours or an upstream's, is used."""
        return self.agent, self.person, self.client


@dataclass(frozen=True, slots=True)
class _Keys:
    by_kid: Mapping[str, IssuerKey]
    read_at: float


class Bearers:
    """Checks tokens, and remembers which it has checked."""

    def __init__(self, snapshots: Snapshots, directory: Directory) -> None:
        self._snapshots, self._directory = snapshots, directory
        self._checked: dict[bytes, Bearer] = {}
        self._keys: dict[str, _Keys] = {}
        self._reading: dict[str, asyncio.Task[_Keys]] = {}
        self._generation = 0
        self._takes_unbound = settings.DPOP_REQUIRED != "all"

    def forget_client(self, client: str) -> None:
        """Check the tokens of one client again: it changed, or its name at a system."""
        self._generation += 1
        self._checked = {digest: bearer for digest, bearer in self._checked.items() if bearer.client != client}

    def forget(self) -> None:
        """Check every token again: a key changed."""
        self._generation += 1
        self._checked.clear()
        self._keys.clear()
        self._reading.clear()

    async def check(self, authorization: bytes | None, system: str, resource: str) -> Bearer:
        """Return who presents this Authorization header at a resource of a system. Raises Refused, Closed.

        The proof for one with a `jkt` is the caller's to check. Such a token as a bearer one is refused here (RFC 9449
        section 7.2), and a bearer one as such.

        A caller who presents nothing that could be a token of this system is refused before anything is looked up.
        """
        if not authorization:
            raise Refused(Code.TOKEN_MISSING)
        scheme, _, token = authorization.partition(b" ")
        if (scheme := scheme.lower()) not in (b"bearer", b"dpop") or not token:
            raise Refused(Code.TOKEN_MISSING)
        digest = hashlib.sha256(token).digest()
        bearer = self._checked.get(digest)
        if bearer is None:
            generation = self._generation
            bearer = await self._check(token, system, resource)
            if generation == self._generation:
                self._keep(digest, bearer)
        if scheme != bearer.scheme:
            raise Refused(Code.PROOF_INVALID, "The token and the scheme of the Authorization header do not fit.")
        if bearer.resource != resource:
            raise Refused(Code.AUDIENCE_MISMATCH)
        if not clock.now().timestamp() < bearer.token.expires:
            raise Refused(Code.TOKEN_EXPIRED)
        return bearer

    def _keep(self, digest: bytes, bearer: Bearer) -> None:
        while len(self._checked) >= MOST_KEPT:
            del self._checked[next(iter(self._checked))]
        self._checked[digest] = bearer

    async def _check(self, token: bytes, system: str, resource: str) -> Bearer:
        try:
            unverified = jws.read(token.decode("ascii"))
            claims = await self._verified(unverified, system)
            if jws.sole_audience(claims) != resource:
                raise Refused(Code.AUDIENCE_MISMATCH)
            jws.check_times(claims, clock.now().timestamp(), leeway=1.0)
            return await self._bearer(claims, system, resource)
        except jws.TokenExpired as why:
            raise Refused(Code.TOKEN_EXPIRED) from why
        except proofs.BadProof as why:
            raise Refused(Code.PROOF_INVALID, why.message) from why
        except (jws.BadToken, scopes.ScopeMalformed, details.DetailsInvalid, UnicodeDecodeError) as why:
            raise Refused(Code.TOKEN_INVALID) from why

    async def _verified(self, unverified: jws.Unverified, system: str) -> Mapping[str, Any]:
        path = addresses.issuer_path(system)
        if unverified.typ != "at+jwt" or unverified.claims.get("iss") != addresses.issuer(path):
            raise jws.BadToken
        kid = unverified.kid or ""
        keys = self._keys.get(path)
        if keys is None and system not in addresses.RESERVED and not await self._directory.knows(system):
            raise Refused(Code.SYSTEM_UNKNOWN)
        if keys is None or (kid not in keys.by_kid and time.monotonic() - keys.read_at > _KEYS_AGAIN_AFTER):
            keys = await self._read_keys(path)
        known = keys.by_kid.get(kid)
        if known is not None and known.is_next:
            jws.check(unverified, known.key)  # by another node, which heard before this one that the key is in use
            known = (await self._read_keys(path)).by_kid.get(kid)
        if known is None or not known.counts:
            raise jws.BadToken
        return jws.check(unverified, known.key)

    async def _read_keys(self, path: str) -> _Keys:
        """Read the keys of an issuer, once for all who wait for them."""
        task = self._reading.get(path)
        if task is None:
            task = self._reading[path] = asyncio.create_task(self._query_keys(path))
            task.add_done_callback(lambda done: self._reading.get(path) is done and self._reading.pop(path))
        return await asyncio.shield(task)

    async def _query_keys(self, path: str) -> _Keys:
        generation = self._generation
        rows = await self._snapshots.query(issuer_keys.KEYS, [path])
        keys = _Keys(issuer_keys.read(rows), time.monotonic())
        if generation == self._generation:
            self._keys[path] = keys
        return keys

    async def _bearer(self, claims: Mapping[str, Any], system: str, resource: str) -> Bearer:
        presented = jws.text(claims, "client_id", longest=LONGEST_CLIENT_ID)
        actor, person, chain = _delegated(claims)
        asked = {"client": presented, "system": system, "person": person, "actor": actor}
        rows = await self._snapshots.query(_CLIENT, asked)
        if not rows:
            raise Refused(Code.CLIENT_UNKNOWN)
        client, is_public, agent = rows[0]
        if person is not None and actor != agent:
            raise jws.BadToken
        issued, expires = jws.moment(claims, "iat"), jws.moment(claims, "exp")
        opened, covers_all = scopes.opened(_words(claims.get("scope", "")), claims.get(scopes.AGREED))
        covered = details.asked({}, resource, claims)
        token = Token(jws.text(claims, "jti"), issued or 0.0, expires or 0.0, opened, covers_all, covered)
        session = jws.text(claims, "sid") if "sid" in claims else None
        jkt = proofs.key_of(claims)
        if not jkt and not self._takes_unbound:
            raise Refused(Code.PROOF_INVALID, "Only tokens that are bound to a key are taken here.")
        trace = txn if is_trace(txn := claims.get("txn")) else ""
        bearer = Bearer(resource, token, agent or "", client, person, session, chain, trace=str(trace))
        return replace(bearer, jkt=jkt, needs_nonce=is_public, scheme=b"dpop") if jkt else bearer


def _delegated(claims: Mapping[str, Any]) -> tuple[str | None, str | None, Chain]:
    """Return the agent that acts, for whom, and those behind it; none where a client acts for itself.

    Raises BadToken.
    """
    if (act := act_claim.read(claims)) is None:
        return None, None, ()
    return act.agent, jws.text(claims, "sub"), act.behind


def _words(scope: object) -> Iterator[str]:
    if not isinstance(scope, str):
        raise jws.BadToken
    return iter(scope.split())
