"""One decision settles the open items of other reviews that ask about the same access, where it is strict enough.

A settled item is carried forward from the deciding decision, and one event names both. What each rule asks for stands
in `docs/decisions/0052-one-decision-settles-the-same-access.md`. A review under SOX takes no decision from another.

Locks: a submission holds its own campaign and items. It takes those of other campaigns only where they are free, in the
order of campaigns, item numbers, assignments, so two submissions never wait for each other. What was busy is tried once
more after the commit, when nothing is held (`_settle_busy`), or by a sweep (`reopen_due`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef

from audit import log
from audit.actions import Action
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import item_links
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import RecalledDecision
from governance.reviews.reviewers.models import Assignment

from . import fit

logger = logging.getLogger(__name__)

_SAME: Final = """
WITH source AS (
    SELECT d.id AS decision, d.verb, d.decided_at, s.id, s.campaign_id
    FROM governance_reviewdecision d JOIN governance_reviewitem s ON s.current_decision_id = d.id
    WHERE d.id = ANY(%(decisions)s::uuid[]) AND s.subject_kind = 'access' AND d.effective_at IS NULL
), pair AS (
    SELECT DISTINCT s.decision, s.verb, s.id AS source, t.id AS item, t.campaign_id, t.number
    FROM source s JOIN governance_populationrow p ON p.item_id = s.id
    JOIN governance_populationrow o ON o.grant_id = p.grant_id
    JOIN governance_reviewitem t ON t.id = o.item_id AND t.state = 'in_review' AND t.subject_kind = 'access'
    JOIN governance_campaign c ON c.id = t.campaign_id
    WHERE c.id <> s.campaign_id AND c.state = 'active' AND c.framework <> 'sox' AND c.snapshot_at <= s.decided_at
)
SELECT item, decision FROM pair x
WHERE NOT EXISTS (
    SELECT FROM governance_populationrow o JOIN entitlements_grant g ON g.id = o.grant_id
    WHERE o.item_id = x.item AND g.ended_at IS NULL AND (x.verb = 'revoke' AND g.state = 'active' OR NOT EXISTS (
        SELECT FROM governance_populationrow p WHERE p.item_id = x.source AND p.grant_id = o.grant_id)))
AND (x.verb = 'revoke' OR NOT EXISTS (
    SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = x.item
    EXCEPT SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = x.source))
ORDER BY x.campaign_id, x.number, x.decision
"""
"""The open items whose access lies within that of a decided one: with the same lines, or of which nothing works."""
_FREE: Final = """
SELECT id FROM governance_campaign WHERE id = ANY(%s::uuid[]) AND state = ANY(%s) ORDER BY id FOR SHARE SKIP LOCKED
"""


def settle(decided: Sequence[ReviewDecision], *, by: Person) -> list[ReviewItem]:
    """Settle what the decisions of a submission settle elsewhere, in its transaction; returns the items.

    What the decisions cut works already. An item that waits for its second stage settles nothing yet.
    """
    outcomes = {each.item.current_decision_id for each in decided}
    return _settle({pk for pk in outcomes if pk is not None}, by=by)


def _settle(decisions: Collection[UUID], *, by: Person) -> list[ReviewItem]:
    pairs = _pairs(decisions)
    held = _hold(pairs, ReviewItem.State.IN_REVIEW, [Campaign.State.ACTIVE])
    if len(held) < len(pairs):
        transaction.on_commit(lambda: _settle_busy(decisions, by), robust=True)
    if not held:
        return []
    sources = fit.sources({pairs[pk] for pk in held})
    known = fit.facts(held, list(sources.values()))
    fitting = {item: sources[pairs[pk]] for pk, item in held.items() if fit.fits(item, sources[pairs[pk]], known)}
    for item, source in fitting.items():
        item.state, item.carried_from = ReviewItem.State.CARRIED_FORWARD, source.outcome
    items = list(fitting)
    try:
        with transaction.atomic():
            ReviewItem.objects.bulk_update(items, ["state", "carried_from"])
    except IntegrityError:  # the last line refuses more than this module does: the items stay open, the decisions stand
        logger.exception("The database refused to settle %d items.", len(items))
        return []
    live = Assignment.objects.filter(item__in=items, state=Assignment.State.ASSIGNED)
    live.update(state=Assignment.State.WITHDRAWN)
    grants = remediation.grants_of([item.pk for item in items])
    log.record_many(
        Action.REVIEW_SETTLED,
        [
            log.Row(
                about=[*item_links.about(item, grants[item.pk]), f"decision:{source.outcome.pk}"],
                reason=source.outcome.comment or source.outcome.reason_code,
                detail=_where(source.outcome),
            )
            for item, source in fitting.items()
        ],
        by=by.principal,
    )
    return items


@transaction.atomic
def _settle_busy(decisions: Collection[UUID], by: Person) -> None:
    """Try again what was busy. Nothing is held yet, so this waits: for campaigns first, then for items."""
    items = ReviewItem.objects.filter(pk__in=_pairs(decisions)).order_by("campaign", "number")
    with connection.cursor() as cursor:
        for campaign in sorted({item.campaign_id for item in items}):
            cursor.execute("SELECT FROM governance_campaign WHERE id = %s FOR SHARE", [campaign])
    list(items.select_for_update(of=("self",)).values_list("pk"))
    _settle(decisions, by=by)


@transaction.atomic
def reopen_due(items: Collection[UUID] | None = None) -> int:
    """Open again what was settled by decisions that no longer stand, those of some items or all; returns how many.

    The same reviewer is asked again and finds their draft. A review that is over keeps its outcome and names the
    decision; the review in which that was taken back asks again.
    """
    states = [Campaign.State.ACTIVE, Campaign.State.PAUSED]
    rows = ReviewItem.objects.filter(state=ReviewItem.State.CARRIED_FORWARD, campaign__state__in=states)
    if items is None:
        rows = rows.filter(Exists(RecalledDecision.objects.filter(decision__item=OuterRef("carried_from__item"))))
    else:
        rows = rows.filter(carried_from__item__in=items)
    stands = ReviewItem.objects.filter(current_decision=OuterRef("carried_from"))
    due = rows.filter(~Exists(stands)).values_list("pk", flat=True)
    held = _hold(due, ReviewItem.State.CARRIED_FORWARD, states)
    for item in held.values():
        _reopen(item)
    return len(held)


def _reopen(item: ReviewItem) -> None:
    back = RecalledDecision.objects.filter(decision__item__decisions=item.carried_from_id).order_by("-at")
    last = back.select_related("by", "decision__item__campaign")[0]
    item.state, item.carried_from = ReviewItem.State.IN_REVIEW, None
    item.save(update_fields=["state", "carried_from"])
    asked = Assignment.objects.filter(item=item, state=Assignment.State.WITHDRAWN, replaced_by=None)
    Assignment.objects.filter(pk__in=list(asked.order_by("-assigned_at").values_list("pk", flat=True)[:1])).update(
        state=Assignment.State.ASSIGNED
    )
    log.record(
        Action.REVIEW_REOPENED,
        about=[*item_links.about(item), f"decision:{last.decision_id}"],
        by=last.by.principal,
        reason="The decision that settled it was taken back.",
        detail=_where(last.decision),
    )


def _where(decision: ReviewDecision) -> dict[str, str | int]:
    """Name the decision that settles an item, with the review and the item where it was made."""
    return {
        "decision": str(decision.pk),
        "verb": decision.verb,
        "decided_in": decision.item.campaign.slug,
        "decided_item": str(decision.item_id),
        "decided_number": decision.item.number,
        "decided_by": decision.decided_by.login,
    }


def _pairs(decisions: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the open items about the same access, each with the decision that may settle it."""
    if not decisions:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SAME, {"decisions": list(decisions)})
        return dict(cursor.fetchall())


def _hold(items: Iterable[UUID], state: str, campaigns: Sequence[str]) -> dict[UUID, ReviewItem]:
    """Hold those items alone whose campaign and row are free, and return them as they are now."""
    rows = ReviewItem.objects.filter(pk__in=list(items), state=state)
    asking = set(rows.values_list("campaign", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(_FREE, [list(asking), list(map(str, campaigns))])
        free = [pk for (pk,) in cursor.fetchall()]
    rows = rows.filter(campaign__in=free).select_related("campaign", "agent", "system", "holder")
    held = rows.order_by("campaign", "number").select_for_update(of=("self",), skip_locked=True)
    return {item.pk: item for item in held}
