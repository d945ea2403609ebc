"""Whether a sign-in is from before one was required of its person or its agent, where a session begins or goes on."""

from __future__ import annotations

from typing import Final

from audit import clock
from entitlements.decisions import facts
from entitlements.tokens.id_tokens import SignInTooOld
from entitlements.tokens.issue import TokenRequest
from entitlements.words import Risk

from .door import Attempt

_STANDING: Final = """
SELECT extract(epoch FROM greatest(a.sign_in_required_after, p.sign_in_required_after))::float8,
       a.risk_level, p.risk_level
FROM entitlements_agent a, entitlements_person p WHERE a.id = %s AND p.id = %s
"""


async def check(attempt: Attempt, token_request: TokenRequest) -> Risk:
    """Return the risk level of a session that the request would begin.

    Raises SignInTooOld, with how old a sign-in may be (RFC 9470 section 3), where its sign-in counts no more.
    """
    person, agent, sign_in = token_request.subject, token_request.root.agent_pk, token_request.sign_in
    if person is None or agent is None or sign_in is None:
        return Risk.LOW
    about = [("agent_id", agent), ("person_id", person.pk)]
    rows = await attempt.reads.kept(_STANDING, [agent, person.pk], lambda _rows: about)
    if not rows:
        return Risk.LOW
    required, *risks = rows[0]
    now = clock.now()
    signed_in = (sign_in.auth_time or now).timestamp()
    if facts.is_signed_in_too_early(signed_in, required):
        raise SignInTooOld(max_age=max(0, int(now.timestamp() - required)))
    return max(map(Risk, risks), key=lambda level: level.rank)
