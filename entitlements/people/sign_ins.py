"""A person's sign-in: when it was, how old it may be, and whether it may go on to an agent's client.

For the last, every principal is asked about and no grant is needed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from allauth.account.internal.flows import login
from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from entitlements import authentication
from entitlements.agents.models import Agent
from entitlements.authentication import COMPANY, Authentication
from entitlements.clients.callers import Caller
from entitlements.codes import Code
from entitlements.decisions import policy
from entitlements.decisions.facts import OWNER_UNTIL, SESSION_POLICIES, session_terms
from entitlements.decisions.reads import Reads
from entitlements.decisions.snapshot import AgentFacts, Issuance, Token
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.people.models import Person
from entitlements.session_policies.rules import UNKNOWN, SignedIn
from entitlements.words import Flow, Status

SECONDS: Final = 300.0
SIGNED_IN_AT: Final = "signed_in_at"
"""Where the session keeps when the person signed in at the company, which may be hours before they came here."""
CONTEXTS: Final = "company_contexts"
"""Where the session keeps for which contexts the company's sign-in is asked, and when it was, in seconds."""

_PRINCIPALS: Final = f"""
SELECT c.status, a.status, s.is_active,
       extract(epoch FROM greatest(a.tokens_valid_after, c.tokens_valid_after, p.sign_ins_valid_after))::float8,
       p.login, p.is_active,
       (SELECT string_agg(g.reason, '; ') FROM entitlements_guardrail g WHERE g.name = 'everything' AND g.on),
       {OWNER_UNTIL}, extract(epoch FROM a.ends_at)::float8, {SESSION_POLICIES.format(kind="a.kind", system="NULL")}
FROM entitlements_client c
LEFT JOIN entitlements_agent a ON a.id = %s::bigint
LEFT JOIN entitlements_person s ON s.id = a.sponsor_id
LEFT JOIN entitlements_person o ON o.id = a.owner_id, entitlements_person p
WHERE c.id = %s AND p.id = %s
"""  # noqa: S608 - made of constants


def max_age() -> float:
    """Return how old a sign-in may be, in seconds."""
    return float(settings.SIGN_IN_MAX_AGE.total_seconds())


def required_after(request: HttpRequest, client_id: str) -> float | None:
    """Return after which moment the person must have signed in for this client, in epoch seconds; None for any."""
    if not isinstance(request.user, Person):
        return None
    through = Q(clients__client_id=client_id)
    through |= Q(connections__client__client_id=client_id, connections__person=request.user, connections__ended_at=None)
    agents = Agent.objects.filter(through).exclude(sign_in_required_after=None)
    moments = [request.user.sign_in_required_after, *agents.values_list("sign_in_required_after", flat=True)]
    return max((moment.timestamp() for moment in moments if moment is not None), default=None)


def signed_in_at(request: HttpRequest) -> datetime | None:
    """Return when the person last proved who they are in this browser session; None when it does not say.

    A sign-in of the same person in another browser changes nothing here. For a sign-in at the company it is the time
    that the company names, not the time at which the person came back from there.
    """
    times = [record.get(SIGNED_IN_AT) if record["method"] == COMPANY else record["at"] for record in _records(request)]
    known = [float(moment) for moment in times if moment is not None]
    return datetime.fromtimestamp(max(known), UTC) if known else None


def authentication_of(request: HttpRequest) -> Authentication:
    """Return how the person signed in in this browser session."""
    return authentication.from_records(_records(request))


def _records(request: HttpRequest) -> list[dict[str, Any]]:
    person = request.user if request.user.is_authenticated else None
    records: list[dict[str, Any]] = login.get_authentication_records(request, person)
    return records


async def may_sign_in(
    reads: Reads,
    caller: Caller,
    person_pk: int,
    redeemed: Token,
    now: float,
    *,
    flow: Flow = Flow.AUTHORIZATION_CODE,
    signed_in: SignedIn | None = None,
) -> Verdict:
    """Decide about an ID token for a person who signed in at a client, with facts read now of its agent for them.

    `redeemed` is the code, or the refresh token of the sign-in that it began. Session policies for every system are
    asked about `signed_in`; without it, none.
    """
    rows = await reads.rows(_PRINCIPALS, [caller.agent_pk, caller.pk, person_pk])
    if not rows:
        return Verdict(Effect.DENY, Code.PERSON_UNKNOWN, ())
    client, agent, is_sponsored, valid_after, login, is_active, stopped, owner_until, agent_until, policies = rows[0]
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
        session_terms=() if signed_in is None else session_terms(policies),
    )
    issuance = Issuance(
        flow,
        caller.agent or "",
        caller.client_id,
        login,
        None,
        redeemed.scopes,
        SECONDS,
        redeemed,
        begins_session=True,
        signed_in=signed_in or UNKNOWN,
    )
    return policy.may_issue(issuance, known, now)
