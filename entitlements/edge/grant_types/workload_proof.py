"""Which workload a token is of: signed by a trusted issuer, fit by one rule, for this audience, and used as it may be.

Until a rule fits, the caller is a stranger, who is counted and written nowhere. From then on each refusal is recorded.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from audit import clock, context
from entitlements.clients import callers
from entitlements.clients.callers import Caller
from entitlements.edge import refusals
from entitlements.edge.door import Attempt
from entitlements.keys import jws, public_keys
from entitlements.tokens.issue_token import Claim
from entitlements.trusted_issuers import issuers
from entitlements.trusted_issuers.issuers import ActiveIssuer
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.workload_identity import in_force, platforms, rules
from entitlements.workload_identity.rules import Rule

TYPS: Final = frozenset({None, "jwt", "jose"})
"""What platforms write as `typ`: GitHub JWT, Kubernetes nothing, SPIFFE either of the three."""
_LEEWAY: Final = 60.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload that was proven: the client it is, by which rule, and its token's own claims."""

    caller: Caller
    rule: Rule
    issuer: ActiveIssuer
    claims: Mapping[str, Any]
    used: Claim | None
    """What its token is used up by, where its issuer's are used once."""

    @property
    def detail(self) -> dict[str, object]:
        """What the event of a token says of it."""
        said = {"iss": self.issuer.issuer, "sub": self.claims["sub"], "jti": self.claims.get("jti")}
        return {"workload": {"rule": str(self.rule.pk), **{name: text for name, text in said.items() if text}}}


async def prove(attempt: Attempt, unverified: jws.Unverified, audience: str) -> Workload:
    """Find the workload that a token is of. Raises Refused and KeysUnreachable."""
    try:
        return await _proven(attempt, unverified, audience)
    except (jws.BadToken, public_keys.BadKey) as error:
        raise refusals.invalid_grant(error.message, str(error.code)) from error


async def _proven(attempt: Attempt, unverified: jws.Unverified, audience: str) -> Workload:
    if unverified.typ not in TYPS:
        raise jws.BadToken("The token's typ is not that of a workload's token.")
    issuer = await in_force.issuer_of(attempt.reads, unverified.claims)
    if issuer is None:
        raise _not_trusted()
    claims = await issuers.check(unverified, issuer, attempt.outside.document)
    attempt.trusted_issuer = issuer.pk
    attempt.check_again = functools.partial(_check_again, attempt, issuer.issuer, claims)
    rule = await _rule(attempt, issuer, claims)
    caller = await callers.find(attempt.reads, rule.client)
    if caller is None:  # a client is never deleted, and a rule names one
        raise _unknown()
    attempt.by = caller.principal
    attempt.about = [*caller.links, f"workload_rule:{rule.pk}", f"issuer:{issuer.issuer}"]
    if rule.is_ended:
        raise _ended()
    if problem := platforms.why_not(rule.platform, issuer.issuer, rule.claims, claims):
        raise refusals.invalid_grant(problem, "workload_refused")
    expires = rules.check_times(rule.platform, claims, clock.now().timestamp(), _LEEWAY)
    if jws.sole_audience(claims) != audience:
        raise refusals.invalid_grant("The token is for another audience.", "audience_mismatch")
    if "cnf" in claims:  # a bound token taken without its proof would be a bearer one
        raise refusals.invalid_grant("The token is bound to a key, which is not supported here.", "proof_invalid")
    if not attempt.is_counted:  # an old token of the workload, which others may have, does not use its limit up
        attempt.is_counted = True
        attempt.outside.check_rate(caller.client_id)
    return Workload(caller, rule, issuer, claims, _used(unverified, issuer, expires))


async def _rule(attempt: Attempt, issuer: ActiveIssuer, claims: Mapping[str, Any]) -> Rule:
    """Return the one rule that a token fits. Two that do are recorded as the system's, with both."""
    try:
        rule = rules.choose(await in_force.of_issuer(attempt.reads, issuer), claims)
    except rules.Ambiguous as error:
        attempt.by = context.SYSTEM
        attempt.about = [*(f"workload_rule:{each.pk}" for each in error.rules), f"issuer:{issuer.issuer}"]
        raise refusals.invalid_grant(error.message, "workload_ambiguous") from error
    if rule is None:
        raise _unknown()
    return rule


async def _check_again(attempt: Attempt, issuer: str, claims: Mapping[str, Any]) -> None:
    """Check that issuer and rule are in force after a fact changed while the token was written. Raises Refused."""
    active = await issuers.trusted(attempt.reads, issuer, TrustedIssuer.Purpose.WORKLOAD)
    if active is None:
        raise _not_trusted()
    if (await _rule(attempt, active, claims)).is_ended:
        raise _ended()


def _not_trusted() -> refusals.Refused:
    message = "The token's issuer is not trusted for workload identity here."
    return refusals.invalid_grant(message, "issuer_not_trusted")


def _unknown() -> refusals.Refused:
    return refusals.invalid_grant("No workload rule describes the workload.", "workload_unknown")


def _ended() -> refusals.Refused:
    return refusals.invalid_grant("The workload rule has ended.", "workload_rule_ended")


def _used(unverified: jws.Unverified, issuer: ActiveIssuer, expires: float) -> Claim | None:
    """Name what a token is used up by: its `jti`, else what was signed, in which no bit can be changed."""
    if not issuer.strict_single_use:
        return None
    named = unverified.claims.get("jti") is not None
    jti = jws.text(unverified.claims, "jti") if named else f"sha256:{hashlib.sha256(unverified.signed).hexdigest()}"
    return Claim(issuer.issuer, jti, datetime.fromtimestamp(expires, UTC))
