"""Remediation: a removal works in the transaction of its decision, is verified at once, and is final after 15 minutes.

A removal with a later day waits for that day, also while its campaign is closing, and is final then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.tokens.models import IssuedToken
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import holds as holds_actions
from governance.reviews.items import item_links
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.items.review_rules import RECALL, Verb
from governance.reviews.kinds import subjects
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation.models import Remediation

from . import cuts, person_access, verification

WITHIN: Final = timedelta(days=3)
"""How soon a removal must be verified; it takes milliseconds unless something is broken."""
_AGAIN: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
_STATE = Remediation.State


def grants_of(items: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Return the grants of each item."""
    by_item: dict[UUID, list[UUID]] = defaultdict(list)
    rows = PopulationRow.objects.filter(item__in=list(items), grant__isnull=False).order_by("seq")
    for item, grant in rows.values_list("item_id", "grant_id"):
        if grant is not None:
            by_item[item].append(grant)
    return by_item


def removes_access(decision: ReviewDecision) -> bool:
    """Whether a decision takes any access away."""
    return decision.verb in (Verb.REVOKE, Verb.REDUCE) or decision.valid_until is not None


def queue_and_apply(decisions: Sequence[ReviewDecision]) -> None:
    """Queue the remediation of each decision and apply it, unless it has a later day, in the caller's transaction."""
    if not decisions:
        return
    now = clock.now()
    queued = [
        Remediation(
            decision=decision,
            action=decision.verb if decision.verb != Verb.CERTIFY else "time_box",
            not_before=decision.effective_at or (now if decision.verb != Verb.CERTIFY else now + RECALL),
            due_at=(decision.effective_at or now) + WITHIN,
            final_at=decision.effective_at or (now + RECALL if _can_be_undone(decision) else None),
        )
        for decision in decisions
    ]
    Remediation.objects.bulk_create(queued)
    working = [remediation for remediation in queued if remediation.decision.effective_at is None]
    held = grants_of(remediation.decision.item_id for remediation in working)
    locks.exclusive(*((Lock.GRANT, grant) for of_item in held.values() for grant in of_item))
    for remediation in working:
        _apply(remediation, held[remediation.decision.item_id])


def _can_be_undone(decision: ReviewDecision) -> bool:
    kind = subjects.kind_of(decision.item)
    return kind is None or kind.undo is not None


def _apply(remediation: Remediation, held: Sequence[UUID]) -> None:
    """Apply a cut so that it can be undone: a removal suspends, a reduction narrows. A second call changes nothing."""
    kind = subjects.kind_of(remediation.decision.item)
    if kind is None:
        _cut_grants(remediation, held)
    else:
        remediation.before = kind.cut(remediation.decision.item, _cut_of(remediation))
    remediation.state, remediation.applied_at = _STATE.APPLIED, clock.now()
    remediation.save(update_fields=["state", "applied_at", "residual_until", "before"])


def _cut_of(remediation: Remediation) -> subjects.Cut:
    return verification.cut_of(remediation.decision, _reason(remediation))


def _cut_grants(remediation: Remediation, held: Sequence[UUID]) -> None:
    decision, reason = remediation.decision, _reason(remediation)
    by = decision.decided_by.principal
    last = IssuedToken.objects.filter(draws_on__grant__in=held, revoked_at=None, expires_at__gt=clock.now())
    if decision.item.subject_kind == ReviewItem.Subject.DELEGATION:
        last = last.filter(person=decision.item.holder)
    remediation.residual_until = last.aggregate(last=Max("expires_at"))["last"]
    keep = _keep(decision) if decision.verb == Verb.REDUCE else {}
    for grant in Grant.objects.filter(pk__in=held, ended_at=None).prefetch_related("lines__tool").order_by("pk"):
        kept_lines = _narrowed(grant, keep.get(grant.pk, {}))
        if decision.verb == Verb.CERTIFY or (kept_lines == _lines(grant) and decision.verb == Verb.REDUCE):
            continue
        if kept_lines:
            remediation.before[str(grant.pk)] = grants.reduce(grant.pk, kept_lines, by=by, reason=reason)
        else:
            remediation.before[str(grant.pk)] = cuts.stop(decision.item, grant, by=by, reason=reason)


def _reason(remediation: Remediation) -> str:
    decision = remediation.decision
    verb = {"revoke": "Removed", "reduce": "Reduced"}.get(decision.verb, "Shortened")
    text = f"{verb} in the review {decision.item.campaign.slug}: {decision.reason_code}. {decision.comment}"
    return text.strip()[:500]


def _keep(decision: ReviewDecision) -> dict[UUID, dict[str, dict[str, Any] | None]]:
    """Return what a reduction keeps of each grant: tools, with tighter limits where it has some."""
    kept: dict[UUID, dict[str, dict[str, Any] | None]] = defaultdict(dict)
    for line in ReviewLine.objects.filter(pk__in=decision.kept_lines).select_related("tool"):
        if line.grant_id:
            kept[line.grant_id][line.tool.name] = decision.limits.get(str(line.pk))
    return kept


def _lines(grant: Grant) -> dict[str, dict[str, Any]]:
    return {line.tool.name: line.limits for line in grant.lines.all()}


def _narrowed(grant: Grant, keep: Mapping[str, dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """Return which lines of a grant stay: what it has now and what is kept, whichever is less."""
    return {
        name: caps if keep[name] is None else keep[name] or {} for name, caps in _lines(grant).items() if name in keep
    }


def undo(remediation: Remediation, *, by: Principal, reason: str, under: dict[str, tuple[int, int]]) -> list[str]:
    """Undo a cut that is not final yet, within the caller's transaction; return the grants that stay stopped.

    The reviewer who recalls the decision is the actor. Raises what the actions on grants raise. A grant that ended
    meanwhile stays ended, and one that another person or review stopped too stays stopped: those are returned, or the
    key of a subject that is not a grant. `under` holds, by grant, the version on which the cut above this one was made
    and the version after that one was undone; this call adds to it.
    """
    remediation.state = _STATE.WITHDRAWN
    remediation.save(update_fields=["state"])  # first: from here on the cut blocks no restore
    if (kind := subjects.kind_of(remediation.decision.item)) is not None:
        made_by = remediation.decision.decided_by.principal
        cut = subjects.Cut(by, reason, undoes=made_by)
        is_back = kind.undo is not None and kind.undo(remediation.decision.item, remediation.before, cut)
        return [] if is_back else [remediation.decision.item.subject_key]
    own, still_stopped = {str(remediation.decision.decided_by.principal)}, []
    open_grants = {
        str(pk) for pk in Grant.objects.filter(pk__in=remediation.before, ended_at=None).values_list("pk", flat=True)
    }
    for grant, before in remediation.before.items():
        if grant not in open_grants:
            continue
        if remediation.decision.item.subject_kind == ReviewItem.Subject.DELEGATION:
            if not person_access.restore(remediation.decision.item, UUID(grant), own, by=by, reason=reason):
                still_stopped.append(grant)
            continue
        made_on, now = under.get(grant, (0, 0))
        if holds_actions.SUSPENDED in before:
            if (
                not before[holds_actions.SUSPENDED]
                or grants.suspended_by(UUID(grant)) - own
                or holds_actions.is_held(UUID(grant))
            ):
                still_stopped.append(grant)
                continue
            back = grants.restore(UUID(grant), by=by, reason=reason)
        else:
            reduction = {**before, "version": now} if made_on == before["version"] else before
            back = grants.undo_reduction(UUID(grant), reduction, by=by, reason=reason)
        under[grant] = (before["version"] - 1, back.version)
    return still_stopped


def working(item: ReviewItem, held: Collection[str]) -> set[str]:
    """Return which grants still work for an item's people; none where the item is not about grants."""
    if subjects.kind_of(item) is not None:
        return set()
    rows = Grant.objects.filter(pk__in=held).exclude(state=Grant.State.SUSPENDED)
    if item.subject_kind == ReviewItem.Subject.DELEGATION:
        rows = rows.filter(Q(subjects__person=item.holder) | Q(ended_at__isnull=False))
    return {str(pk) for pk in rows.values_list("pk", flat=True)}


def _finish(remediation: Remediation, held: Sequence[UUID]) -> None:
    """Make a cut final: suspended grants end, and shortened grants get their earlier end."""
    kind = subjects.kind_of(remediation.decision.item)
    if kind is not None and kind.finish is not None:
        kind.finish(remediation.decision.item, _cut_of(remediation))
    decision, reason = remediation.decision, _reason(remediation)
    by = decision.decided_by.principal
    until = decision.valid_until
    for grant in Grant.objects.filter(pk__in=held, ended_at=None).prefetch_related("lines__tool").order_by("pk"):
        suspended = holds_actions.SUSPENDED in remediation.before.get(str(grant.pk), {})
        if suspended and decision.item.subject_kind == ReviewItem.Subject.DELEGATION:
            person_access.end(decision.item, grant.pk, by=by, reason=reason)
        elif suspended or (until and until <= clock.now()):
            grants.revoke(grant.pk, by=by, reason=reason)
        elif until and until < grant.expires_at:
            grants.reduce(grant.pk, _lines(grant), expires_at=until, by=by, reason=reason)
    remediation.finished_at = clock.now()


@transaction.atomic
def verify(decision_id: UUID) -> Remediation:
    """Verify a removal: decide every call that it took away again, on current facts, and store the answers.

    A queued removal is applied first, and one that can no longer be recalled is made final. A second verification
    changes nothing, nor does one before the day of the removal. Raises NotFound.
    """
    rows = Remediation.objects.select_for_update(of=("self",)).select_related("decision__item__campaign")
    locked = rows.select_related("decision__item__agent", "decision__item__system", "decision__decided_by")
    remediation = locked.filter(pk=decision_id).first()
    if remediation is None:
        raise NotFound
    if remediation.decision.effective_at and remediation.decision.effective_at > clock.now():
        return remediation
    campaign = remediation.decision.item.campaign
    is_over = (
        campaign.state not in (Campaign.State.ACTIVE, Campaign.State.PAUSED)
        or (remediation.final_at or clock.now()) <= clock.now()
    )
    due = remediation.final_at is not None and remediation.finished_at is None and is_over
    if remediation.state in (_STATE.WITHDRAWN, _STATE.EXCEPTED) or (remediation.state == _STATE.VERIFIED and not due):
        return remediation
    item = remediation.decision.item
    held = grants_of([item.pk])[item.pk]
    locks.exclusive(*((Lock.GRANT, grant) for grant in held))
    if remediation.state == _STATE.QUEUED:
        _apply(remediation, held)
    if due:
        _finish(remediation, held)
    if remediation.action == "time_box" and remediation.finished_at is None:
        return remediation
    _keep_proof(remediation, held, finished=due)
    return remediation


def _keep_proof(remediation: Remediation, held: Sequence[UUID], *, finished: bool) -> None:
    was = remediation.state
    proof, now = verification.probe(remediation), clock.now()
    holds = bool(proof["holds"])
    remediation.probe = proof
    remediation.state = _STATE.VERIFIED if holds else _STATE.FAILED
    remediation.verified_at = (remediation.verified_at or now) if holds else None
    remediation.not_before = now + _AGAIN[min(remediation.attempts, len(_AGAIN) - 1)]
    remediation.attempts += 1
    remediation.save()
    about = [*item_links.about(remediation.decision.item, held), f"decision:{remediation.decision_id}"]
    detail = {
        "action": remediation.action,
        "calls": proof["tried"]["calls"],
        "tokens": len(proof["tokens"]),
        "attempt": remediation.attempts,
    }
    if not holds:
        log.record(Action.REMEDIATION_FAILED, about=about, by=SYSTEM, outcome="failure", detail=detail)
    elif was != _STATE.VERIFIED:
        log.record(Action.REMEDIATION_VERIFIED, about=about, by=SYSTEM, detail=detail)
    if finished:
        log.record(Action.REMEDIATION_APPLIED, about=about, by=SYSTEM, detail=detail)


def finish(campaign: Campaign, most: int = 200) -> None:
    """Make the removals of a closing campaign final, at most so many; the sweep does the others."""
    now = clock.now()
    held = Remediation.objects.filter(
        decision__item__campaign=campaign, decision__effective_at=None, finished_at=None, final_at__gt=now
    )
    open_ = held.exclude(state__in=(_STATE.WITHDRAWN, _STATE.EXCEPTED))
    ids = list(open_.order_by("not_before").values_list("decision", flat=True))
    Remediation.objects.filter(pk__in=ids).update(final_at=now)
    for decision_id in ids[:most]:
        verify(decision_id)
