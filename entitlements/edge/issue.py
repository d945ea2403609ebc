"""Write a token: decide on facts, call `issue_token_v3` once, and decide anew where a fact changed meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid4

from audit import clock, context, draft
from audit.actions import Action
from audit.draft import Draft
from entitlements import addresses, strict
from entitlements.catalog.models import System
from entitlements.clients.callers import Caller, Target
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.decisions import scopes
from entitlements.decisions.reads import FeedSubject, Rows
from entitlements.decisions.snapshot import SessionFacts
from entitlements.decisions.verdicts import Effect, Issue, Verdict
from entitlements.keys import in_use
from entitlements.sessions import sessions
from entitlements.tokens import issue as rules
from entitlements.tokens import issue_token, tokens
from entitlements.tokens.issue import Candidates, NewToken, NotIssued, SignIn, TokenRequest
from entitlements.tokens.issue_family_token import MOVED, FamilyMoved
from entitlements.tokens.issue_token import Basis, BegunSession, Outcome, TokenRow
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow

from . import door
from .delegation import agents
from .door import Attempt
from .sign_in import required_sign_in

_ATTEMPTS: Final = 4
_LAPSED: Final = frozenset({Code.SESSION_IDLE, Code.SESSION_EXPIRED})
_LATEST: Final = """
SELECT id FROM entitlements_session WHERE client_id = %s AND sign_in_sha256 = %s ORDER BY started_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """How a token is signed once it is decided: by which key, and what makes a JWS of it (raises SignerUnreachable)."""

    kid: str
    sign: Callable[[NewToken], Awaitable[str]]


def granted(new_token: NewToken, target: Target) -> dict[str, Any]:
    """Return the members of a token answer that say what was granted: authorization details, and of each scope how.

    `scope_outcomes` is ours: what became of each scope that was asked for, or could have been.
    """
    details = {"authorization_details": list(new_token.details)} if new_token.details else {}
    names = target.server_scopes(new_token.outcomes)
    outcomes = (str(outcome) for outcome in new_token.outcomes.values())
    return {**details, "scope_outcomes": dict(zip(names, outcomes, strict=True))}


async def id_jag(
    attempt: Attempt, token_request: TokenRequest, name_there: str, resource: str, signed_in: Mapping[str, Any]
) -> tuple[str, NewToken]:
    """Issue an ID-JAG to the person's agent; what is passed is said at `tokens.id_jag_claims`."""
    key = await in_use.signer(attempt.reads, addresses.IDP, token_request.target.signing_algorithm)

    async def sign(new: NewToken) -> str:
        trace = attempt.traced.carried
        claims = tokens.id_jag_claims(
            token_request, new, name_there=name_there, resource=resource, signed_in=signed_in, trace=trace
        )
        return await in_use.signed(claims, key, tokens.ID_JAG_TYP)

    return await issue(attempt, token_request, TokenSigner(key.kid, sign))


async def access_token(
    attempt: Attempt, token_request: TokenRequest, resource: str, signed_in: Mapping[str, Any]
) -> tuple[str, NewToken]:
    """Issue an access token (RFC 9068): for an assertion that was checked, or to a client for itself."""
    target = token_request.target
    key = await in_use.signer(attempt.reads, target.issuer_path, target.signing_algorithm)
    token_request.jkt = attempt.jkt

    async def sign(new: NewToken) -> str:
        claims = tokens.access_token_claims(
            token_request, new, resource=resource, signed_in=signed_in, trace=attempt.traced.carried
        )
        return await in_use.signed(claims, key, tokens.ACCESS_TOKEN_TYP)

    return await issue(attempt, token_request, TokenSigner(key.kid, sign))


async def to_client(
    attempt: Attempt,
    caller: Caller,
    target: Target,
    *,
    resource: str,
    requested: frozenset[str] | None,
    flow: Flow = Flow.CLIENT_CREDENTIALS,
    detail: Mapping[str, object] = MappingProxyType({}),
    also_about: Sequence[str] = (),
) -> tuple[str, NewToken]:
    """Issue an access token to a client that acts for no person, by its agent's grants; our own API asks its scopes.

    The event says `detail` as well, and is found under `also_about` too.
    """
    token_request = TokenRequest(
        flow,
        IssuedToken.Kind.ACCESS_TOKEN,
        caller,
        target,
        None,
        requested,
        target.token_seconds,
        rule=tokens.by_api_scopes if target.is_own_api else None,
        detail={"resource": resource, **detail},
        also_about=tuple(also_about),
    )
    return await access_token(attempt, token_request, resource, {})


async def issue(attempt: Attempt, token_request: TokenRequest, signer: TokenSigner) -> tuple[str, NewToken]:
    """Decide, sign, write and record one token.

    Raises NotIssued, Refused, SignInTooOld, and AlreadyRefused for a used assertion.

    Nothing is changed when it raises, nor when the signer cannot be reached (SignerUnreachable): a token is signed
    before its row is written, and the row is what makes it live.
    """
    continued: UUID | None = None
    for _ in range(_ATTEMPTS):
        moment = clock.now()
        token_request.risk = await required_sign_in.check(attempt, token_request)
        found = await rules.candidates(attempt.reads, token_request)
        session = continued or await session_of(attempt, token_request)
        verdict = await rules.verdict(attempt.reads, token_request, session, moment.timestamp())
        if verdict.issue is None:
            if not attempt.reads.is_from_memory and begins_anew(token_request, verdict):
                continue
            raise _refused(token_request, verdict)
        if set(found.grants) >= {UUID(grant) for grant in verdict.issue.grants}:
            new, continued = await _write(attempt, token_request, verdict.issue, found, session, moment, signer)
            if new is not None:
                return new
            if continued is not None and session is None:
                continue  # nothing else has changed: another node began the session
        if attempt.reads.is_from_memory:
            break  # the door begins the whole request again, on facts of now
        attempt.read_again()
        if attempt.check_again is not None:
            await attempt.check_again()
    raise NotIssued(Verdict(Effect.DENY, Code.FEED_UNKNOWN, ()), token_request.links)


def begins_anew(token_request: TokenRequest, verdict: Verdict) -> bool:
    """Whether a session lapsed that may begin anew; the request is then for its successor."""
    if token_request.successor is None or verdict.code not in _LAPSED:
        return False
    token_request.session, token_request.sign_in, token_request.successor = None, token_request.successor, None
    return True


def _refused(token_request: TokenRequest, verdict: Verdict) -> Exception:
    """Return a denial. A client of personal agents is unknown to an agent through which it acts no more."""
    if verdict.code is Code.CLIENT_UNKNOWN and token_request.caller.serves == Client.Serves.PERSONAL_AGENTS:
        return agents.connection_missing()
    return NotIssued(verdict, token_request.links, token_request.flow)


async def _write(
    attempt: Attempt,
    token_request: TokenRequest,
    issued: Issue,
    found: Candidates,
    session: UUID | None,
    moment: datetime,
    signer: TokenSigner,
) -> tuple[tuple[str, NewToken] | None, UUID | None]:
    """Sign and write the token; None when what was decided on is no longer so.

    Beside it stands the session that the sign-in had already, where one would have begun.
    """
    jti, begins = uuid4(), None
    if session is None and token_request.sign_in is not None and token_request.subject is not None:
        session = uuid4()
        begins = _begun(attempt, token_request, token_request.sign_in, session, moment)
    row = TokenRow(
        jti=jti,
        kind=str(token_request.kind),
        scope=scopes.join(issued.scopes),
        expires=datetime.fromtimestamp(issued.expires, UTC),
        person=token_request.subject.pk if token_request.subject else None,
        drawn=[UUID(grant) for grant in issued.grants],
        parent=token_request.redeemed.row if token_request.redeemed else None,
        session=session,
        begins=begins,
        authorization_details=strict.dumps(list(issued.details)).decode() if issued.details else None,
        chain=[each.agent_pk for each in token_request.chain if each.agent_pk is not None],
        chain_clients=[each.pk for each in token_request.chain],
        jkt=token_request.jkt,
    )
    new = _new(jti, issued, moment, session)
    token = await signer.sign(new)
    basis = _basis(attempt, token_request, found, None if begins else session, moment, signer)
    event = _event(attempt, token_request, issued, row)
    claims = door.claims_of(attempt, token_request.links)
    answer = await attempt.outside.mint(basis, row, event, claims, token_request.family)
    if answer.outcome is Outcome.ISSUED:
        if begins is not None and session is not None:
            _learn(attempt, token_request, session, begins, basis.position, moment)
        return (token, new), None
    door.check_used(attempt, answer)
    if answer.code == MOVED:
        raise FamilyMoved
    return None, answer.session if answer.code == issue_token.OTHER_SESSION else None


def _new(jti: UUID, issued: Issue, moment: datetime, session: UUID | None) -> NewToken:
    begun = int(moment.timestamp())
    return NewToken(jti, issued.scopes, begun, issued.expires, session, issued.details, issued.outcomes)


def _basis(
    attempt: Attempt,
    token_request: TokenRequest,
    found: Candidates,
    session: UUID | None,
    moment: datetime,
    signer: TokenSigner,
) -> Basis:
    caller, target, subject = token_request.caller, token_request.target, token_request.subject
    people = {subject.pk if subject else None}
    people |= {pk for each in (caller, *token_request.chain) for pk in (each.sponsor_pk, each.owner_pk)}
    return Basis(
        decided=moment,
        position=attempt.position,
        locks=rules.locks_of(token_request, found, session, attempt.trusted_issuer),
        client=caller.pk,
        agent=caller.agent_pk,
        system=target.pk,
        people=sorted(pk for pk in people if pk is not None),
        groups=found.groups,
        tools=found.tools if target.kind == System.Kind.MCP else (),
        grants=found.grants,
        trusted_issuer=attempt.trusted_issuer,
        identity_link=attempt.identity_link,
        signing_key=signer.kid,
    )


def _begun(
    attempt: Attempt, token_request: TokenRequest, sign_in: SignIn, session: UUID, moment: datetime
) -> BegunSession:
    links = [f"session:{session}", *token_request.root.links, *attempt.traced.links]
    links += [f"person:{token_request.subject.login}"] if token_request.subject else []
    event = draft.draft(Action.SESSION_BEGUN, by=token_request.root.principal, about=links)
    idle = int(sessions.IDLE.total_seconds())
    return BegunSession(sign_in.digest, sign_in.auth_time, idle, moment + sessions.ABSOLUTE, event, sign_in.stated)


def _event(attempt: Attempt, token_request: TokenRequest, issued: Issue, row: TokenRow) -> Draft:
    links = [f"token:{row.jti}", *token_request.links, *(f"grant:{grant}" for grant in issued.grants)]
    links += attempt.traced.links
    links += [f"session:{row.session}"] if row.session else []
    links += [f"token:{row.parent}"] if row.parent else []
    with context.acting(session=str(row.session or ""), on_behalf_of=rules.person_of(token_request)):
        detail = _detail_of(token_request, issued, row.parent)
        return draft.draft(Action.TOKEN_ISSUED, by=token_request.caller.principal, about=links, detail=detail)


def _detail_of(token_request: TokenRequest, issued: Issue, parent: UUID | None) -> dict[str, object]:
    """Return what the event says of a token."""
    behind = token_request.behind
    return {
        "kind": str(token_request.kind),
        "flow": str(token_request.flow),
        "scope": scopes.join(issued.scopes),
        "left_out": {scope: str(outcome) for scope, outcome in issued.outcomes.items() if scope not in issued.scopes},
        "expires": issued.expires,
        "parent": str(parent) if parent else None,
        **({"name_is_claimed": True} if token_request.caller.auth == Client.Auth.NONE else {}),
        **({"jkt": token_request.jkt} if token_request.jkt else {}),
        **_sign_in(token_request.sign_in),
        **({"chain": [agent for agent, _ in behind], "chain_clients": [c for _, c in behind]} if behind else {}),
        **token_request.detail,
    }


def _sign_in(sign_in: SignIn | None) -> dict[str, object]:
    if sign_in is None or sign_in.auth_time is None:
        return {}
    return {"sign_in": {"at": int(sign_in.auth_time.timestamp()), "claim": sign_in.claim}}


async def session_of(attempt: Attempt, token_request: TokenRequest) -> UUID | None:
    """Return the session that is named, or the latest of this sign-in, ended or not; None where one would begin.

    A sign-in that is not known here is taken for a new one: the write begins a session only where there is none, and
    otherwise says which there is.
    """
    if token_request.session is not None or token_request.sign_in is None:
        return token_request.session
    asked = _sign_in_asked(token_request, token_request.sign_in)
    rows = attempt.reads.known(_LATEST, asked)
    if rows is None and not attempt.reads.may_trust():
        rows = await attempt.reads.kept(_LATEST, asked, lambda found: _session_about(token_request, found))
    return rows[0][0] if rows else None


def _learn(
    attempt: Attempt, token_request: TokenRequest, session: UUID, begun: BegunSession, position: int, moment: datetime
) -> None:
    """Know the session that was begun at this moment, on facts of this position of the feed, when it is named again."""
    caller, subject = token_request.root, token_request.subject
    authenticated = begun.auth_time or moment
    facts = SessionFacts(
        subject.login if subject else None,
        moment.timestamp() + begun.idle_seconds,
        begun.expires.timestamp(),
        authenticated.timestamp(),
        began=moment.timestamp(),
        last_used=moment.timestamp(),
        signed_in=begun.stated,
        risk=token_request.risk,
    )
    attempt.reads.keep_session(caller.agent or "", str(session), facts)
    if token_request.sign_in is not None:
        asked = _sign_in_asked(token_request, token_request.sign_in)
        attempt.reads.keep(_LATEST, asked, [(session,)], lambda found: _session_about(token_request, found), position)


def _sign_in_asked(token_request: TokenRequest, sign_in: SignIn) -> list[object]:
    return [token_request.root.pk, sign_in.digest]


def _session_about(token_request: TokenRequest, found: Rows) -> list[FeedSubject]:
    caller = token_request.root
    return [("client_id", caller.pk), ("agent_id", caller.agent_pk), ("session_id", found[0][0])]
