"""Proofs of possession at the token endpoints (RFC 9449 sections 4, 5 and 8): whose key a token is bound to.

A proof is checked once the client is known, and its name is used up with the event of the request. Public clients prove
with a nonce: nothing else says that their proof was made now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from audit import clock
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.clients.models import Client
from entitlements.dpop import nonces, proofs
from entitlements.secrets.seal import RootKey
from entitlements.tokens.issue_token import Claim

from . import refusals
from .door import Attempt


def check(attempt: Attempt, caller: Caller, issuer_path: str) -> None:
    """Check the proof of a token request, where it has one; what is issued is bound to its key. Raises Refused.

    Without one it is refused where the policy asks for one.
    """
    if attempt.dpop is None:
        if settings.DPOP_REQUIRED == "all" or (settings.DPOP_REQUIRED == "public" and is_public(caller)):
            raise _missing(attempt)
        return
    now = clock.now().timestamp()
    try:
        proof = proofs.read(attempt.dpop)
        proofs.check(proof, proofs.Expected("POST", f"{addresses.endpoints(issuer_path)}/token"), now)
        _check_nonce(proof, now, is_needed=is_public(caller))
    except proofs.BadProof as error:
        raise refusals.Refused(refusals.word(error), str(error.code), error.message) from error
    attempt.possession = Claim(proof.thumbprint, proof.jti, proof.until)


def check_key(attempt: Attempt, jkt: str) -> None:
    """Refuse what is bound to a key that the request does not prove; empty for what is not bound. Raises Refused."""
    if jkt and jkt != attempt.jkt:
        message = "What is presented is bound to a key that the request does not prove."
        raise refusals.invalid_grant(message, "proof_invalid")


def check_confirmation(attempt: Attempt, claims: Mapping[str, Any]) -> None:
    """Do the same for what names its key itself; any other way of being bound is refused (EMA-R-11). Raises Refused."""
    try:
        check_key(attempt, proofs.key_of(claims))
    except proofs.BadProof as error:
        raise refusals.invalid_grant(error.message, "proof_invalid") from error


def check_public(attempt: Attempt, caller: Caller, jkt: str) -> None:
    """Refuse what a public client presents unbound: a thief could bind it to another key.

    Raises Refused.
    """
    check_key(attempt, jkt)
    if is_public(caller) and not jkt:
        message = "A client that does not authenticate exchanges only what is bound to the key that it proves."
        raise refusals.invalid_grant(message, "proof_invalid")


def is_public(caller: Caller) -> bool:
    """Whether a client proves nothing when it calls."""
    return caller.auth == Client.Auth.NONE


def _missing(attempt: Attempt) -> refusals.Refused:
    """Return the refusal without a proof; for an assertion the grant is at fault (EMA-R-12)."""
    word = "invalid_grant" if "assertion" in attempt.form else "invalid_dpop_proof"
    return refusals.Refused(word, "proof_invalid", "A token is issued here only with a proof of the client's key.")


def _check_nonce(proof: proofs.Proof, now: float, *, is_needed: bool) -> None:
    nonce = proof.nonce
    if is_needed if nonce is None else not nonces.is_fresh(nonce, now, RootKey.SIGNING):
        raise proofs.NonceNeeded
