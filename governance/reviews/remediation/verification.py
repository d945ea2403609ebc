"""The verification of a removal: each removed call is decided again on current facts, and each kept tool is checked.

For a full removal the tokens that drew on it are checked too, as introspection does, and a new token is requested.

No request is sent to any system: the function that decides here is the one that decides in the gateway. A call that
another grant covers was not removed: it is stored with that grant's name, so that the result claims no more than it
shows.

Every person and every tool is tried, up to a bound; the rest is counted, so that a partial verification is visible.
Where there are too many answers to store, those that differ from the decision are stored first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from audit import clock
from entitlements.connections import connections
from entitlements.decisions import facts, limits, own_connection, policy
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance
from entitlements.grants.models import Grant, GrantLine
from entitlements.keys import jws
from entitlements.people.models import Membership, Person
from entitlements.tokens import presented
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.items.review_rules import Verb
from governance.reviews.kinds import subjects
from governance.reviews.remediation.models import Remediation

_MOST_CALLS, _MOST_TOKENS, _MOST_KEPT = 10_000, 200, 200
_DENIED: Final = "denied"
_KEPT: Final = "kept"
_ENDS: Final = "ends"


def probe(remediation: Remediation) -> dict[str, Any]:
    """Decide every call of a decision's item now; `holds` is true when all answers are as decided."""
    decision = remediation.decision
    item = decision.item
    if (kind := subjects.kind_of(item)) is not None:
        answers = kind.probe(item, cut_of(decision))
        detail = {"calls": _stored(answers), "tokens": [], "exchanges": [], "position": None}
        tried = {"calls": len(answers), "of": len(answers)}
        holds = all(answer["holds"] for answer in answers)
        return {"holds": holds, **detail, "tried": tried, "probed_at": clock.now().isoformat()}
    all_people, lines = _people(item), list(_lines(item))
    people = all_people[: max(1, _MOST_CALLS // max(len(lines), 1))]
    known = facts.load(item.agent_slug, item.system_slug, _known(people))
    calls = (
        [] if known is None else _calls(decision, known, people, lines, is_final=remediation.finished_at is not None)
    )
    removed = decision.verb == Verb.REVOKE
    standing, tokens = _tokens(item) if removed else (0, [])
    exchanges = _exchanges(item, known, people) if removed and known is not None else []
    wrong = [answer for answer in (*calls, *exchanges) if not answer["holds"]]
    alive = [token for token in tokens if token["alive"]]
    return {
        "holds": bool(calls) and not wrong and not alive,
        "calls": _stored(calls),
        "tokens": tokens,
        "exchanges": _stored(exchanges),
        "tried": {
            "calls": len(people) * len(lines),
            "of": len(all_people) * len(lines),
            "people": len(people),
            "of_people": len(all_people),
            "tokens": len(tokens),
            "of_tokens": standing,
        },
        "position": known.position if known else None,
        "probed_at": clock.now().isoformat(),
    }


def untried(probe: Mapping[str, Any] | None) -> int:
    """Count the calls and tokens that a verification did not try; 0 where there is none."""
    tried: dict[str, int] = (probe or {}).get("tried", {})
    return (tried.get("of", 0) - tried.get("calls", 0)) + (tried.get("of_tokens", 0) - tried.get("tokens", 0))


def _stored(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the answers to store: those that differ from the decision first, in the order of asking."""
    first = sorted(range(len(answers)), key=lambda place: (answers[place]["holds"], place))[:_MOST_KEPT]
    return [answers[place] for place in sorted(first)]


def cut_of(decision: ReviewDecision, reason: str = "") -> subjects.Cut:
    """Return what a decision takes away from a subject that is not a grant."""
    kept: frozenset[int] | None = None
    if decision.verb != Verb.REVOKE:
        lines = ReviewLine.objects.filter(pk__in=decision.kept_lines)
        kept = frozenset(lines.values_list("tool_id", flat=True))
    return subjects.Cut(decision.decided_by.principal, reason, kept)


def _people(item: ReviewItem) -> list[str | None]:
    """Return the logins that an item is about, each once; [None] where the agent acts for no person."""
    people: list[str | None] = [name[7:] for name in item.subjects if name.startswith("person:")]
    groups = [name[6:] for name in item.subjects if name.startswith("group:")]
    if groups:
        people += (
            Membership.objects.filter(group__slug__in=groups).order_by("pk").values_list("person__login", flat=True)
        )
    return list(dict.fromkeys(people)) or [None]


def _known(people: Sequence[str | None]) -> list[tuple[str, bool]]:
    logins = [login for login in people if login]
    return list(Person.objects.filter(login__in=logins).values_list("login", "is_active"))


def _lines(item: ReviewItem) -> QuerySet[ReviewLine]:
    return ReviewLine.objects.filter(item=item).select_related("tool").order_by("tool__name", "pk")


def _calls(
    decision: ReviewDecision,
    known: AgentFacts,
    people: Sequence[str | None],
    lines: Sequence[ReviewLine],
    *,
    is_final: bool,
) -> list[dict[str, Any]]:
    """Decide each line of the item for each person: removed tools are denied, kept tools still work."""
    item = decision.item
    client = _client(item)
    held: dict[tuple[UUID | None, int], dict[str, Any]] = {
        (line.grant_id, line.tool_id): line.limits
        for line in GrantLine.objects.filter(grant__in=item.population.values("grant"), grant__state="active")
    }
    answers = []
    for person in people:
        for line in lines:
            kept = decision.verb != Verb.REVOKE and line.pk in decision.kept_lines
            call = Call(item.agent_slug, client, person, item.system_slug, line.tool.name, {})
            answer = _decided(call, known, line, until=None)
            expected = _KEPT if kept else _DENIED
            holds = not answer["still_there"]
            if kept:
                now = held.get((line.grant_id, line.tool_id))
                holds = answer["still_there"] == (now is not None) and _is_tight(decision, line, now)
            answers.append({**answer, "expected": expected, "holds": holds})
            if kept and is_final and decision.valid_until:
                later = _decided(call, known, line, until=decision.valid_until)
                answers.append({**later, "expected": _ENDS, "holds": not later["still_there"]})
    return answers


def _client(item: ReviewItem) -> str:
    if item.agent is None:
        return ""
    return connections.clients_of(item.agent).order_by("pk").values_list("client_id", flat=True).first() or ""


def _exchanges(item: ReviewItem, known: AgentFacts, people: Sequence[str | None]) -> list[dict[str, Any]]:
    """Request a token for all that was removed, for each person: no token may draw on a removed grant."""
    removed = {str(grant) for grant in item.population.values_list("grant", flat=True)}
    scopes = frozenset(item.population.values_list("grant__entitlement__scope", flat=True))
    client, answers = _client(item), []
    for person in people:
        flow = Flow.TOKEN_EXCHANGE if person else Flow.CLIENT_CREDENTIALS
        issuance = Issuance(flow, item.agent_slug, client, person, item.system_slug, scopes, 60.0, begins_session=True)
        verdict = policy.may_issue(issuance, known, clock.now().timestamp())
        stands_on = set(verdict.issue.grants) if verdict.issue else set()
        answer = {"person": person, "issued": bool(stands_on), "code": str(verdict.code)}
        answers.append({**answer, "holds": not stands_on & removed})
    return answers


def _is_tight(decision: ReviewDecision, line: ReviewLine, now: dict[str, Any] | None) -> bool:
    decided = decision.limits.get(str(line.pk))
    return now is None or decided is None or limits.tightens(decided, now)


def _decided(call: Call, known: AgentFacts, line: ReviewLine, *, until: datetime | None) -> dict[str, Any]:
    """Decide one call. A denial for its arguments alone proves nothing, so the grant is looked up too."""
    at = (until or clock.now()).timestamp()
    verdict = policy.reachable(call, known, at)
    grant = str(line.grant_id)
    lines = known.lines.get((call.system, call.tool, call.person), ())
    still_there = any(
        grant_line.grant == grant and not grant_line.suspended and grant_line.expires > at for grant_line in lines
    )
    return {
        "person": call.person,
        "tool": call.tool,
        "allowed": verdict.allowed,
        "code": str(verdict.code),
        "grant": grant if still_there else verdict.grant if verdict.allowed else None,
        "still_there": still_there,
    }


def _tokens(item: ReviewItem) -> tuple[int, list[dict[str, Any]]]:
    """Check, as introspection does, the tokens at this system that drew on the removed grants alone.

    Returns how many there are, and the results for those checked.
    """
    removed = item.population.values("grant")
    system = item.system_slug
    drawing = IssuedToken.objects.filter(draws_on__grant__in=removed, expires_at__gt=clock.now(), revoked_at=None)
    if item.subject_kind == ReviewItem.Subject.DELEGATION:
        drawing = drawing.filter(person=item.holder)
    others = IssuedToken.objects.filter(draws_on__grant__in=Grant.objects.filter(ended_at=None).exclude(pk__in=removed))
    rows = drawing.filter(system__slug=system).exclude(pk__in=others.values("pk")).distinct().order_by("pk")
    checked = [
        {"jti": str(jti), "alive": _alive(jti, system)} for jti in rows.values_list("pk", flat=True)[:_MOST_TOKENS]
    ]
    return len(checked) if len(checked) < _MOST_TOKENS else rows.count(), checked


def _alive(jti: UUID, system: str) -> bool:
    try:
        own_connection.run(presented.live(own_connection.READS, {"jti": str(jti)}, system))
    except jws.BadToken:
        return False
    return True
