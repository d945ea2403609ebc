"""The token endpoints: authenticate the client, then dispatch on the grant type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entitlements import addresses

from . import client_authentication, door, possession, refusals
from .door import Attempt
from .grant_types import authorization_code, client_credentials, exchange, jwt_bearer, workload_jwt
from .sign_in import code, id_token_refresh, refresh, subject_tokens

_WITHOUT_DETAILS: Final = (authorization_code.GRANT, refresh.GRANT, client_credentials.GRANT)


async def idp_token(attempt: Attempt) -> Mapping[str, Any]:
    """Answer at `/idp/token`: token exchange, the code flow and its refresh."""
    grant = attempt.form.get("grant_type", "")
    allow_public = _allows_public(attempt, exchange.GRANT)
    caller = await client_authentication.caller(attempt, addresses.IDP, allow_public=allow_public)
    possession.check(attempt, caller, addresses.IDP)
    attempt.need("grant_type")
    _check_details(attempt, grant)
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
    if workload_jwt.is_one(attempt):
        return await workload_jwt.redeem(attempt, system)
    allow_public = _allows_public(attempt, jwt_bearer.GRANT)
    caller, target, name = await client_authentication.caller_at(attempt, system, allow_public=allow_public)
    attempt.about.append(f"system:{target.slug}")
    possession.check(attempt, caller, target.issuer_path)
    attempt.ask = door.request_link(caller.agent, target.slug)
    grant = attempt.need("grant_type")
    _check_details(attempt, grant)
    if grant == authorization_code.GRANT:
        return await code.redeem(attempt, caller, target)
    if grant == refresh.GRANT:
        return await refresh.refresh(attempt, caller, target)
    if grant == jwt_bearer.GRANT:
        return await jwt_bearer.redeem(attempt, caller, target, name)
    if grant == client_credentials.GRANT:
        return await client_credentials.answer(attempt, caller, target)
    raise _unknown(grant)


def _allows_public(attempt: Attempt, with_proof: str) -> bool:
    """Whether a client may call that proves nothing: for what a person agreed to, and else with the proof of a key."""
    grant = attempt.form.get("grant_type", "")
    return grant in (authorization_code.GRANT, refresh.GRANT) or (grant == with_proof and attempt.dpop is not None)


def _check_details(attempt: Attempt, grant: str) -> None:
    """Refuse authorization details (RFC 9396) where no token that is issued says them. Raises Refused."""
    if grant in _WITHOUT_DETAILS and "authorization_details" in attempt.form:
        raise refusals.invalid_request("authorization_details is not supported.", "not_supported")


def _unknown(grant: str) -> refusals.Refused:
    del grant
    return refusals.Refused("unsupported_grant_type", "unsupported_grant_type", "The grant type is not offered here.")
