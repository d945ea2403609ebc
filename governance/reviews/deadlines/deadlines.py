"""What happens to unanswered items: kept and flagged, or suspended, with a limit on how much stops at once.

Low risk is kept and counts as not reviewed, unless all reviewers must keep it or it has an open SoD violation. Anything
else is suspended two working days after the due date, and revoked fourteen days later unless a second person restores
it. The first campaign of an installation is a rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from entitlements.errors import ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import best_effort, holds, review_rules
from governance.reviews.items.errors import DeadlineNotHeld, NotTheOwner
from governance.reviews.items.models import ReviewItem
from governance.reviews.kinds import subjects
from governance.reviews.population import campaigns
from governance.reviews.remediation import cuts, person_access, remediation
from governance.reviews.remediation.models import NoAnswer, RecalledDecision

from . import effects, undecided

GRACE_DAYS: Final = 2
"""Working days between the due date and the effect of the deadline."""
UNTIL_REVOKED: Final = timedelta(days=14)
AT_ONCE: Final = 500
"""How many items are suspended in one transaction, which holds a lock for each of their grants."""
KEPT_AT_ONCE: Final = 20_000
"""How many items get another outcome in one transaction."""


def grace_ends(campaign: Campaign) -> datetime:
    """Return when the deadline applies: the due date and the working days of grace."""
    return review_rules.business_days(campaign.due_at, GRACE_DAYS)


def extensions(campaign: Campaign) -> dict[UUID, datetime]:
    """Return the later deadlines of items that were reopened, or whose answer was recalled after the due date.

    Each has the working days of grace once more. Only the first recall since the item was opened counts, or a reviewer
    could keep an item open without end. After a pause the days begin again.
    """
    rows = RecalledDecision.objects.filter(
        decision__item__campaign=campaign, decision__item__state=ReviewItem.State.IN_REVIEW
    )
    rows = rows.filter(Q(kind=RecalledDecision.Kind.REOPEN) | Q(at__gt=campaign.due_at)).order_by("at")
    since, recalled = dict[UUID, datetime](), set[UUID]()
    for item, kind, at in rows.values_list("decision__item", "kind", "at"):
        if kind == RecalledDecision.Kind.REOPEN:
            recalled.discard(item)
        elif item in recalled:
            continue
        else:
            recalled.add(item)
        since[item] = at
    resumed = timeline.of("campaign", campaign.slug).filter(action=Action.CAMPAIGN_RESUMED).last() if since else None
    ends = {
        item: review_rules.business_days(max(at, resumed.at) if resumed else at, GRACE_DAYS)
        for item, at in since.items()
    }
    return {item: end for item, end in ends.items() if end > clock.now()}


def apply_due() -> int:
    """Apply the deadline of every campaign whose grace is over; returns how many items got an outcome.

    A campaign that fails does not block the others. Raises an ExceptionGroup of the failures after all were tried.
    """
    now = clock.now()
    waiting = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lte=now)
    waiting = waiting.filter(items__state=ReviewItem.State.IN_REVIEW).distinct()
    due = [each for each in waiting if grace_ends(each) <= now]
    ready = [each.pk for each in due if each.deadline_held is None or each.deadline_released_at]
    return sum(best_effort.for_each(ready, lambda campaign_id: sum(_apply(campaign_id))))


def _apply(campaign_id: UUID) -> Iterator[int]:
    """Apply the deadline of a campaign in batches, each in a transaction of its own; yields the number of items."""
    while done := _apply_some(campaign_id):
        yield done


@transaction.atomic
def _apply_some(campaign_id: UUID) -> int:
    campaign = campaigns.locked(campaign_id)
    if campaign.state != Campaign.State.ACTIVE:
        return 0
    again = extensions(campaign)
    if not campaign.is_rehearsal and campaign.deadline_released_at is None:
        undecided.supersede(campaign)
        outcome = effects.effect(campaign, again)
        if why := outcome.exceeded_limits():
            held = {**outcome.as_detail(), "why": why, "at": clock.now().isoformat()}
            campaigns.save(campaign, deadline_held=held)
            log.record(Action.REVIEW_DEADLINE_HELD, about=campaigns.about(campaign), by=SYSTEM, detail=held)
            return 0
    return carry_out(campaign, again, by=SYSTEM, reason=_reason(campaign))


def _reason(campaign: Campaign) -> str:
    return f"No reviewer answered it in the review {campaign.slug}."


def carry_out(campaign: Campaign, exempt: Iterable[UUID] = (), *, by: Principal, reason: str) -> int:
    """Give the next batch of unanswered items their outcome: first those that are suspended, then those kept.

    `exempt` leaves out items with a later deadline of their own. Runs in the caller's transaction; returns how many
    items got an outcome, 0 when none is left.
    """
    parameters = effects.silent(campaign)
    is_kept = Q(risk__in=parameters["kept_risks"]) | Q(subject_kind__in=parameters["kept_kinds"])
    is_kept &= ~Q(pk__in=parameters["violating"])
    open_items = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW).exclude(
        pk__in=list(exempt)
    )
    stopping = open_items.none() if campaign.is_rehearsal else open_items.exclude(is_kept)
    ids = list(stopping.order_by("number").values_list("pk", flat=True)[:AT_ONCE])
    stops_now = bool(ids)
    ids = ids or list(open_items.order_by("number").values_list("pk", flat=True)[:KEPT_AT_ONCE])
    gone = undecided.supersede(campaign, ids)
    if stops_now:
        rows = open_items.filter(pk__in=ids).select_related("campaign", "agent", "system", "holder")
        _stop(list(rows.order_by("number")), _reason(campaign))
    else:
        _record_outcomes(campaign, ids)
    return gone + undecided.leave_unanswered(campaign, ids, by=by, reason=reason)


def _record_outcomes(campaign: Campaign, ids: Sequence[UUID]) -> None:
    """Record which items are kept, and in a rehearsal which would have been suspended."""
    parameters = effects.silent(campaign, ids)
    with connection.cursor() as cursor:
        for statement in (_FLAG, _REHEARSE) if campaign.is_rehearsal else (_FLAG,):
            cursor.execute(statement, parameters)


def _stop(items: Sequence[ReviewItem], reason: str) -> None:
    """Suspend what the items are about, and record what that was."""
    calls = effects.calls_a_day(items)
    held = remediation.grants_of(item.pk for item in items if subjects.kind_of(item) is None)
    stopped = cuts.stop_all([item for item in items if subjects.kind_of(item) is None], held, by=SYSTEM, reason=reason)
    cut = subjects.Cut(SYSTEM, reason)
    stopped |= {item.pk: kind.cut(item, cut) for item in items if (kind := subjects.kind_of(item)) is not None}
    now = clock.now()
    NoAnswer.objects.bulk_create(
        NoAnswer(
            item=item,
            did=NoAnswer.Outcome.SUSPENDED,
            at=now,
            grants=[UUID(name) for name, was in stopped[item.pk].items() if _is_suspension(was)],
            before={name: was for name, was in stopped[item.pk].items() if not _is_suspension(was)},
            calls_a_day=calls.get(item.pk, 0),
            revoke_at=now + UNTIL_REVOKED,
        )
        for item in items
    )


_FLAG: Final = f"""{effects.LOSING}
INSERT INTO governance_noanswer (item_id, did, at, grants, calls_a_day, reason)
SELECT id, 'keep_flagged', %(now)s, '{{}}', 0, '' FROM silent
WHERE (risk = ANY(%(kept_risks)s) OR subject_kind = ANY(%(kept_kinds)s)) AND id <> ALL(%(violating)s::uuid[])
"""  # noqa: S608 - made of constants
_REHEARSE: Final = f"""{effects.LOSING}
INSERT INTO governance_noanswer (item_id, did, at, grants, calls_a_day, reason)
SELECT s.id, 'rehearsed', %(now)s, coalesce(l.grants, '{{}}'), coalesce(c.calls, 0), '' FROM stopped s
LEFT JOIN (SELECT id, array_agg(grant_id ORDER BY grant_id) AS grants FROM losing GROUP BY id) l ON l.id = s.id
LEFT JOIN called c ON c.id = s.id
"""  # noqa: S608 - made of constants


def _is_suspension(was: object) -> bool:
    return isinstance(was, dict) and holds.SUSPENDED in was


@transaction.atomic
def release(campaign_id: UUID, *, by: Person, reason: str) -> Campaign:
    """Release a deadline that was held, as the owner of the campaign; the next sweep applies it.

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


def revoke_due() -> int:
    """Revoke what a deadline suspended and no second person restored in time; returns how many items.

    One that fails does not block the others. Raises an ExceptionGroup of the failures after all were tried.
    """
    due = NoAnswer.objects.filter(revoke_at__lte=clock.now(), restored_at=None, revoked_at=None)
    ids = list(due.order_by("revoke_at").values_list("pk", flat=True))
    return sum(best_effort.for_each(ids, _revoke))


@transaction.atomic
def _revoke(item_id: UUID) -> int:
    rows = NoAnswer.objects.select_for_update(of=("self",)).select_related("item__campaign", "item__holder")
    row = rows.get(pk=item_id)
    if row.restored_at or row.revoked_at:
        return 0
    locks.exclusive(*((Lock.GRANT, grant) for grant in row.grants))
    is_delegation = row.item.subject_kind == ReviewItem.Subject.DELEGATION
    reason = (
        f"No reviewer answered it in the review {row.item.campaign.slug}, and no second person restored it in time."
    )
    for grant in still_suspended(row):
        if is_delegation:
            person_access.end(row.item, grant, by=SYSTEM, reason=reason)
        else:
            grants.revoke(grant, by=SYSTEM, reason=reason)
    row.revoked_at = clock.now()
    row.save(update_fields=["revoked_at"])
    return 1


def still_suspended(row: NoAnswer) -> list[UUID]:
    """Return the grants that the deadline suspended and that are suspended still."""
    rows = Grant.objects.filter(pk__in=row.grants, state=Grant.State.SUSPENDED)
    return list(rows.order_by("pk").values_list("pk", flat=True))
