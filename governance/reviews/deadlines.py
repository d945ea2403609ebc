"""What happens to items that nobody answers: kept and flagged, or stopped, with a breaker before too much stops.

Low risk is kept and counts as not reviewed, unless everybody must keep it. Anything else is suspended two working days
after the due date, and revoked fourteen days later unless a second person restores it. The first campaign of an
installation is a rehearsal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, Sum

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements import grants, locks
from entitlements.errors import ReasonRequired
from entitlements.locks import Lock
from entitlements.models import Grant, Person
from entitlements.words import Risk
from governance import reviewing
from governance.models import Campaign, NoAnswer, PopulationRow, ReviewItem, ReviewLine

from . import campaigns, ending, kinds, removing, stops
from .errors import DeadlineNotHeld, NotTheOwner

GRACE_DAYS: Final = 2
"""Working days between the due date and what happens without an answer."""
UNTIL_REVOKED: Final = timedelta(days=14)
MOST_SHARE, MOST_GRANTS, MOST_CALLS_A_DAY = 0.2, 25, 1000
"""What the deadline stops by itself; above any of these, or for a business-critical agent, it waits for a word."""
_WINDOW_DAYS: Final = 90
_AT_ONCE: Final = 2000


@dataclass(slots=True)
class Effect:
    """What the deadline would do now: how many items are kept and flagged, and which access would stop."""

    kept: int = 0
    stopped: list[ReviewItem] = field(default_factory=list)
    grants: dict[UUID, list[UUID]] = field(default_factory=dict)
    calls_a_day: dict[UUID, int] = field(default_factory=dict)
    lately: tuple[int, int] = (0, 0)
    """How many grants, with how many calls a day, deadlines stopped within a day by themselves: many count as one."""

    @property
    def stops(self) -> int:
        """How many grants would stop."""
        return sum(len(held) for held in self.grants.values())

    @property
    def calls(self) -> int:
        """How many calls a day those made."""
        return sum(self.calls_a_day.values())

    @property
    def critical(self) -> list[str]:
        """Name the agents that the business cannot do without and that would lose something."""
        losing = [item.agent for item in self.stopped if item.agent and self.grants.get(item.pk)]
        return sorted({agent.slug for agent in losing if agent.business_critical})

    def too_much(self) -> list[str]:
        """Say why this is more than stops without somebody's word; empty when it is not."""
        active = Grant.objects.filter(state=Grant.State.ACTIVE, ended_at=None).count()
        stops, calls = self.stops + self.lately[0], self.calls + self.lately[1]
        bounds = (
            ("share", stops > MOST_SHARE * (active + self.lately[0])),
            ("grants", stops > MOST_GRANTS),
            ("calls", calls > MOST_CALLS_A_DAY),
            ("business_critical", bool(self.critical)),
        )
        return [name for name, is_over in bounds if is_over]

    def told(self) -> dict[str, Any]:
        """Return it for the record."""
        return {"kept": self.kept, "grants": self.stops, "calls_a_day": self.calls, "critical": self.critical}


def effect(campaign: Campaign) -> Effect:
    """Say what would happen if nobody answered any more; nothing is changed."""
    items = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW)
    is_kept = Q(risk__in=_kept_risks(campaign)) | Q(subject_kind__in=_KEPT_KINDS)
    rows = items.exclude(is_kept).select_related("campaign", "agent", "system", "holder").order_by("number")
    found = Effect(kept=items.filter(is_kept).count(), stopped=list(rows))
    ids = [item.pk for item in found.stopped]
    alive = set(
        Grant.objects.filter(
            pk__in=PopulationRow.objects.filter(item__in=ids).values("grant"), state=Grant.State.ACTIVE
        ).values_list("pk", flat=True)
    )
    found.grants = {item: [grant for grant in held if grant in alive] for item, held in removing.grants_of(ids).items()}
    for item in found.stopped:
        if kinds.of(item) is not None and item.agent is not None:
            active = item.agent.grants.filter(state=Grant.State.ACTIVE).order_by("pk")
            found.grants[item.pk] = list(active.values_list("pk", flat=True))
    calls = ReviewLine.objects.filter(item__in=ids).values("item").annotate(calls=Sum("calls_window"))
    found.calls_a_day = {row["item"]: -(-(row["calls"] or 0) // _WINDOW_DAYS) for row in calls}
    if found.stopped:
        found.lately = _stopped_lately()
    return found


_KEPT_KINDS: Final = [subject for subject, kind in kinds.SUBJECTS.items() if not kind.is_stopped_by_silence]


def _kept_risks(campaign: Campaign) -> list[str]:
    return [risk for risk in Risk if reviewing.is_kept_by_silence(risk, campaign.strategies)]


def _stopped_lately() -> tuple[int, int]:
    """Count what stopped without anybody's word; what the owner of a campaign let go counts for nobody else."""
    rows = NoAnswer.objects.filter(did=NoAnswer.Did.SUSPENDED, at__gt=clock.now() - timedelta(days=1))
    told = list(rows.filter(item__campaign__deadline_released_at=None).values_list("grants", "calls_a_day"))
    return sum(len(grants) for grants, _ in told), sum(calls for _, calls in told)


def grace_ends(campaign: Campaign) -> datetime:
    """Say when the time to answer is over for good."""
    return reviewing.business_days(campaign.due_at, GRACE_DAYS)


def apply_due() -> int:
    """Apply the deadline of every campaign whose grace is over; returns how many items got an outcome by it."""
    now = clock.now()
    waiting = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lte=now)
    waiting = waiting.filter(items__state=ReviewItem.State.IN_REVIEW).distinct()
    due = [each for each in waiting if grace_ends(each) <= now]
    return sum(_apply(each.pk) for each in due if each.deadline_held is None or each.deadline_released_at)


@transaction.atomic
def _apply(campaign_id: UUID) -> int:
    campaign = campaigns.locked(campaign_id)
    if campaign.state != Campaign.State.ACTIVE:
        return 0
    ending.supersede(campaign)
    found = effect(campaign)
    why = found.too_much() if not campaign.is_rehearsal and campaign.deadline_released_at is None else []
    if why:
        held = {**found.told(), "why": why, "at": clock.now().isoformat()}
        campaigns.save(campaign, deadline_held=held)
        log.record(Action.REVIEW_DEADLINE_HELD, about=campaigns.about(campaign), by=SYSTEM, detail=held)
        return 0
    return carry_out(campaign, found, by=SYSTEM, reason=_said(campaign))


def _said(campaign: Campaign) -> str:
    return f"Nobody answered for it in the review {campaign.slug}."


def carry_out(campaign: Campaign, found: Effect, *, by: Principal, reason: str) -> int:
    """Stop or flag what nobody answered, within the caller's transaction; returns how many items got an outcome."""
    stopped = [] if campaign.is_rehearsal else found.stopped
    held = {item.pk: found.grants.get(item.pk, []) for item in stopped if kinds.of(item) is None}
    locks.exclusive(*((Lock.GRANT, grant) for of_item in held.values() for grant in of_item))
    before = {item.pk: _stop(item, held.get(item.pk, []), _said(campaign)) for item in stopped}
    _write_down(campaign, found, before)
    return ending.leave_unanswered(campaign, by=by, reason=reason)


def _stop(item: ReviewItem, held: list[UUID], said: str) -> dict[str, Any]:
    """Stop what an item is about; says what was before."""
    if (kind := kinds.of(item)) is not None:
        return kind.cut(item, kinds.Cut(SYSTEM, said))
    rows = Grant.objects.filter(pk__in=held).order_by("pk")
    return {str(grant.pk): removing.stop(item, grant, by=SYSTEM, reason=said) for grant in rows}


def _write_down(campaign: Campaign, found: Effect, before: dict[UUID, dict[str, Any]]) -> None:
    now = clock.now()
    did = NoAnswer.Did.REHEARSED if campaign.is_rehearsal else NoAnswer.Did.SUSPENDED
    with connection.cursor() as cursor:
        cursor.execute(_FLAG, [NoAnswer.Did.FLAGGED, now, campaign.pk, _kept_risks(campaign), _KEPT_KINDS])
    NoAnswer.objects.bulk_create(
        [
            NoAnswer(
                item=item,
                did=did,
                at=now,
                grants=_suspended(item, found, before.get(item.pk)),
                before={name: was for name, was in before.get(item.pk, {}).items() if not _is_suspension(was)},
                calls_a_day=found.calls_a_day.get(item.pk, 0),
                revoke_at=None if campaign.is_rehearsal else now + UNTIL_REVOKED,
            )
            for item in found.stopped
        ],
        batch_size=_AT_ONCE,
    )


_FLAG: Final = """
INSERT INTO governance_noanswer (item_id, did, at, grants, calls_a_day, reason)
SELECT id, %s, %s, '{}', 0, '' FROM governance_reviewitem
WHERE campaign_id = %s AND state = 'in_review' AND (risk = ANY(%s) OR subject_kind = ANY(%s))
"""
"""What low risk is kept is written down by one statement, however much it is."""


def _is_suspension(was: object) -> bool:
    return isinstance(was, dict) and stops.SUSPENDED in was


def _suspended(item: ReviewItem, found: Effect, before: dict[str, Any] | None) -> list[UUID]:
    """Return the grants that stopped with an item for everybody, or that would have."""
    if before is None:
        return found.grants.get(item.pk, [])
    return [UUID(name) for name, was in before.items() if _is_suspension(was)]


@transaction.atomic
def release(campaign_id: UUID, *, by: Person, reason: str) -> Campaign:
    """Let a deadline that was held take its course, as the owner of the campaign; the next sweep carries it out.

    Raises NotFound, ReasonRequired, NotTheOwner, DeadlineNotHeld.
    """
    if not reason.strip():
        raise ReasonRequired
    campaign = campaigns.locked(campaign_id)
    if campaign.owner_id != by.pk:
        raise NotTheOwner
    if campaign.state != Campaign.State.ACTIVE or campaign.deadline_held is None or campaign.deadline_released_at:
        raise DeadlineNotHeld
    campaigns.save(campaign, deadline_released_at=clock.now())
    about, held = campaigns.about(campaign), campaign.deadline_held
    log.record(Action.REVIEW_DEADLINE_RELEASED, about=about, by=by.principal, reason=reason, detail=held)
    return campaign


def revoke_due(limit: int = 200) -> int:
    """Revoke what was suspended for want of an answer and restored by nobody in time; returns how many items."""
    due = NoAnswer.objects.filter(revoke_at__lte=clock.now(), restored_at=None, revoked_at=None)
    return sum(_revoke(pk) for pk in due.order_by("revoke_at").values_list("pk", flat=True)[:limit])


@transaction.atomic
def _revoke(item_id: UUID) -> int:
    row = NoAnswer.objects.select_for_update(of=("self",)).select_related("item__campaign").get(pk=item_id)
    if row.restored_at or row.revoked_at:
        return 0
    locks.exclusive(*((Lock.GRANT, grant) for grant in row.grants))
    said = f"Nobody answered for it in the review {row.item.campaign.slug}, nor restored it in time."
    for grant in still_suspended(row):
        grants.revoke(grant, by=SYSTEM, reason=said)
    row.revoked_at = clock.now()
    row.save(update_fields=["revoked_at"])
    return 1


def still_suspended(row: NoAnswer) -> list[UUID]:
    """Return what the deadline suspended and nobody put back or ended since."""
    rows = Grant.objects.filter(pk__in=row.grants, state=Grant.State.SUSPENDED)
    return list(rows.order_by("pk").values_list("pk", flat=True))
