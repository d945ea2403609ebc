"""Beginning an event-triggered review: a campaign about one agent, made by the system and owned by an analyst.

Its population, suggestions and reviewers come from the steps of every campaign. A person has at most ten of them open;
further ones wait.
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
from governance.reviews.event_triggered.words import TITLES
from governance.reviews.items import best_effort
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns, snapshot
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import suggestions

from .causes import KIND_RULES

MOST_OPEN: Final = 10
"""How many event-triggered reviews one person has open at once."""
MOST_FACT_BYTES: Final = 32 * 1024
"""How many bytes of facts the event of its beginning repeats; the cause keeps all of them."""
DUE, DUE_CRITICAL = timedelta(days=7), timedelta(days=2)
_LATER: Final = timedelta(hours=1)
"""After how long a cause is tried again that failed, or whose reviewer has too many reviews open."""
_ORDER: Final = Case(
    *(When(kind=kind, then=Value(place)) for place, kind in enumerate(KIND_RULES)),
    output_field=IntegerField(),
)


class _ReviewerFull(Exception):
    """A reviewer has too many event-triggered reviews open."""


class _NothingInForce(Exception):
    """No access in force is left to review."""


def open_due(limit: int = 100) -> int:
    """Begin the reviews of up to `limit` waiting causes, the most urgent kind first; returns how many began.

    Raises an ExceptionGroup of those that failed, after all others began.
    """
    waiting = ReviewTrigger.objects.filter(state=ReviewTrigger.State.WAITING, open_from__lte=clock.now())
    waiting = waiting.exclude(
        Exists(_open_triggers(OuterRef("kind"), OuterRef("subject")))
    )  # one open review of a subject at a time
    ids = list(waiting.order_by(_ORDER, "happened_at").values_list("pk", flat=True)[:limit])
    owner = choose_owner()
    return sum(best_effort.for_each(ids, lambda pk: _try(pk, owner))) if owner is not None else 0


def choose_owner() -> Person | None:
    """Return the owner of a new event-triggered review: the analyst with the fewest campaigns, else of security."""
    for role in (Role.ANALYST, Role.SECURITY):
        rows = Person.objects.holding(role).filter(is_active=True).annotate(n=Count("campaigns", distinct=True))
        if (owner := rows.order_by("n", "login").first()) is not None:
            return owner
    return None


def _try(pk: UUID, owner: Person) -> int:
    """Begin the review of a cause. One that fails is tried again later, so that it does not block the others."""
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
    if trigger is None or _open_triggers(trigger.kind, trigger.subject).exists():
        return 0
    try:
        with transaction.atomic():
            campaign = _begin(trigger, owner)
    except _NothingInForce:
        ReviewTrigger.objects.filter(pk=pk).update(state=ReviewTrigger.State.DROPPED)
        return 0
    except _ReviewerFull:
        ReviewTrigger.objects.filter(pk=pk).update(open_from=clock.now() + _LATER)
        return 0
    trigger.state, trigger.campaign, trigger.opened_at = ReviewTrigger.State.OPENED, campaign, clock.now()
    trigger.save(update_fields=["state", "campaign", "opened_at"])
    return 1


def _open_triggers(kind: str | OuterRef, subject: str | OuterRef) -> QuerySet[ReviewTrigger]:
    """Return the causes of a kind and subject whose review is open now."""
    same = ReviewTrigger.objects.filter(kind=kind, subject=subject)
    return same.filter(campaign__state__in=[Campaign.State.ACTIVE, Campaign.State.PAUSED])


def _begin(trigger: ReviewTrigger, owner: Person) -> Campaign:
    """Create the campaign of a cause and begin it. Raises _NothingInForce, _ReviewerFull."""
    now, scope = clock.now(), _scope(trigger)
    campaign = Campaign.objects.create(
        slug=f"micro-{uuid4().hex[:12]}",
        name=f"{TITLES[trigger.kind]}: {trigger.agent.name}"[:200],
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
        raise _NothingInForce
    suggestions.suggest(campaign, now)
    unresolved = assignment.assign(campaign)
    if _a_reviewer_is_full(campaign):
        raise _ReviewerFull
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
        reason=str(TITLES[trigger.kind]),
        detail={
            "kind": campaign.kind,
            "cause": trigger.kind,
            **_fitting_facts(trigger.facts),
            "population": rows,
            "population_sha256": digest,
            "unresolved": unresolved,
            "scope": scope,
            "scope_sha256": campaign.scope_sha256,
            "due_at": campaign.due_at.isoformat(),
        },
    )
    return campaign


def _fitting_facts(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return as many facts as an event has room for, the oldest first, and how many more there are."""
    sizes = accumulate(len(chain.canonical(fact)) for fact in facts)
    fitting = sum(size <= MOST_FACT_BYTES for size in sizes)
    return {"facts": facts[:fitting], "more_facts": len(facts) - fitting}


def _scope(trigger: ReviewTrigger) -> dict[str, Any]:
    scope: dict[str, Any] = {"agents": [trigger.agent.slug]}
    if trigger.grants:
        scope["where"] = {"field": "grant.id", "op": "in", "value": [str(grant) for grant in trigger.grants][:200]}
    return scope


def _a_reviewer_is_full(campaign: Campaign) -> bool:
    """Whether a reviewer of the campaign has the most event-triggered reviews open that one person may have."""
    reviewers = Assignment.objects.filter(item__campaign=campaign, reviewer__isnull=False).values("reviewer")
    open_ones = Assignment.objects.filter(
        reviewer__in=reviewers,
        state=Assignment.State.ASSIGNED,
        item__state=ReviewItem.State.IN_REVIEW,
        item__campaign__kind=Campaign.Kind.MICRO,
        item__campaign__state=Campaign.State.ACTIVE,
    )
    counted = open_ones.values("reviewer").annotate(n=Count("item__campaign", distinct=True))
    return counted.filter(n__gte=MOST_OPEN).exists()
