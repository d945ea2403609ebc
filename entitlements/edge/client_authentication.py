"""Prove once which client calls, by our own code: a signed assertion, a shared secret, or (code flow only) nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from audit import clock
from entitlements import addresses
from entitlements.clients import callers, clients
from entitlements.clients.callers import Caller, Target
from entitlements.clients.models import Client
from entitlements.keys import jws, public_keys
from entitlements.tokens.issue_token import Claim
from entitlements.words import LONGEST_CLIENT_ID
from entitlements.workload_identity.platforms import Platform

from . import forms, refusals
from .door import Attempt
from .grant_types import workload_proof
from .rotation import credential_age, held

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SPIFFE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
METHODS: Final = ("private_key_jwt", "client_secret_basic", "client_secret_post", "spiffe_jwt")
_TYPS: Final = frozenset({None, "jwt", "client-authentication+jwt"})
_LEEWAY: Final = 30.0
_LONGEST: Final = 600.0


async def caller(attempt: Attempt, issuer_path: str, *, allow_public: bool = False) -> Caller:
    """Return the client that calls at the identity issuer. Raises Refused; then the attempt has no `by`."""
    client, _, _ = await _authenticate(attempt, issuer_path, None, allow_public=allow_public)
    return client


async def caller_at(attempt: Attempt, slug: str, *, allow_public: bool = False) -> tuple[Caller, Target, str]:
    """Return the client that calls at a system's authorization server, the system, and the client's name there."""
    client, target, name = await _authenticate(attempt, addresses.issuer_path(slug), slug, allow_public=allow_public)
    assert target is not None  # noqa: S101 - for the type checker: `_find` raises where there is no such system
    return client, target, name


async def _authenticate(
    attempt: Attempt, issuer_path: str, slug: str | None, *, allow_public: bool
) -> tuple[Caller, Target | None, str]:
    form, scheme = attempt.form, attempt.authorization.partition(" ")[0].lower()
    offered = [bool(scheme), "client_assertion" in form or "client_assertion_type" in form, "client_secret" in form]
    if sum(offered) > 1:
        raise refusals.invalid_request("Authenticate the client in one way, not in several.", "several_credentials")
    if offered[0]:
        client_id, secret = _basic(attempt.authorization)
        _same(form, client_id)
        match = _by_secret(attempt, await _find(attempt, client_id, slug), secret)
    elif offered[1]:
        match = await _by_assertion(attempt, issuer_path, slug)
    elif offered[2]:
        match = _by_secret(attempt, await _find(attempt, attempt.need("client_id"), slug), form["client_secret"])
    else:
        match = await _by_name(attempt, slug, allow_public=allow_public)
    attempt.by, attempt.about = match[0].principal, list(dict.fromkeys([*match[0].links, *attempt.about]))
    if not match[0].is_active:
        raise refusals.invalid_client("The client is disabled.", "client_disabled")
    await credential_age.check(attempt.reads, match[0], attempt.held)
    if not attempt.is_counted:
        attempt.is_counted = True
        attempt.outside.check_rate(_counted_as(attempt, match[0]))
    return match


def _counted_as(attempt: Attempt, client: Caller) -> str:
    """Say for whom a request counts: a name that nothing proves counts for where it came from as well."""
    return f"{client.client_id}@{attempt.source}" if client.auth == Client.Auth.NONE else client.client_id


type _ClientMatch = tuple[Caller, Target | None, str]


async def _find(attempt: Attempt, client_id: str, slug: str | None) -> _ClientMatch:
    if slug is None:
        client, target, name = await callers.find(attempt.reads, client_id), None, client_id
    else:
        target, client, name = await callers.find_at(attempt.reads, client_id, slug)
        if target is None:
            raise refusals.no_issuer()
    if client is None:
        raise refusals.invalid_client("The client could not be authenticated.")
    return client, target, name


def _by_secret(attempt: Attempt, match: _ClientMatch, secret: str) -> _ClientMatch:
    attempt.held = held.by_secret(match[0], clients.secret_digest(secret))
    if match[0].auth != Client.Auth.CLIENT_SECRET_BASIC or attempt.held is None:
        raise refusals.invalid_client("The client could not be authenticated.")
    return match


async def _by_name(attempt: Attempt, slug: str | None, *, allow_public: bool) -> _ClientMatch:
    if not attempt.form.get("client_id"):
        raise refusals.invalid_client("Authenticate the client.")
    match = await _find(attempt, attempt.form["client_id"], slug)
    if match[0].auth != Client.Auth.NONE or not allow_public:
        raise refusals.invalid_client("The client must authenticate here.")
    return match


async def _by_assertion(attempt: Attempt, issuer_path: str, slug: str | None) -> _ClientMatch:
    """Check a client assertion (RFC 7523 section 2.2): for this issuer alone, short, with the client's key, once."""
    form = attempt.form
    if form.get("client_assertion_type") == SPIFFE and "client_assertion" in form:
        return await _by_svid(attempt, addresses.issuer(issuer_path), slug)
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise refusals.invalid_client("The client assertion's type is missing or not supported.")
    try:
        return await _assertion(attempt, addresses.issuer(issuer_path), slug)
    except (jws.BadToken, public_keys.BadKey) as error:
        raise refusals.invalid_client(error.message) from error


async def _assertion(attempt: Attempt, issuer: str, slug: str | None) -> _ClientMatch:
    unverified = jws.read(attempt.form["client_assertion"])
    client_id = jws.text(unverified.claims, "sub", longest=LONGEST_CLIENT_ID)
    if unverified.typ not in _TYPS or unverified.claims.get("iss") != client_id:
        raise jws.BadToken("The client assertion's type, iss or sub is not that of a client.")
    _same(attempt.form, client_id)
    match = await _find(attempt, client_id, slug)
    if match[0].auth != Client.Auth.PRIVATE_KEY_JWT:
        raise refusals.invalid_client("The client could not be authenticated.")
    claims, attempt.held = held.by_key(match[0], unverified)
    if claims.get("aud") != issuer:
        raise jws.BadToken("The client assertion must name this issuer as its only audience, as a string.")
    expires = jws.check_times(claims, clock.now().timestamp(), leeway=_LEEWAY, longest=_LONGEST)
    until = datetime.fromtimestamp(expires, UTC)
    proof = Claim(f"client:{match[0].client_id}", jws.text(claims, "jti"), until)
    if not attempt.is_used_up and attempt.outside.is_used_here(
        proof
    ):  # what only asked is in no row, and mints and rotates nothing either
        raise refusals.invalid_client(*refusals.USED)
    attempt.proof = proof
    return match


async def _by_svid(attempt: Attempt, issuer: str, slug: str | None) -> _ClientMatch:
    """Check a JWT-SVID (OAuth SPIFFE Client Authentication, section 3.1): its rule says which client it is of."""
    try:
        unverified = jws.recall(attempt.form["client_assertion"])
        workload = await workload_proof.prove(attempt, unverified, issuer)
    except (jws.BadToken, refusals.Refused) as error:
        raise refusals.invalid_client(error.message, str(error.code)) from error
    if workload.rule.platform is not Platform.SPIFFE:
        raise refusals.invalid_client("The client assertion is not a JWT-SVID.", "workload_refused")
    _same(attempt.form, workload.caller.client_id)
    attempt.proof = workload.used
    if slug is None:
        return workload.caller, None, workload.caller.client_id
    target, name = await callers.find_target(attempt.reads, slug, workload.caller)
    if target is None:
        raise refusals.no_issuer()
    return workload.caller, target, name


def _same(form: Mapping[str, str], client_id: str) -> None:
    if form.get("client_id", client_id) != client_id:
        raise refusals.invalid_request("The request names two clients.", "two_clients")


def _basic(header: str) -> tuple[str, str]:
    """Read HTTP Basic credentials, form-encoded inside (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    try:
        plain = base64.b64decode(encoded.strip(), validate=True)
        client_id, colon, secret = plain.partition(b":")
        if scheme.lower() != "basic" or not colon:
            raise refusals.invalid_client("The Authorization header is not of a supported kind.")
        return forms.text(client_id), forms.text(secret)
    except (binascii.Error, ValueError, forms.BadForm) as error:
        raise refusals.invalid_client("The Authorization header is malformed.") from error
