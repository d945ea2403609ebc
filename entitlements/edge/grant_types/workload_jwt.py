"""Workload identity: a platform's token about an agent's job is exchanged for an access token (RFC 7523, SEP-1933).

No secret, no client identifier and no registration is on the wire. The audience of such a token is the token endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from entitlements import addresses
from entitlements.clients import callers
from entitlements.decisions import scopes
from entitlements.edge import door, issue, possession, refusals
from entitlements.edge.door import Attempt
from entitlements.keys import jws
from entitlements.words import Flow

from . import exchange, jwt_bearer, workload_proof

_CREDENTIALS: Final = ("client_assertion", "client_assertion_type", "client_secret")


def is_one(attempt: Attempt) -> bool:
    """Say whether a request is of a workload, by its assertion's `typ`, before anything is verified (EMA-R-16).

    A client that authenticates redeems an ID-JAG.
    """
    if attempt.form.get("grant_type") != jwt_bearer.GRANT or attempt.authorization:
        return False
    if any(name in attempt.form for name in _CREDENTIALS):
        return False
    try:
        return jws.recall(attempt.form.get("assertion", "")).typ in workload_proof.TYPS
    except jws.BadToken:
        return False


async def redeem(attempt: Attempt, system: str) -> Mapping[str, Any]:
    """Answer a workload at a system's authorization server. Raises Refused and what issuing raises."""
    unverified = jws.recall(attempt.need("assertion"))
    audience = f"{addresses.endpoints(addresses.issuer_path(system))}/token"
    workload = await workload_proof.prove(attempt, unverified, audience)
    if attempt.form.get("client_id", workload.caller.client_id) != workload.caller.client_id:
        raise refusals.invalid_request("The request names another client than the workload is.", "two_clients")
    if "authorization_details" in attempt.form:
        raise refusals.invalid_request("authorization_details is not supported.", "not_supported")
    target, _ = await callers.find_target(attempt.reads, system, workload.caller)
    if target is None:
        raise refusals.no_issuer()
    attempt.about.append(f"system:{target.slug}")
    possession.check(attempt, workload.caller, target.issuer_path)
    attempt.ask = door.request_link(workload.caller.agent, target.slug)
    attempt.need("resource")
    resource = exchange.resource_of(attempt, target)
    attempt.assertion = workload.used
    token, minted = await issue.to_client(
        attempt,
        workload.caller,
        target,
        resource=resource,
        requested=frozenset(scopes.parse(attempt.form.get("scope"))) or None,
        flow=Flow.WORKLOAD_IDENTITY,
        detail=workload.detail,
        also_about=attempt.about,
    )
    return jwt_bearer.access_token_answer(attempt, token, minted, resource)
