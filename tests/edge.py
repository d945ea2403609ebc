"""The edge without its process: the same endpoints, in the thread and over the connection of the test.

What a test made in its own transaction is seen, and what the edge writes is rolled back with it.
"""

# ruff: noqa: ANN401 - as Django's client says them

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import HttpResponse
from django.test import Client

from audit.draft import Draft
from audit.refusals import refusals
from entitlements import addresses, prepared, ratelimits
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.decisions import own_connection
from entitlements.decisions.own_connection import OwnConnection
from entitlements.edge import issuer
from entitlements.edge.door import Received
from entitlements.edge.rotation import write as rotation_write
from entitlements.edge.rotation.write import Rotation
from entitlements.edge.signals import event_writer
from entitlements.edge.signals.event_writer import TakenEvent
from entitlements.edge.used_here import UsedHere
from entitlements.keys import signing
from entitlements.node.refusals import Closed
from entitlements.tokens import issue_family_token, issue_token, revoke_family, revoke_tokens
from entitlements.tokens.issue_family_token import FamilyStep
from entitlements.tokens.issue_token import Answer, Basis, Claim, Claims, Outcome, TokenRow
from entitlements.tokens.revoke_family import FamilyRevocation
from entitlements.tokens.revoke_tokens import TokenRevocation
from entitlements.upstream import egress


class Reads(OwnConnection):
    """Reads what is there now, but assumes what a node would."""

    def __init__(self, *, is_fresh: bool = False) -> None:
        self.is_fresh, self.is_from_memory = is_fresh, False

    def fresh(self) -> Reads:
        return Reads(is_fresh=True)

    def may_trust(self) -> bool:
        self.is_from_memory |= not self.is_fresh
        return not self.is_fresh

    def known(self, *_: Any) -> None:
        """Know nothing without reading it."""

    def keep(self, *what: Any) -> None:
        """Keep nothing."""

    def keep_session(self, *what: Any) -> None:
        """Keep nothing."""

    async def rows(self, statement: str, values: Any = ()) -> Any:
        with closed():
            return await super().rows(statement, values)

    async def kept(self, statement: str, values: Any, about: Any) -> Any:
        with closed():
            return await super().kept(statement, values, about)


class OwnTransaction:
    """`entitlements/edge/outside.py` over Django's own connection."""

    def __init__(self) -> None:
        self._used = UsedHere()

    def position(self) -> int:
        with closed():
            return int(prepared.rows("SELECT coalesce(max(seq), 0) FROM entitlements_change")[0][0])

    def reads(self) -> Reads:
        return Reads()

    async def document(self, url: str) -> Any:
        return egress.read_json(url)

    def turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()  # one request at a time: nothing waits

    def check_rate(self, who: str, limit: str = ratelimits.TOKENS) -> None:
        ratelimits.check(limit, who)

    def is_used_here(self, claim: Claim) -> bool:
        return self._used.knows(claim)

    def claim_here(self, claim: Claim) -> bool:
        return self._used.claim(claim)

    async def mint(
        self, basis: Basis, row: TokenRow, event: Draft, claims: Claims, family: FamilyStep | None = None
    ) -> Answer:
        moved, basis = basis.decided, replace(basis, decided=datetime.now(UTC))
        if abs((moved - basis.decided).total_seconds()) < 1:
            basis = replace(basis, decided=moved)
        token = issue_token.mint(basis, row, event, uuid4(), claims)
        if family is None:
            written = write(issue_token.PSYCOPG, token)
        else:
            written = write(issue_family_token.PSYCOPG, issue_family_token.parameters(token, family))
        if moved != basis.decided and written.outcome is Outcome.ISSUED:
            _move(row, moved)
            _move_family(family, moved)
        return written

    async def end(self, what: TokenRevocation, event: Draft, proof: Claim | None) -> Answer:
        return write(revoke_tokens.PSYCOPG, revoke_tokens.parameters(what, event, uuid4(), proof))

    async def end_family(self, what: FamilyRevocation, event: Draft, proof: Claim | None) -> Answer:
        return write(revoke_family.PSYCOPG, revoke_family.parameters(what, event, uuid4(), proof))

    async def rotate(self, what: Rotation, event: Draft, proof: Claim | None) -> Answer:
        return write(rotation_write.PSYCOPG, rotation_write.parameters(what, event, uuid4(), proof))

    async def refuse(self, event: Draft, claims: Claims) -> Answer:
        return write(issue_token.PSYCOPG, issue_token.refuse(event, uuid4(), claims))

    async def take_event(self, event: TakenEvent) -> None:
        with closed():
            prepared.rows(event_writer.TAKE, event_writer.parameters([event]))

    async def count_stranger(self, kind: str, source: str) -> None:
        with closed():
            refusals.count_stranger(kind, source)


class Browser(Client):
    """A browser of the console, and a client of the edge: each address is answered by what serves it."""

    def generic(  # type: ignore[override]  # what all callers give by name, it gives on by name
        self, method: str, path: str, data: Any = "", *args: Any, **more: Any
    ) -> Any:
        """Answer machine endpoints on the edge; documents stand on the console's host too, and are asked for there."""
        where = path.partition("?")[0]
        if not issuer.serves(where) or issuer.document(where) is not None:
            return super().generic(method, path, data, *args, **more)
        kind = args[0] if args else more.get("content_type", "application/octet-stream")
        headers = {name.lower(): str(value) for name, value in (more.get("headers") or {}).items()}
        headers |= {
            name[5:].lower().replace("_", "-"): str(value) for name, value in more.items() if name[:5] == "HTTP_"
        }
        body = data if isinstance(data, bytes) else str(data).encode()
        source = str(more.get("REMOTE_ADDR", self.defaults.get("REMOTE_ADDR", "127.0.0.1")))
        answer = request(method, where, {"content-type": kind, **headers}, body, source)
        answer.json = lambda: json.loads(answer.content)  # type: ignore[attr-defined]  # as Django's client gives it
        return answer


def request(
    method: str, path: str, headers: dict[str, str], body: bytes = b"", source: str = "127.0.0.1"
) -> HttpResponse:
    """Answer one request as the edge does."""
    _make_key(path)
    received = Received(method, path, headers, body, source)
    answer = own_connection.run(issuer.answer(OUTSIDE, received))
    given = {name.decode().title(): value.decode() for name, value in answer.headers}
    return HttpResponse(answer.body, status=answer.status, headers=given)


def _make_key(path: str) -> None:
    """Give the issuer its key: registering a system does, and rows that a test makes without are given one here."""
    name, slug, endpoint = issuer.parts(path)
    where = addresses.IDP if name == addresses.IDP else addresses.issuer_path(slug)
    if endpoint == "token" and (name == addresses.IDP or System.objects.filter(slug=slug).exists()):
        signing.ensure(where)


@contextlib.contextmanager
def closed() -> Iterator[None]:
    """Say what a node says when its database fails."""
    try:
        yield
    except (DatabaseError, InterfaceError) as why:
        raise Closed(Code.RECORD_UNAVAILABLE) from why


def _move(row: TokenRow, moved: datetime) -> None:
    """Let a token be of the time that the test has moved the clock to: the database's own cannot be moved."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE entitlements_issuedtoken SET issued_at = %s WHERE jti = %s", [moved, row.jti])
        if row.begins:
            cursor.execute("UPDATE entitlements_session SET started_at = %s WHERE id = %s", [moved, row.session])
        cursor.execute("UPDATE entitlements_session SET last_used_at = %s WHERE id = %s", [moved, row.session])


def _move_family(step: FamilyStep | None, moved: datetime) -> None:
    """Let what a step wrote of its family be of that time too."""
    if step is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("UPDATE entitlements_tokenfamily SET last_used_at = %s WHERE id = %s", [moved, step.family])
        if step.begins:
            cursor.execute("UPDATE entitlements_tokenfamily SET started_at = %s WHERE id = %s", [moved, step.family])
        if step.rotates:
            cursor.execute("UPDATE entitlements_tokenfamily SET retired[1] = %s WHERE id = %s", [moved, step.family])


def write(statement: str, values: list[Any]) -> Answer:
    with closed(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return issue_token.answer(cursor.fetchone())


OUTSIDE = OwnTransaction()
