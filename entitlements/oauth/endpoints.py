"""The token endpoints: authenticate the client, then dispatch on the grant type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse

from entitlements import addresses
from entitlements.clients.callers import Caller, Target
from entitlements.clients.models import Client
from entitlements.decisions import scopes
from entitlements.tokens import tokens

from . import authentication, bearer, code, door, exchange, refusals
from .door import Attempt, machine

CLIENT_CREDENTIALS = "client_credentials"


@machine
def idp_token(attempt: Attempt) -> Mapping[str, Any] | HttpResponse:
    """Answer at `/idp/token`: token exchange and the code flow."""
    _no_proof(attempt)
    grant = attempt.form.get("grant_type", "")
    caller = authentication.caller(attempt, addresses.IDP, allow_public=grant == code.GRANT)
    attempt.need("grant_type")
    if grant == exchange.GRANT:
        return exchange.exchange(attempt, caller)
    if grant == code.GRANT:
        return code.redeem(attempt, caller)
    if grant == bearer.GRANT:  # an issuer never redeems its own ID-JAG (EMA-I-14)
        raise refusals.invalid_grant("An ID-JAG is redeemed at the server that it is for.", "issuer_redeems_not")
    raise _unknown(grant)


@machine
def system_token(attempt: Attempt, system: str) -> Mapping[str, Any]:
    """Answer at `/as/<system>/token`: ID-JAGs, and agents on their own."""
    _no_proof(attempt)
    caller, target, name = authentication.caller_at(attempt, system)
    attempt.about.append(f"system:{target.slug}")
    attempt.ask = door.request_link(caller.agent, target.slug)
    grant = attempt.need("grant_type")
    if grant == bearer.GRANT:
        return bearer.redeem(attempt, caller, target, name)
    if grant == CLIENT_CREDENTIALS:
        return _on_its_own(attempt, caller, target)
    raise _unknown(grant)


def _on_its_own(attempt: Attempt, caller: Caller, target: Target) -> Mapping[str, Any]:
    if caller.auth == Client.Auth.NONE:
        raise refusals.Refused("unauthorized_client", "client_not_confidential", "Only confidential clients act alone.")
    resource = exchange.resource_of(attempt, target) if "resource" in attempt.form else target.resources[0]
    requested = frozenset(scopes.parse(attempt.form.get("scope"))) or None
    token, minted = tokens.issue_to_client(caller, target, resource=resource, requested=requested)
    return bearer.access_token_answer(token, minted.expires - minted.issued, minted.scopes, resource)


def _no_proof(attempt: Attempt) -> None:
    if attempt.has_dpop:  # taken without a check it would look like a bound token (EMA-I-15)
        raise refusals.Refused("invalid_dpop_proof", "proof_invalid", "DPoP is not offered here.")


def _unknown(grant: str) -> refusals.Refused:
    del grant
    return refusals.Refused("unsupported_grant_type", "unsupported_grant_type", "The grant type is not offered here.")
