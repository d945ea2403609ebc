"""Removals: carried out in the transaction of the decision, then proven by deciding each forbidden call once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements import facts, grants, jws, locks, policy, presented
from entitlements.errors import NotFound
from entitlements.locks import Lock
from entitlements.models import Client, Grant, IssuedToken, Membership, Person
from entitlements.snapshot import AgentFacts, Call
from governance.models import PopulationRow, Remediation, ReviewDecision, ReviewItem, ReviewLine

from . import campaigns, ending

WITHIN: Final = timedelta(days=3)
"""How soon a removal has to be proven; it is a matter of milliseconds unless something is broken."""
_AGAIN: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
_MOST_PEOPLE, _MOST_CALLS, _MOST_TOKENS = 20, 200, 200


def grants_of(items: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Return the grants of each item."""
    found: dict[UUID, list[UUID]] = defaultdict(list)
    for item, grant in PopulationRow.objects.filter(item__in=list(items)).order_by("seq").values_list("item", "grant"):
        found[item].append(grant)
    return found


def queue_and_apply(decisions: Sequence[ReviewDecision]) -> None:
    """Queue a removal for each decision, and end what its item holds, within the caller's transaction."""
    if not decisions:
        return
    now = clock.now()
    queued = [Remediation(decision=each, not_before=now, due_at=now + WITHIN) for each in decisions]
    Remediation.objects.bulk_create(queued)
    held = grants_of(decision.item_id for decision in decisions)
    locks.exclusive(*((Lock.GRANT, grant) for of_item in held.values() for grant in of_item))
    for remediation in queued:
        _apply(remediation, held[remediation.decision.item_id])


def _apply(remediation: Remediation, held: Sequence[UUID]) -> None:
    """End the grants that have not ended yet; doing it twice ends nothing twice."""
    decision = remediation.decision
    said = f"Removed in the review {decision.item.campaign.slug}: {decision.reason_code}. {decision.comment}"
    still = set(Grant.objects.filter(pk__in=held, ended_at=None).values_list("pk", flat=True))
    last = IssuedToken.objects.filter(draws_on__grant__in=held, revoked_at=None, expires_at__gt=clock.now())
    residual_until = last.aggregate(last=Max("expires_at"))["last"]
    for grant in held:
        if grant in still:
            grants.revoke(grant, by=decision.decided_by.principal, reason=said.strip()[:500])
    remediation.state, remediation.applied_at = Remediation.State.APPLIED, clock.now()
    remediation.residual_until = residual_until
    remediation.save(update_fields=["state", "applied_at", "residual_until"])


@transaction.atomic
def prove(decision_id: UUID) -> Remediation:
    """Decide again, on facts read now, every call that a removal took away, and keep the answers as its proof.

    Nothing is sent to any system: the function that decides here is the one that decides in the gateway. What was
    queued and not carried out is carried out first. Proving again what is proven changes nothing. Raises NotFound.
    """
    rows = Remediation.objects.select_for_update(of=("self",)).select_related("decision__item__campaign")
    found = rows.select_related(
        "decision__item__campaign", "decision__item__agent", "decision__item__system", "decision__decided_by"
    )
    remediation = found.filter(pk=decision_id).first()
    if remediation is None:
        raise NotFound
    if remediation.state == Remediation.State.VERIFIED:
        return remediation
    item = remediation.decision.item
    held = grants_of([item.pk])[item.pk]
    if remediation.state == Remediation.State.QUEUED:
        locks.exclusive(*((Lock.GRANT, grant) for grant in held))
        _apply(remediation, held)
    probe = _probe(item, {str(grant) for grant in held})
    holds = bool(probe["holds"])
    remediation.probe, now = probe, clock.now()
    remediation.state = Remediation.State.VERIFIED if holds else Remediation.State.FAILED
    remediation.verified_at = now if holds else None
    remediation.not_before = now + _AGAIN[min(remediation.attempts, len(_AGAIN) - 1)]
    remediation.attempts += 1
    remediation.save()
    log.record(
        Action.REMOVAL_VERIFIED if holds else Action.REMOVAL_FAILED,
        about=[*ending.about(item, held), f"decision:{decision_id}"],
        by=SYSTEM,
        outcome="success" if holds else "failure",
        detail={"calls": len(probe["calls"]), "tokens": len(probe["tokens"]), "attempt": remediation.attempts},
    )
    return remediation


def prove_due(limit: int = 100) -> int:
    """Prove what is due to be proven, oldest first, and close the campaigns that waited for it; returns how many."""
    due = Remediation.objects.exclude(state=Remediation.State.VERIFIED).filter(not_before__lte=clock.now())
    ids = list(due.order_by("not_before").values_list("decision", flat=True)[:limit])
    for decision_id in ids:
        remediation = prove(decision_id)
        campaigns.finish_closing(remediation.decision.item.campaign_id)
    return len(ids)


def _probe(item: ReviewItem, removed: set[str]) -> dict[str, Any]:
    """Decide every tool of an item for the people it named, and ask after the tokens that stood on it.

    A call that another grant covers is not what was removed: it is kept as such, and named, so that nobody reads the
    removal as more than it was.
    """
    agent, system = item.agent.slug, item.system.slug
    known = facts.load(agent, system, _known_people(item))
    calls = [] if known is None else _calls(item, known, removed)
    tokens = _tokens(system, removed)
    by_removed = [call for call in calls if call["grant"] in removed]
    alive = [token for token in tokens if token["alive"]]
    return {
        "holds": bool(calls) and not by_removed and not alive,
        "calls": calls,
        "tokens": tokens,
        "position": known.position if known else None,
        "probed_at": clock.now().isoformat(),
    }


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


def _calls(item: ReviewItem, known: AgentFacts, removed: set[str]) -> list[dict[str, Any]]:
    now = clock.now().timestamp()
    client = Client.objects.filter(agent=item.agent).order_by("pk").values_list("client_id", flat=True).first() or ""
    tools = ReviewLine.objects.filter(item=item).order_by("tool__name").values_list("tool__name", flat=True).distinct()
    answers = []
    for person in _people(item):
        for tool in tools:
            verdict = policy.decide(Call(item.agent.slug, client, person, item.system.slug, tool, {}), known, now)
            answers.append(
                {
                    "person": person,
                    "tool": tool,
                    "allowed": verdict.allowed,
                    "code": str(verdict.code),
                    "grant": _still_there(known, item.system.slug, tool, person, removed) or verdict.grant,
                }
            )
    return answers[:_MOST_CALLS]


def _still_there(known: AgentFacts, system: str, tool: str, person: str | None, removed: set[str]) -> str | None:
    """Return a removed grant that is among the facts after all; a denial for its arguments alone proves nothing."""
    return next((line.grant for line in known.lines.get((system, tool, person), ()) if line.grant in removed), None)


def _tokens(system: str, removed: set[str]) -> list[dict[str, Any]]:
    """Ask, as introspection does, after the tokens at this system that stood on what was removed and nothing else."""
    drew = IssuedToken.objects.filter(
        draws_on__grant__in=list(map(UUID, removed)), expires_at__gt=clock.now(), revoked_at=None
    )
    others = IssuedToken.objects.filter(draws_on__grant__ended_at=None)
    rows = drew.filter(system__slug=system).exclude(pk__in=others.values("pk")).distinct().order_by("pk")
    return [{"jti": str(jti), "alive": _alive(jti, system)} for jti in rows.values_list("pk", flat=True)[:_MOST_TOKENS]]


def _alive(jti: UUID, system: str) -> bool:
    try:
        presented.live({"jti": str(jti)}, system)
    except jws.BadToken:
        return False
    return True
