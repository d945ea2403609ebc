"""Actions on tokens: issue an ID-JAG, issue an access token for one, issue to a client on its own, revoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements import addresses, prepared
from entitlements.catalog.models import System
from entitlements.clients.callers import Caller, Target
from entitlements.codes import Code, meaning
from entitlements.decisions import facts, policy, scopes
from entitlements.decisions.snapshot import AgentFacts, Issuance
from entitlements.decisions.verdicts import Effect, Issue, Reason, Verdict
from entitlements.errors import NotFound
from entitlements.feed import changes, locks
from entitlements.feed.locks import Lock
from entitlements.keys import signing
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow, Status

from . import issue
from .issue import Minted, SignIn, Subject, Wish

ID_JAG_TYP: Final = "oauth-id-jag+jwt"
ACCESS_TOKEN_TYP: Final = "at+jwt"  # noqa: S105 - a media type
ID_JAG_SECONDS: Final = 300
AI_AGENT: Final = "ai_agent"
AUTHENTICATION: Final = ("auth_time", "acr", "amr")
"""The claims about the person's sign-in that travel from the ID token to the ID-JAG and on to the access token."""

_SCRIPT: Final = """
SELECT c.status, extract(epoch FROM c.tokens_valid_after)::float8, y.status,
       (SELECT string_agg(g.reason, '; ') FROM entitlements_guardrail g WHERE g.name = 'everything' AND g.on)
FROM entitlements_client c, entitlements_system y WHERE c.id = %s AND y.id = %s
"""


def issue_id_jag(
    caller: Caller,
    target: Target,
    subject: Subject,
    sign_in: SignIn,
    *,
    name_there: str,
    resource: str,
    requested: frozenset[str] | None,
    signed_in: Mapping[str, Any],
) -> tuple[str, Minted]:
    """Issue an ID-JAG (draft -04) to the person's agent, for the authorization server and one resource of `target`.

    `name_there` is the client's identifier at that server (EMA-I-10); `signed_in` holds the claims about the sign-in.
    Returns the signed assertion and what was recorded. Raises what `issuing.issue` raises.
    """
    wish = Wish(
        Flow.TOKEN_EXCHANGE,
        IssuedToken.Kind.ID_JAG,
        caller,
        target,
        subject,
        requested,
        ID_JAG_SECONDS,
        sign_in=sign_in,
        detail={"resource": resource},
    )
    minted = issue.issue(wish)
    audience = addresses.issuer(target.issuer_path)
    claims = {
        **_common(addresses.IDP, minted, subject.login, audience, name_there),
        **_delegated(caller, minted, signed_in),
        "resource": resource,
    }
    return signing.sign(addresses.IDP, claims, ID_JAG_TYP), minted


def redeem(wish: Wish, resource: str, signed_in: Mapping[str, Any]) -> tuple[str, Minted]:
    """Issue an access token (RFC 9068) for an assertion that was checked (RFC 7523), acting for its person.

    Raises what `issuing.issue` raises.
    """
    if wish.subject is None:
        raise NotFound
    minted = issue.issue(wish)
    claims = {
        **_common(wish.target.issuer_path, minted, wish.subject.login, resource, wish.caller.client_id),
        **_delegated(wish.caller, minted, signed_in),
    }
    return signing.sign(wish.target.issuer_path, claims, ACCESS_TOKEN_TYP), minted


def issue_to_client(
    caller: Caller, target: Target, *, resource: str, requested: frozenset[str] | None
) -> tuple[str, Minted]:
    """Issue an access token to a client that acts for nobody: by its agent's grants, at our own API by `api_scopes`.

    Raises what `issuing.issue` raises.
    """
    wish = Wish(
        Flow.CLIENT_CREDENTIALS,
        IssuedToken.Kind.ACCESS_TOKEN,
        caller,
        target,
        None,
        requested,
        target.token_seconds,
        rule=_by_api_scopes if target.kind == System.Kind.BUILTIN else None,
        detail={"resource": resource},
    )
    minted = issue.issue(wish)
    claims = _common(target.issuer_path, minted, caller.client_id, resource, caller.client_id)
    if caller.agent is not None:
        claims["sub_profile"] = AI_AGENT
    return signing.sign(target.issuer_path, claims, ACCESS_TOKEN_TYP), minted


@transaction.atomic
def revoke(jti: UUID, *, by: Principal, reason: str) -> IssuedToken:
    """Let a token die now, and with an ID-JAG the access tokens issued for it.

    Doing it twice changes and records nothing. Raises NotFound.
    """
    locks.exclusive((Lock.TOKEN, jti))  # waits out who redeems it at this moment
    token = IssuedToken.objects.select_related("agent", "client").filter(pk=jti).first()
    if token is None:
        raise NotFound
    living = IssuedToken.objects.filter(revoked_at=None)
    dying = [
        pk for which in ({"pk": jti}, {"parent": jti}) for pk in living.filter(**which).values_list("pk", flat=True)
    ]
    if not dying:
        return token
    now = clock.now()
    token.revoked_at, token.revoke_reason = token.revoked_at or now, token.revoke_reason or reason
    IssuedToken.objects.filter(pk__in=dying).update(revoked_at=now, revoke_reason=reason)
    links = [f"token:{pk}" for pk in dying] + [f"client:{token.client.client_id}"]
    links += [f"agent:{token.agent.slug}"] if token.agent else []
    log.record(Action.TOKEN_REVOKED, about=links, by=by, reason=reason)
    changes.note(changes.Kind.TOKEN, f"token:{jti}", agent_id=token.agent_id)
    return token


def _by_api_scopes(wish: Wish, _session: UUID | None, now: float) -> Verdict:
    """Decide about a token for our own API: the client's `api_scopes` are its rights; its principals are checked."""
    known = _known(wish)
    if known is None:
        return Verdict(Effect.DENY, Code.CLIENT_UNKNOWN, ())
    verdict = own_rights(wish.caller, wish.target, known, now, wish.lifetime)
    if verdict.issue is None:
        return verdict
    wanted = wish.requested if wish.requested is not None else frozenset(wish.caller.api_scopes)
    granted = scopes.canonical(wanted & set(wish.caller.api_scopes))
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


def _known(wish: Wish) -> AgentFacts | None:
    if wish.caller.agent is not None:
        return facts.load(wish.caller.agent, wish.target.slug, schemas=False)
    return facts_of_script(wish.caller, wish.target)


def facts_of_script(caller: Caller, target: Target) -> AgentFacts | None:
    """Read the facts about a client that belongs to no agent: there is nobody to be suspended but itself."""
    row = prepared.row(_SCRIPT, [caller.pk, target.pk])
    if row is None:
        return None
    client, valid_after, system, stopped = row
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


def _common(issuer_path: str, minted: Minted, subject: str, audience: str, client_id: str) -> dict[str, Any]:
    return {
        "iss": addresses.issuer(issuer_path),
        "sub": subject,
        "aud": audience,
        "client_id": client_id,
        "jti": str(minted.jti),
        "iat": minted.issued,
        "exp": minted.expires,
        "scope": scopes.join(minted.scopes),
    }


def _delegated(caller: Caller, minted: Minted, signed_in: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says that an agent acts for a person: `sub` stays the person, the outermost `act` is the agent."""
    known = {name: signed_in[name] for name in AUTHENTICATION if name in signed_in}
    act = {"sub": caller.agent, "iss": addresses.issuer(addresses.IDP), "sub_profile": AI_AGENT}
    return {**known, "act": act, **({"sid": str(minted.session)} if minted.session else {})}
