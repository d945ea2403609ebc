"""The proof of a cut: each call that it took away is decided once more, on facts read now, and each kept tool is there.

Of a removal also the tokens that stood on it are asked after, as introspection does, and a new one is asked for.

Nothing is sent to any system: the function that decides here is the one that decides in the gateway. A call that
another grant covers is not what was cut: it is kept as such, and named, so that nobody reads more into the cut.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit import clock
from entitlements import facts, jws, limits, policy, presented
from entitlements.models import Client, Grant, GrantLine, IssuedToken, Membership, Person
from entitlements.snapshot import AgentFacts, Call, Issuance
from entitlements.words import Flow
from governance.models import Remediation, ReviewDecision, ReviewItem, ReviewLine
from governance.reviewing import Verb

from . import kinds

_MOST_PEOPLE, _MOST_CALLS, _MOST_TOKENS = 20, 200, 200
_DENIED: Final = "denied"
_KEPT: Final = "kept"
_ENDS: Final = "ends"


def probe(remediation: Remediation) -> dict[str, Any]:
    """Say what every tool of a decision's item answers now; `holds` when all of it is as was decided."""
    decision = remediation.decision
    item = decision.item
    if (kind := kinds.of(item)) is not None:
        answers = kind.probe(item, meant(decision))
        told = {"calls": answers, "tokens": [], "exchanges": [], "position": None}
        return {"holds": all(each["holds"] for each in answers), **told, "probed_at": clock.now().isoformat()}
    known = facts.load(item.agent_slug, item.system_slug, _known_people(item))
    calls = [] if known is None else _calls(decision, known, is_final=remediation.finished_at is not None)
    removed = decision.verb == Verb.REVOKE
    tokens = _tokens(item) if removed else []
    exchanges = _exchanges(item, known) if removed and known is not None else []
    wrong = [told for told in (*calls, *exchanges) if not told["holds"]]
    alive = [token for token in tokens if token["alive"]]
    return {
        "holds": bool(calls) and not wrong and not alive,
        "calls": calls,
        "tokens": tokens,
        "exchanges": exchanges,
        "position": known.position if known else None,
        "probed_at": clock.now().isoformat(),
    }


def meant(decision: ReviewDecision, reason: str = "") -> kinds.Cut:
    """Say what a decision takes away of a thing that is no grant."""
    kept: frozenset[int] | None = None
    if decision.verb != Verb.REVOKE:
        lines = ReviewLine.objects.filter(pk__in=decision.kept_lines)
        kept = frozenset(lines.values_list("tool_id", flat=True))
    return kinds.Cut(decision.decided_by.principal, reason, kept)


def _people(item: ReviewItem) -> list[str | None]:
    people: list[str | None] = [name[7:] for name in item.subjects if name.startswith("person:")]
    groups = [name[6:] for name in item.subjects if name.startswith("group:")]
    if groups:
        people += (
            Membership.objects.filter(group__slug__in=groups).order_by("pk").values_list("person__login", flat=True)
        )
    return people[:_MOST_PEOPLE] or [None]


def _known_people(item: ReviewItem) -> list[tuple[str, bool]]:
    logins = [who for who in _people(item) if who]
    return list(Person.objects.filter(login__in=logins).values_list("login", "is_active"))


def _calls(decision: ReviewDecision, known: AgentFacts, *, is_final: bool) -> list[dict[str, Any]]:
    """Decide each line of the item for each person: what was cut is denied, what was kept is still there."""
    item = decision.item
    client = _client(item)
    held: dict[tuple[UUID | None, int], dict[str, Any]] = {
        (line.grant_id, line.tool_id): line.limits
        for line in GrantLine.objects.filter(grant__in=item.population.values("grant"), grant__state="active")
    }
    answers = []
    lines = ReviewLine.objects.filter(item=item).select_related("tool").order_by("tool__name", "pk")
    for person in _people(item):
        for line in lines:
            kept = decision.verb != Verb.REVOKE and line.pk in decision.kept_lines
            call = Call(item.agent_slug, client, person, item.system_slug, line.tool.name, {})
            told = _decided(call, known, line, until=None)
            expected = _KEPT if kept else _DENIED
            holds = not told["still_there"]
            if kept:
                now = held.get((line.grant_id, line.tool_id))
                holds = told["still_there"] == (now is not None) and _is_tight(decision, line, now)
            answers.append({**told, "expected": expected, "holds": holds})
            if kept and is_final and decision.valid_until:
                later = _decided(call, known, line, until=decision.valid_until)
                answers.append({**later, "expected": _ENDS, "holds": not later["still_there"]})
    return answers[:_MOST_CALLS]


def _client(item: ReviewItem) -> str:
    return Client.objects.filter(agent=item.agent).order_by("pk").values_list("client_id", flat=True).first() or ""


def _exchanges(item: ReviewItem, known: AgentFacts) -> list[dict[str, Any]]:
    """Ask for each person, as whoever issues tokens does, for all that was removed: nothing of it carries a token."""
    removed = {str(grant) for grant in item.population.values_list("grant", flat=True)}
    scopes = frozenset(item.population.values_list("grant__entitlement__scope", flat=True))
    client, answers = _client(item), []
    for person in _people(item):
        flow = Flow.TOKEN_EXCHANGE if person else Flow.CLIENT_CREDENTIALS
        wish = Issuance(flow, item.agent_slug, client, person, item.system_slug, scopes, 60.0, begins_session=True)
        verdict = policy.may_issue(wish, known, clock.now().timestamp())
        stands_on = set(verdict.issue.grants) if verdict.issue else set()
        told = {"person": person, "issued": bool(stands_on), "code": str(verdict.code)}
        answers.append({**told, "holds": not stands_on & removed})
    return answers


def _is_tight(decision: ReviewDecision, line: ReviewLine, now: dict[str, Any] | None) -> bool:
    decided = decision.limits.get(str(line.pk))
    return now is None or decided is None or limits.tightens(decided, now)


def _decided(call: Call, known: AgentFacts, line: ReviewLine, *, until: datetime | None) -> dict[str, Any]:
    """Decide one call. A denial for its arguments alone proves nothing, so the facts are asked for the grant too."""
    at = (until or clock.now()).timestamp()
    verdict = policy.decide(call, known, at)
    grant = str(line.grant_id)
    lines = known.lines.get((call.system, call.tool, call.person), ())
    there = any(each.grant == grant and not each.suspended and each.expires > at for each in lines)
    return {
        "person": call.person,
        "tool": call.tool,
        "allowed": verdict.allowed,
        "code": str(verdict.code),
        "grant": grant if there else verdict.grant if verdict.allowed else None,
        "still_there": there,
    }


def _tokens(item: ReviewItem) -> list[dict[str, Any]]:
    """Ask, as introspection does, after the tokens at this system that stood on what was removed and nothing else."""
    removed = item.population.values("grant")
    system = item.system_slug
    drew = IssuedToken.objects.filter(draws_on__grant__in=removed, expires_at__gt=clock.now(), revoked_at=None)
    if item.subject_kind == ReviewItem.Subject.DELEGATION:
        drew = drew.filter(person=item.holder)
    others = IssuedToken.objects.filter(draws_on__grant__in=Grant.objects.filter(ended_at=None).exclude(pk__in=removed))
    rows = drew.filter(system__slug=system).exclude(pk__in=others.values("pk")).distinct().order_by("pk")
    return [{"jti": str(jti), "alive": _alive(jti, system)} for jti in rows.values_list("pk", flat=True)[:_MOST_TOKENS]]


def _alive(jti: UUID, system: str) -> bool:
    try:
        presented.live({"jti": str(jti)}, system)
    except jws.BadToken:
        return False
    return True
