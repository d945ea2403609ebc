"""What our tokens say, what a client may have for itself, and how a token is revoked in Django."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses
from entitlements.clients.callers import Caller, Target
from entitlements.codes import Code, meaning
from entitlements.decisions import policy, scopes
from entitlements.decisions.reads import FeedSubject, Reads
from entitlements.decisions.snapshot import AgentFacts, Issuance
from entitlements.decisions.verdicts import Effect, Issue, Reason, Verdict
from entitlements.errors import NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.keys import act_claim
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow, Status

from .issue import NewToken, TokenRequest

ID_JAG_TYP: Final = "oauth-id-jag+jwt"
ACCESS_TOKEN_TYP: Final = "at+jwt"  # noqa: S105 - a media type
ID_JAG_SECONDS: Final = 300
AI_AGENT: Final = act_claim.AI_AGENT
FAMILY: Final = "token_family"
AUTHENTICATION: Final = ("auth_time", "acr", "amr")
"""The claims about the person's sign-in that travel from the ID token to the ID-JAG and on to the access token."""

_SCRIPT: Final = """
SELECT c.status, extract(epoch FROM c.tokens_valid_after)::float8, y.status,
       (SELECT string_agg(g.reason, '; ') FROM entitlements_guardrail g WHERE g.name = 'everything' AND g.on)
FROM entitlements_client c, entitlements_system y WHERE c.id = %s AND y.id = %s
"""


def id_jag_claims(
    token_request: TokenRequest,
    new_token: NewToken,
    *,
    name_there: str,
    resource: str,
    signed_in: Mapping[str, Any],
    trace: str,
) -> dict[str, Any]:
    """Return the claims of an ID-JAG (draft -04) for the system's authorization server and one resource of it.

    `name_there` is the client's identifier at that server (EMA-I-10); `signed_in` holds the claims about the sign-in.
    `txn` (RFC 8417 section 2.2) is the trace that the redemption goes on with. FAMILY names a sign-in that lasts.
    """
    family = {FAMILY: str(token_request.family.family)} if token_request.family else {}
    subject = token_request.subject.login if token_request.subject else ""
    target = token_request.target
    claims = {
        **_common(addresses.IDP, new_token, subject, target.issuer, name_there),
        **_delegated(token_request, new_token, signed_in),
        **_bound(token_request),
        **({"chain_expires": int(token_request.until)} if token_request.until is not None else {}),
        "resource": resource,
        "txn": trace,
        **family,
    }
    return target.presented(claims)


def access_token_claims(
    token_request: TokenRequest, new_token: NewToken, *, resource: str, signed_in: Mapping[str, Any], trace: str
) -> dict[str, Any]:
    """Return the claims of an access token (RFC 9068), acting for its person, or of a client for itself.

    `txn` is the trace in which its calls go on where they name none.
    """
    caller, person, path = token_request.caller, token_request.subject, token_request.target.issuer_path
    common = _common(path, new_token, person.login if person else caller.client_id, resource, caller.client_id)
    common |= {**_bound(token_request), "txn": trace}
    if person is not None:
        return {**common, **_delegated(token_request, new_token, signed_in), **_agreed(token_request)}
    return {**common, "sub_profile": AI_AGENT} if caller.agent is not None else common


@transaction.atomic
def revoke(jti: UUID, *, by: Principal, reason: str) -> IssuedToken:
    """Let a token die now, and with it the tokens issued for it, also to further agents of a delegation chain.

    Doing it twice changes and records nothing. Raises NotFound.
    """
    locks.exclusive((Lock.TOKEN, jti))  # waits out who redeems it at this moment
    token = IssuedToken.objects.select_related("agent", "client").filter(pk=jti).first()
    if token is None:
        raise NotFound
    held, dying = set[UUID](), _living(token)
    while not dying.keys() <= held:  # what was being redeemed when the locks were asked for is there now
        locks.exclusive(*((Lock.TOKEN, pk) for pk in dying))
        held, dying = held | dying.keys(), _living(token)
    if not dying:
        return token
    now = clock.now()
    token.revoked_at, token.revoke_reason = token.revoked_at or now, token.revoke_reason or reason
    IssuedToken.objects.filter(pk__in=dying).update(revoked_at=now, revoke_reason=reason)
    links = [f"token:{pk}" for pk in dying] + [f"client:{token.client.client_id}"]
    links += [f"agent:{token.agent.slug}"] if token.agent else []
    log.record(Action.TOKEN_REVOKED, about=links, by=by, reason=reason)
    for pk, row in dying.items():
        changes.note(subjects.token(pk), of=[] if row.agent_id is None else [subjects.agent(row.agent_id)])
    return token


def _living(token: IssuedToken) -> dict[UUID, IssuedToken]:
    """Return what lives of a token with all that was issued for it, and for that, by its key."""
    found, parents = {token.pk: token}, [token.pk]
    while parents:
        children = IssuedToken.objects.filter(parent__in=parents).in_bulk()
        found, parents = {**found, **children}, [*children]
    return {pk: row for pk, row in found.items() if row.revoked_at is None}


def _agreed(token_request: TokenRequest) -> dict[str, str]:
    """Return the claim of a token of a sign-in: our gateway alone reads it, and decides each call on what is held."""
    if token_request.family is None or not token_request.target.is_decided_by_gateway:
        return {}
    agreed = token_request.ceiling
    return {scopes.AGREED: scopes.WHATEVER if agreed is None else scopes.join(agreed)}


async def by_api_scopes(reads: Reads, token_request: TokenRequest, _session: UUID | None, now: float) -> Verdict:
    """Decide about a token for our own API: the client's `api_scopes` are its rights; its principals are checked."""
    known = await _known(reads, token_request)
    if known is None:
        return Verdict(Effect.DENY, Code.CLIENT_UNKNOWN, ())
    verdict = own_rights(token_request.caller, token_request.target, known, now, token_request.lifetime)
    if verdict.issue is None:
        return verdict
    wanted = (
        token_request.requested if token_request.requested is not None else frozenset(token_request.caller.api_scopes)
    )
    granted = scopes.canonical(wanted & set(token_request.caller.api_scopes))
    if not granted:
        reason = Reason(Code.NO_GRANT, "The client is registered for none of these scopes.")
        return Verdict(Effect.DENY, Code.NO_GRANT, (reason,))
    outcomes = {
        scope: scopes.Outcome.GRANTED if scope in granted else scopes.Outcome.NOT_HELD
        for scope in scopes.canonical(wanted)
    }
    return Verdict(Effect.ALLOW, Code.ALLOWED, (), issue=Issue(granted, verdict.issue.expires, (), outcomes))


def own_rights(caller: Caller, target: Target, known: AgentFacts, now: float, lifetime: float) -> Verdict:
    """Say whether a client may act for itself at our own API at all: every principal is asked about, no grant is."""
    status = known.systems.get(target.slug)
    if status is not Status.ACTIVE:
        code = Code.SYSTEM_DISABLED
        return Verdict(Effect.DENY, code, (Reason(code, meaning(code).sentence),))
    issuance = Issuance(
        Flow.CLIENT_CREDENTIALS, caller.agent or "", caller.client_id, None, None, frozenset(), lifetime
    )
    return policy.may_issue(issuance, known, now)


async def _known(reads: Reads, token_request: TokenRequest) -> AgentFacts | None:
    if token_request.caller.agent is not None:
        return await reads.facts(token_request.caller.agent, token_request.target.slug)
    return await facts_of_script(reads, token_request.caller, token_request.target)


async def facts_of_script(reads: Reads, caller: Caller, target: Target) -> AgentFacts | None:
    """Read the facts about a client that belongs to no agent: it can be suspended only by itself."""
    rows = await reads.kept(_SCRIPT, [caller.pk, target.pk], lambda _: _about_script(caller, target))
    if not rows:
        return None
    client, valid_after, system, stopped = rows[0]
    return AgentFacts(
        agent="",
        position=0,
        status=Status.ACTIVE,
        sponsor=Status.ACTIVE,
        clients={caller.client_id: Status(client)},
        people={},
        systems={target.slug: Status(system)},
        tools={},
        lines={},
        tokens_valid_after=float("-inf") if valid_after is None else valid_after,
        stopped=stopped or "",
    )


def _about_script(caller: Caller, target: Target) -> list[FeedSubject]:
    return [("client_id", caller.pk), ("system_id", target.pk)]


def _common(issuer_path: str, new_token: NewToken, subject: str, audience: str, client_id: str) -> dict[str, Any]:
    return {
        "iss": addresses.issuer(issuer_path),
        "sub": subject,
        "aud": audience,
        "client_id": client_id,
        "jti": str(new_token.jti),
        "iat": new_token.issued,
        "exp": new_token.expires,
        "scope": scopes.join(new_token.scopes),
        **({"authorization_details": list(new_token.details)} if new_token.details else {}),
    }


def _bound(token_request: TokenRequest) -> dict[str, Any]:
    """Return the claim that names the key without whose proof the token opens nothing (RFC 9449 section 6.1)."""
    return {"cnf": {"jkt": token_request.jkt}} if token_request.jkt else {}


def _delegated(token_request: TokenRequest, new_token: NewToken, signed_in: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says that an agent acts for a person: `sub` stays the person, the outermost `act` is the agent."""
    known = {name: signed_in[name] for name in AUTHENTICATION if name in signed_in}
    issuer = addresses.issuer(addresses.IDP)
    act = act_claim.claim(token_request.caller.agent or "", token_request.behind, issuer)
    return {**known, "act": act, **({"sid": str(new_token.session)} if new_token.session else {})}
