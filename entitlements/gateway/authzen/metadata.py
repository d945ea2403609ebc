"""What the decision point says of itself (AuthZEN 1.0, section 9): its addresses, and the same as a signed token.

The token is signed by the issuer whose tokens callers present, so its keys are those that they know from there. A node
without signing keys, which is a gateway alone, leaves it out: it is optional.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from audit import clock
from entitlements import addresses
from entitlements.decisions.reads import Rows
from entitlements.errors import DomainError
from entitlements.keys import in_use
from entitlements.node.node import Node
from entitlements.node.refusals import Refused
from entitlements.signers.signers import OwnKey

from .questions import Target

METADATA: Final = "/.well-known/authzen-configuration"
EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
SEARCHES: Final = {f"/access/v1/search/{target}": target for target in Target}
TYP: Final = "pdp-metadata+jwt"
"""A type of its own, so that it is taken for no other token of the issuer (RFC 8725 section 3.11)."""
SIGNED_AGAIN: Final = 3600.0
LIVES: Final = 24 * 3600
"""Seconds after which it is signed again, and for which it is valid."""
_ISSUER: Final = """
SELECT y.id, y.signing_algorithm FROM entitlements_system y WHERE y.slug = %s
"""


@dataclass(slots=True)
class _Kept:
    """What was signed last: with which key, when, and what of."""

    kid: str = ""
    at: float = 0.0
    configuration: dict[str, str] | None = None
    token: str = ""


_KEPT: Final = _Kept()


async def configuration(node: Node) -> dict[str, Any]:
    """Return the metadata. Strangers ask for it, so it is signed seldom, and never waits for a key that is away."""
    base = settings.GATEWAY_URL
    plain = {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
        **{f"search_{target}_endpoint": base + path for path, target in SEARCHES.items()},
    }
    try:
        return {**plain, "signed_metadata": await _signed(node, plain)}
    except (DomainError, Refused):  # no key, none that this node opens, a signer or a database that is away
        return plain


async def _signed(node: Node, plain: dict[str, str]) -> str:
    """Return the metadata as a token of its issuer. Raises KeyMissing, SealBroken, SignerUnreachable, Closed."""
    issuer, reads = addresses.issuer_path(addresses.MANDATE), node.reads()
    rows = await reads.kept(_ISSUER, [addresses.MANDATE], _about)
    if not rows:
        raise in_use.KeyMissing
    key, now = await in_use.signer(reads, issuer, rows[0][1]), clock.now().timestamp()
    if _KEPT.kid != key.kid or _KEPT.configuration != plain or not 0 <= now - _KEPT.at < SIGNED_AGAIN:
        _KEPT.token = await _token(key, plain, issuer, int(now))
        _KEPT.kid, _KEPT.configuration, _KEPT.at = key.kid, plain, now
    return _KEPT.token


async def _token(key: OwnKey, plain: dict[str, str], issuer: str, now: int) -> str:
    claims = {"iss": addresses.issuer(issuer), "iat": now, "exp": now + LIVES, **plain}
    return await in_use.signed(claims, key, TYP)


def _about(rows: Rows) -> Iterable[tuple[str, object]]:
    return [("system_id", row[0]) for row in rows]
