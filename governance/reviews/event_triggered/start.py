"""Beginning a small review: a campaign of one agent, made by the product, with an analyst to turn to.

It takes its population, suggestions and reviewers by the steps of every campaign. Nobody has more than ten open at
once: what comes on top waits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from itertools import accumulate
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, Count, Exists, IntegerField, OuterRef, QuerySet, Value, When

from audit import chain, clock, log
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.people.models import Person, Role
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import best_effort
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns, snapshot
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import suggestions

from .causes import KIND_RULES

MOST_OPEN: Final = 10
"""How many small reviews one person has at once."""
MOST_TOLD: Final = 32 * 1024
"""How many bytes of facts the record of its beginning repeats; all of them stay with the cause."""
DUE, DUE_CRITICAL = timedelta(days=7), timedelta(days=2)
_LATER: Final = timedelta(hours=1)
"""After how long a cause is tried again whose reviewer has enough to answer, or that failed."""
_ORDER: Final = Case(
    *(When(kind=kind, then=Value(place)) for place, kind in enumerate(KIND_RULES)),
    output_field=IntegerField(),
)


class _Full(Exception):
    """Whoever would answer has enough to answer."""


class _Nothing(Exception):
    """Nothing is in force that could be asked about."""


def open_due(limit: int = 100) -> int:
    """Begin the reviews of up to `limit` causes that wait, the weightiest first; says how many began.

    Raises an ExceptionGroup of those that failed, after all others began.
    """
    waiting = ReviewTrigger.objects.filter(state=ReviewTrigger.State.WAITING, open_from__lte=clock.now())
    waiting = waiting.exclude(Exists(_open_ones(OuterRef("kind"), OuterRef("subject"))))  # those wait for these
    ids = list(waiting.order_by(_ORDER, "happened_at").values_list("pk", flat=True)[:limit])
    owner = choose_owner()
    return sum(best_effort.for_each(ids, lambda pk: _try(pk, owner))) if owner is not None else 0


def choose_owner() -> Person | None:
    """Return the person a small review belongs to: the analyst with the fewest, or else somebody of security."""
    for role in (Role.ANALYST, Role.SECURITY):
        rows = Person.objects.holding(role).filter(is_active=True).annotate(n=Count("campaigns", distinct=True))
        if (found := rows.order_by("n", "login").first()) is not None:
            return found
    return None


def _try(pk: UUID, owner: Person) -> int:
    """Begin the review of a cause. One that fails goes behind the others, so that a hundred of them stop nobody."""
    try:
        return _open(pk, owner)
    except Exception:
        waiting = ReviewTrigger.objects.filter(pk=pk, state=ReviewTrigger.State.WAITING)
        waiting.update(open_from=clock.now() + _LATER)
        raise


@transaction.atomic
def _open(pk: UUID, owner: Person) -> int:
    row = ReviewTrigger.objects.select_for_update(of=("self",), skip_locked=True).select_related("agent")
    trigger = row.filter(pk=pk, state=ReviewTrigger.State.WAITING).first()
    if trigger is None or _open_ones(trigger.kind, trigger.subject).exists():
        return 0
    try:
        with transaction.atomic():
            campaign = _begin(trigger, owner)
    except _Nothing:
        ReviewTrigger.objects.filter(pk=pk).update(state=ReviewTrigger.State.DROPPED)
        return 0
    except _Full:
        ReviewTrigger.objects.filter(pk=pk).update(open_from=clock.now() + _LATER)
        return 0
    trigger.state, trigger.campaign, trigger.opened_at = ReviewTrigger.State.OPENED, campaign, clock.now()
    trigger.save(update_fields=["state", "campaign", "opened_at"])
    return 1


def _open_ones(kind: str | OuterRef, subject: str | OuterRef) -> QuerySet[ReviewTrigger]:
    """Return what is being asked about now of a kind and subject."""
    same = ReviewTrigger.objects.filter(kind=kind, subject=subject)
    return same.filter(campaign__state__in=[Campaign.State.ACTIVE, Campaign.State.PAUSED])


def _begin(trigger: ReviewTrigger, owner: Person) -> Campaign:
    """Make the campaign of a cause and begin it. Raises _Nothing, _Full."""
    now, scope = clock.now(), _scope(trigger)
    campaign = Campaign.objects.create(
        slug=f"micro-{uuid4().hex[:12]}",
        name=f"{trigger.get_kind_display()}: {trigger.agent.name}"[:200],
        kind=Campaign.Kind.MICRO,
        owner=owner,
        scope=scope,
        scope_sha256=hashlib.sha256(chain.canonical(scope)).hexdigest(),
        due_at=now + DUE,
        created_at=now,
        load_cap=None,
    )
    campaigns.save(campaign, state=Campaign.State.STAGING)
    rows, digest = snapshot.take(campaign, now)
    if not rows:
        raise _Nothing
    suggestions.suggest(campaign, now)
    unresolved = assignment.assign(campaign)
    if _somebody_is_full(campaign):
        raise _Full
    critical = ReviewItem.objects.filter(campaign=campaign, risk=Risk.CRITICAL).exists()
    campaigns.save(
        campaign,
        due_at=now + (DUE_CRITICAL if critical else DUE),
        state=Campaign.State.STAGED,
        snapshot_at=now,
        population_rows=rows,
        population_sha256=digest,
    )
    campaigns.save(campaign, state=Campaign.State.ACTIVE)
    log.record(
        Action.CAMPAIGN_ACTIVATED,
        about=[*campaigns.about(campaign), f"agent:{trigger.agent.slug}"],
        by=SYSTEM,
        reason=str(trigger.get_kind_display()),
        detail={
            "kind": campaign.kind,
            "cause": trigger.kind,
            **_told(trigger.facts),
            "population": rows,
            "population_sha256": digest,
            "unresolved": unresolved,
            "scope": scope,
            "scope_sha256": campaign.scope_sha256,
            "due_at": campaign.due_at.isoformat(),
        },
    )
    return campaign


def _told(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return as many facts as an event has room for, the first first, and how many more there are."""
    sizes = accumulate(len(chain.canonical(fact)) for fact in facts)
    fitting = sum(size <= MOST_TOLD for size in sizes)
    return {"facts": facts[:fitting], "more_facts": len(facts) - fitting}


def _scope(trigger: ReviewTrigger) -> dict[str, Any]:
    scope: dict[str, Any] = {"agents": [trigger.agent.slug]}
    if trigger.grants:
        scope["where"] = {"field": "grant.id", "op": "in", "value": [str(grant) for grant in trigger.grants][:200]}
    return scope


def _somebody_is_full(campaign: Campaign) -> bool:
    """Whether somebody whom it asks would have more small reviews open than anybody has."""
    asked = Assignment.objects.filter(item__campaign=campaign, reviewer__isnull=False).values("reviewer")
    open_ones = Assignment.objects.filter(
        reviewer__in=asked,
        state=Assignment.State.ASSIGNED,
        item__state=ReviewItem.State.IN_REVIEW,
        item__campaign__kind=Campaign.Kind.MICRO,
        item__campaign__state=Campaign.State.ACTIVE,
    )
    counted = open_ones.values("reviewer").annotate(n=Count("item__campaign", distinct=True))
    return counted.filter(n__gte=MOST_OPEN).exists()
