"""The token endpoints: authenticate the client, then dispatch on the grant type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entitlements import addresses

from . import client_authentication, door, refusals
from .door import Attempt
from .grant_types import authorization_code, client_credentials, exchange, jwt_bearer, workload_jwt
from .sign_in import code, id_token_refresh, refresh, subject_tokens


async def idp_token(attempt: Attempt) -> Mapping[str, Any]:
    """Answer at `/idp/token`: token exchange, the code flow and its refresh."""
    _no_proof(attempt)
    grant = attempt.form.get("grant_type", "")
    of_people = grant in (authorization_code.GRANT, refresh.GRANT)
    caller = await client_authentication.caller(attempt, addresses.IDP, allow_public=of_people)
    attempt.need("grant_type")
    if grant == exchange.GRANT:
        return await subject_tokens.exchange(attempt, caller)
    if grant == authorization_code.GRANT:
        return await authorization_code.redeem(attempt, caller)
    if grant == refresh.GRANT:
        return await id_token_refresh.refresh(attempt, caller)
    if grant == jwt_bearer.GRANT:  # an issuer never redeems its own ID-JAG (EMA-I-14)
        raise refusals.invalid_grant("An ID-JAG is redeemed at the server that it is for.", "issuer_redeems_not")
    raise _unknown(grant)


async def system_token(attempt: Attempt, system: str) -> Mapping[str, Any]:
    """Answer at `/as/<system>/token`: people who signed in, ID-JAGs, and agents on their own."""
    _no_proof(attempt)
    if workload_jwt.is_one(attempt):
        return await workload_jwt.redeem(attempt, system)
    of_people = attempt.form.get("grant_type") in (authorization_code.GRANT, refresh.GRANT)
    caller, target, name = await client_authentication.caller_at(attempt, system, allow_public=of_people)
    attempt.about.append(f"system:{target.slug}")
    attempt.ask = door.request_link(caller.agent, target.slug)
    grant = attempt.need("grant_type")
    if grant == authorization_code.GRANT:
        return await code.redeem(attempt, caller, target)
    if grant == refresh.GRANT:
        return await refresh.refresh(attempt, caller, target)
    if grant == jwt_bearer.GRANT:
        return await jwt_bearer.redeem(attempt, caller, target, name)
    if grant == client_credentials.GRANT:
        return await client_credentials.answer(attempt, caller, target)
    raise _unknown(grant)


def _no_proof(attempt: Attempt) -> None:
    if attempt.has_dpop:  # taken without a check it would look like a bound token (EMA-I-15)
        raise refusals.Refused("invalid_dpop_proof", "proof_invalid", "DPoP is not offered here.")


def _unknown(grant: str) -> refusals.Refused:
    del grant
    return refusals.Refused("unsupported_grant_type", "unsupported_grant_type", "The grant type is not offered here.")
