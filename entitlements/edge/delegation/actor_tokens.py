"""The actor token of an agent (RFC 8693 section 2.1): by it the agent agrees to act for another, once.

A JWT of type ACTOR_TYP, signed with the key of the agent's client: `iss` and `sub` are that client, `aud` is our
identity issuer alone, `client_id` the client that may present it, `jti` is used once, and it lives for five minutes at
most. With `cnf.jkt` (RFC 9449 section 6.1) it names the key to which the ID-JAG is bound: the key of the client that
presents it would be of no use to the agent. The type keeps it apart from a client assertion, which has the same claims:
the client that gets an actor token to present it could otherwise sign in as the one that signed it. For the same reason
an access token is no actor token: it would hand over what it opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from audit import clock
from entitlements import addresses
from entitlements.clients import callers
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.connections import connected_agent
from entitlements.dpop import proofs
from entitlements.edge import refusals
from entitlements.edge.door import Attempt
from entitlements.edge.rotation import credential_age, held
from entitlements.keys import jws, public_keys
from entitlements.tokens.issue_token import Claim
from entitlements.words import LONGEST_CLIENT_ID

JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
ACTOR_TYP: Final = "actor-token+jwt"
LEEWAY: Final = 30.0
LONGEST: Final = 300.0
_INVALID: Final = "actor_token_invalid"
_NAMES: Final = frozenset({"sub", "iss", "client_id"})
"""What we understand in `may_act`."""


def check_form(form: Mapping[str, str]) -> None:
    """Check that an actor token and its type come together, and that the type is a JWT. Raises Refused."""
    if ("actor_token" in form) != ("actor_token_type" in form):
        raise refusals.invalid_request("actor_token and actor_token_type come together.", "parameter_missing")
    if form.get("actor_token_type", JWT) != JWT:
        message = "An actor token is a JWT that the agent's client signed."
        raise refusals.invalid_request(message, "actor_token_type_not_supported")


async def check(attempt: Attempt, presenter: Caller, person: int) -> tuple[Caller, str] | None:
    """Return the client whose agent is to act, and the thumbprint of its key, empty where it names none.

    None without an actor token, and for the presenter's own agent. `presenter` is the authenticated client, `person`
    the primary key of the person acted for. Raises Refused.
    """
    if "actor_token" not in attempt.form:
        return None
    try:
        signer, jkt = await _signer(attempt, presenter)
    except refusals.Refused as error:
        raise refusals.invalid_grant(f"The actor token is refused: {error.message}", str(error.code)) from error
    except (jws.BadToken, public_keys.BadKey) as error:
        raise refusals.invalid_grant(f"The actor token is refused: {error.message}", _INVALID) from error
    attempt.about += [link for link in signer.links if link not in attempt.about]
    _check_may_act(attempt.form["subject_token"], signer)
    actor = await connected_agent.for_person(attempt.reads, signer, person)
    if actor.agent is None:
        raise refusals.invalid_grant("The actor token's client acts through no agent for this person.", _INVALID)
    if f"agent:{actor.agent}" not in attempt.about:
        attempt.about.append(f"agent:{actor.agent}")
    return None if actor.agent == presenter.agent else (actor, jkt)


async def _signer(attempt: Attempt, presenter: Caller) -> tuple[Caller, str]:
    unverified = jws.read(attempt.form["actor_token"])
    client_id = jws.text(unverified.claims, "sub", longest=LONGEST_CLIENT_ID)
    if unverified.typ != ACTOR_TYP or unverified.claims.get("iss") != client_id:
        raise jws.BadToken("Its type, iss or sub is not that of an actor token.")
    signer = await callers.find(attempt.reads, client_id)
    if signer is None or signer.auth != Client.Auth.PRIVATE_KEY_JWT or not signer.is_active:
        raise jws.BadToken("It is not signed by a client with a registered key that is in use.")
    claims, key = held.by_key(signer, unverified)
    await credential_age.check(attempt.reads, signer, key)
    if claims.get("aud") != addresses.issuer(addresses.IDP):
        raise jws.BadToken("It must name this issuer as its only audience, as a string.")
    if claims.get("client_id") != presenter.client_id:
        raise jws.BadToken("It is for another client to present.")
    expires = jws.check_times(claims, clock.now().timestamp(), leeway=LEEWAY, longest=LONGEST)
    until = datetime.fromtimestamp(expires, UTC)
    attempt.assertion = Claim(f"actor:{signer.client_id}", jws.text(claims, "jti"), until)
    return signer, proofs.key_of(claims)


def _check_may_act(subject_token: str, signer: Caller) -> None:
    """Hold the actor against the subject token's `may_act` (RFC 8693 section 4.4), which was checked with the token."""
    if "." not in subject_token or "may_act" not in (claims := jws.recall(subject_token).claims):
        return
    may_act: Any = claims["may_act"]
    is_read = isinstance(may_act, Mapping) and bool(may_act) and may_act.keys() <= _NAMES
    names = {signer.client_id} | ({signer.agent} if signer.agent else set())
    if (
        not is_read
        or not {may_act.get("sub", signer.client_id), may_act.get("client_id", signer.client_id)} <= names
        or may_act.get("iss", addresses.issuer(addresses.IDP)) != addresses.issuer(addresses.IDP)
    ):
        message = "The subject token lets another party act, not the one of the actor token."
        raise refusals.invalid_grant(message, "actor_not_permitted")
