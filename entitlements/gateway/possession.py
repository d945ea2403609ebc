"""Proofs of possession at the gateway (RFC 9449 section 7): checked before anything else, used once, sent on to no one.

A token that is bound to a key comes with the scheme DPoP and a proof for this very request. The name of the proof is
claimed with the call's event, so that of two nodes one takes it; where a request leaves no event, it is claimed by
itself before anything is answered.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from audit.statements import Claim
from entitlements.codes import Code
from entitlements.dpop import claims, nonces, proofs
from entitlements.gateway.http import Message, Request
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.refusals import Refused
from entitlements.secrets.seal import RootKey

HEADER: Final = b"dpop"
_CHALLENGE: Final = b"www-authenticate"


def answer_with_nonce(node: Node, request: Request) -> None:
    """Let each answer of a request that has a proof carry a nonce, and challenge for a proof. Raises Closed."""
    send, nonce = request.send, nonces.current(node.now(), RootKey.GENERAL).encode()

    async def send_with_nonce(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value.replace(b"Bearer ", b"DPoP ", 1) if name == _CHALLENGE else value)
                for name, value in message["headers"]
            ]
            message = {**message, "headers": [*headers, (b"dpop-nonce", nonce)]}
        await send(message)

    request.send = send_with_nonce


async def check(node: Node, request: Request, bearer: Bearer, address: str, *, needs_digest: bool = False) -> None:
    """Check the proof for a bound token at an address of ours, and keep it to be claimed. Raises Refused, Disconnected.

    The body is read for it, at most as much as without a proof; one that was read before counts with every method.
    """
    if HEADER in request.repeated:
        raise _refused("The request has more than one proof.")
    body = await request.body() if request.method == "POST" else request.content or None
    token = request.headers.get(b"authorization", b"").partition(b" ")[2].decode("latin-1")
    try:
        proof = proofs.read(request.headers.get(HEADER, b"").decode("latin-1"))
        expected = proofs.Expected(request.method, address, token, body, needs_digest, bearer.jkt)
        proofs.check(proof, expected, node.now())
        _check_nonce(proof, node.now(), is_needed=bearer.needs_nonce)
    except proofs.BadProof as why:
        raise Refused(Code(why.code), why.message) from why
    request.proof = proof


def take(request: Request) -> Claim | None:
    """Return the name that is to be used up with the next event, once; None where there is none."""
    proof, request.proof = request.proof, None
    return None if proof is None else (claims.name_of(proof), proof.jti, claims.kept_until(proof).isoformat())


async def claim(node: Node, request: Request) -> None:
    """Use the proof up now, if there is one. Raises Refused where it was used before, Closed."""
    if (name := take(request)) is not None and not await node.writes.run(claims.ALONE, name):
        raise _refused("The proof was used before.")


def _check_nonce(proof: proofs.Proof, now: float, *, is_needed: bool) -> None:
    nonce = proof.nonce
    if is_needed if nonce is None else not nonces.is_fresh(nonce, now, RootKey.GENERAL):
        raise proofs.NonceNeeded


def _refused(message: str) -> Refused:
    return Refused(Code.PROOF_INVALID, message, status=HTTPStatus.UNAUTHORIZED)
