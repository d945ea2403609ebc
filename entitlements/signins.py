"""Whether a person may sign in to an agent's client: every principal is asked about, no grant is needed."""

from __future__ import annotations

from typing import Final

from . import policy, prepared
from .callers import Caller
from .codes import Code
from .facts import OWNER_UNTIL
from .snapshot import AgentFacts, Issuance, Token
from .verdicts import Effect, Verdict
from .words import Flow, Status

SECONDS: Final = 300.0

_PRINCIPALS: Final = f"""
SELECT c.status, a.status, s.is_active, extract(epoch FROM a.tokens_valid_after)::float8, p.login, p.is_active,
       (SELECT string_agg(g.reason, '; ') FROM entitlements_guardrail g WHERE g.name = 'everything' AND g.on),
       {OWNER_UNTIL}, extract(epoch FROM a.ends_at)::float8
FROM entitlements_client c
LEFT JOIN entitlements_agent a ON a.id = c.agent_id
LEFT JOIN entitlements_person s ON s.id = a.sponsor_id
LEFT JOIN entitlements_person o ON o.id = a.owner_id, entitlements_person p
WHERE c.id = %s AND p.id = %s
"""  # noqa: S608 - made of two constants


def may_sign_in(caller: Caller, person_pk: int, code: Token, now: float) -> Verdict:
    """Decide about an ID token for a person who signed in at a client, with facts read now; `code` is redeemed."""
    row = prepared.row(_PRINCIPALS, [caller.pk, person_pk])
    if row is None:
        return Verdict(Effect.DENY, Code.PERSON_UNKNOWN, ())
    client, agent, is_sponsored, valid_after, login, is_active, stopped, owner_until, agent_until = row
    known = AgentFacts(
        agent=caller.agent or "",
        position=0,
        status=Status.ACTIVE if caller.agent is None else Status(agent),
        sponsor=Status.ACTIVE if caller.agent is None or is_sponsored else Status.DISABLED,
        clients={caller.client_id: Status(client)},
        people={login: Status.ACTIVE if is_active else Status.DISABLED},
        systems={},
        tools={},
        lines={},
        owner_until=float("inf") if owner_until is None else owner_until,
        agent_until=float("inf") if agent_until is None else agent_until,
        tokens_valid_after=float("-inf") if valid_after is None else valid_after,
        stopped=stopped or "",
    )
    flow, agent_name = Flow.AUTHORIZATION_CODE, caller.agent or ""
    issuance = Issuance(
        flow, agent_name, caller.client_id, login, None, code.scopes, SECONDS, code, begins_session=True
    )
    return policy.may_issue(issuance, known, now)
