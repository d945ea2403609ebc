"""Proofs of possession at the token endpoints (RFC 9449 sections 4, 5 and 8): whose key a token is bound to.

A proof is checked once the client is known, and its name is used up with the event of the request. Public clients prove
with a nonce: nothing else says that their proof was made now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from audit import clock
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.codes import Code
from entitlements.dpop import nonces, proofs
from entitlements.secrets.seal import RootKey
from entitlements.tokens.issue_token import Claim

from . import refusals
from .door import Attempt

PROOF_INVALID: Final = str(Code.PROOF_INVALID)


def check(attempt: Attempt, caller: Caller, issuer_path: str) -> None:
    """Check the proof of a token request, where it has one; what is issued is bound to its key. Raises Refused."""
    if attempt.dpop is None:
        return
    now = clock.now().timestamp()
    try:
        proof = proofs.read(attempt.dpop)
        proofs.check(proof, proofs.Expected("POST", f"{addresses.endpoints(issuer_path)}/token"), now)
        _check_nonce(proof, now, is_needed=is_public(caller))
    except proofs.BadProof as error:
        raise refusals.Refused(refusals.word(error), str(error.code), error.message) from error
    attempt.possession = Claim(proof.thumbprint, proof.jti, proof.until)


def check_key(attempt: Attempt, jkt: str, what: str) -> None:
    """Refuse what is bound to a key that the request does not prove; empty for what is not bound. Raises Refused."""
    if jkt and jkt != attempt.jkt:
        raise refusals.invalid_grant(f"{what} is bound to a key that the request does not prove.", PROOF_INVALID)


def check_confirmation(attempt: Attempt, claims: Mapping[str, Any], what: str) -> None:
    """Do the same for what names its key itself; any other way of being bound is refused (EMA-R-11). Raises Refused."""
    try:
        check_key(attempt, proofs.key_of(claims), what)
    except proofs.BadProof as error:
        raise refusals.invalid_grant(error.message, PROOF_INVALID) from error


def check_public(attempt: Attempt, caller: Caller, jkt: str, what: str) -> None:
    """Refuse what a public client presents unbound: whoever stole it could bind it to a key of their own.

    Raises Refused.
    """
    check_key(attempt, jkt, what)
    if is_public(caller) and not jkt:
        raise refusals.invalid_grant(f"{what} of a public client must be bound to a key of the client.", PROOF_INVALID)


def is_public(caller: Caller) -> bool:
    """Whether a client proves nothing when it calls."""
    return caller.auth == Client.Auth.NONE


def _check_nonce(proof: proofs.Proof, now: float, *, is_needed: bool) -> None:
    nonce = proof.nonce
    if is_needed if nonce is None else not nonces.is_fresh(nonce, now, RootKey.SIGNING):
        raise proofs.NonceNeeded
