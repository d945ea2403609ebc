"""What the code flow and its refresh give at `/idp`: an ID token for who signed in, with an opaque access token."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from audit import context, draft
from audit.actions import Action
from audit.context import Principal
from audit.draft import Draft
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.decisions import guardrails
from entitlements.decisions.snapshot import Token
from entitlements.edge import door
from entitlements.edge.door import Attempt
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.keys import in_use
from entitlements.people import sign_ins
from entitlements.session_policies.rules import SignedIn
from entitlements.signers.signers import OwnKey
from entitlements.token_families import refresh_tokens
from entitlements.tokens.issue import NotIssued
from entitlements.tokens.issue_family_token import MOVED, FamilyMoved, FamilyStep
from entitlements.tokens.issue_token import Basis, Outcome, TokenRow
from entitlements.words import Flow

SECONDS: Final = 300
"""How long the ID token lives, and the access token beside it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an ID token is issued for. `signed_in` are the claims about the sign-in, `family` is its place in one."""

    flow: Flow
    person: int
    login: str
    scope: str
    signed_in: Mapping[str, Any]
    nonce: str = ""
    family: FamilyStep | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def links(self) -> list[str]:
        """How the event of the token is found again."""
        family = [f"token_family:{self.family.family}"] if self.family else []
        return [f"person:{self.login}", *family]


async def check_rights(attempt: Attempt, caller: Caller, grant: Grant, redeemed: Token, moment: datetime) -> None:
    """Ask whether the person may still sign in at the client. Raises NotIssued."""
    verdict = await sign_ins.may_sign_in(
        attempt.reads,
        caller,
        grant.person,
        redeemed,
        moment.timestamp(),
        flow=grant.flow,
        signed_in=SignedIn.of_claims(grant.signed_in),
    )
    if verdict.issue is None:
        raise NotIssued(verdict, list(attempt.about), grant.flow)


async def write(
    attempt: Attempt, caller: Caller, grant: Grant, moment: datetime, key: OwnKey
) -> Mapping[str, Any] | None:
    """Use up what is redeemed and write what it becomes; None when what was decided on is no longer so.

    Raises FamilyMoved, AlreadyRefused where a code was used before, and SignerUnreachable before anything is written.
    """
    opaque, ends, jti = secrets.token_urlsafe(24)[:30], moment + timedelta(seconds=SECONDS), uuid4()
    row = TokenRow(
        jti=jti,
        kind="id_token",
        scope=grant.scope,
        expires=ends,
        person=grant.person,
        opaque_sha256=hashlib.sha256(opaque.encode()).hexdigest(),
        opaque_expires=ends,
    )
    event, claims = _event(attempt, caller, grant, str(jti)), door.claims_of(attempt, [])
    basis = _basis(attempt, caller, grant, moment, key)
    signed = await in_use.signed(_claims(caller, grant, moment, str(jti), opaque), key, "JWT")
    written = await attempt.outside.mint(basis, row, event, claims, grant.family)
    if written.outcome is not Outcome.ISSUED:
        door.check_used(attempt, written)
        if written.code == MOVED:
            raise FamilyMoved
        return None
    return _answer(grant, signed, opaque)


def _claims(caller: Caller, grant: Grant, moment: datetime, jti: str, opaque: str) -> dict[str, Any]:
    """Return the claims of an ID token. `sid` names the family: the token counts no longer than that."""
    return {
        "iss": addresses.issuer(addresses.IDP),
        "sub": grant.login,
        "aud": caller.client_id,
        "iat": int(moment.timestamp()),
        "exp": int(moment.timestamp()) + SECONDS,
        **grant.signed_in,
        "jti": jti,
        **({"nonce": grant.nonce} if grant.nonce else {}),
        **({"sid": str(grant.family.family)} if grant.family else {}),
        "at_hash": _half(opaque),
    }


def _answer(grant: Grant, id_token: str, opaque: str) -> Mapping[str, Any]:
    answer = {
        "access_token": opaque,
        "expires_in": SECONDS,
        "token_type": "Bearer",
        "scope": grant.scope,
        "id_token": id_token,
    }
    if grant.family is None:
        return answer
    step = grant.family
    return {**answer, "refresh_token": refresh_tokens.make(step.family, step.next_generation, addresses.IDP)}


def _half(token: str) -> str:
    """Return the `at_hash` of an access token (OpenID Connect Core 3.1.3.6)."""
    whole = hashlib.sha256(token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


def _event(attempt: Attempt, caller: Caller, grant: Grant, jti: str) -> Draft:
    with context.acting(on_behalf_of=Principal("person", grant.login)):
        detail = {"kind": "id_token", "flow": str(grant.flow), "scope": grant.scope, **grant.detail}
        links = dict.fromkeys([*caller.links, *grant.links, *attempt.about, *attempt.traced.links, f"token:{jti}"])
        return draft.draft(Action.TOKEN_ISSUED, by=caller.principal, about=links, detail=detail)


def _basis(attempt: Attempt, caller: Caller, grant: Grant, moment: datetime, key: OwnKey) -> Basis:
    keys: list[locks.Key] = [(Lock.EVERYTHING, guardrails.EVERYTHING), (Lock.CLIENT, caller.pk)]
    keys.append((Lock.PERSON, grant.person))
    people = {grant.person}
    if caller.agent_pk is not None:
        keys += [(Lock.AGENT, caller.agent_pk), (Lock.PERSON, caller.sponsor_pk)]
        people |= {pk for pk in (caller.sponsor_pk, caller.owner_pk) if pk is not None}
    if grant.family is not None and grant.family.begins is None:
        keys.append((Lock.TOKEN_FAMILY, grant.family.family))
    return Basis(
        decided=moment,
        position=attempt.position,
        locks=locks.numbers(keys),
        client=caller.pk,
        agent=caller.agent_pk,
        people=sorted(people),
        signing_key=key.kid,
    )
