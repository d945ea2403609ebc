"""What a token carries of the authorization details that are asked for: what the grants cover, with their limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from entitlements.authorization_details import details
from entitlements.authorization_details.details import DetailsInvalid
from entitlements.codes import Code, meaning
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import AgentFacts
from entitlements.decisions.verdicts import Effect, Reason, Remedy, Verdict

if TYPE_CHECKING:
    from .issue import TokenRequest


def carried(token_request: TokenRequest, verdict: Verdict, known: AgentFacts, now: float) -> Verdict:
    """Let the token carry what the grants cover of the authorization details asked for; without any it is not issued.

    Raises DetailsInvalid where that would be too long.
    """
    if token_request.details is None or verdict.issue is None:
        return verdict
    if token_request.target.is_all_systems:
        raise DetailsInvalid("Ask for a tool at its own system: there its name means it alone.")
    person = token_request.subject.login if token_request.subject else None
    slug, held = token_request.target.slug, verdict.issue.scopes
    covered = details.granted(token_request.details, known, slug, person, held, now)
    if not covered.by_tool:
        no_grant = meaning(Code.NO_GRANT)
        reason = Reason(Code.NO_GRANT, "No grant covers a tool of the authorization details.")
        remedy = Remedy(no_grant.next, no_grant.remedy, slug, "", person, scopes.canonical(held))
        return Verdict(Effect.DENY, Code.NO_GRANT, (reason,), remedy=remedy)
    return replace(verdict, issue=replace(verdict.issue, details=tuple(covered.written())))
