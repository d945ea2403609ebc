"""The end of an event-triggered review: what its answers settle elsewhere, and its closing without a person.

Both wait until no answer can be recalled any more.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from audit import clock
from governance.approval_policies.models import AutoApproval
from governance.approvals import auto_approval_checks
from governance.ownership import dormancy
from governance.reviews.campaigns import close
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import best_effort
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.review_rules import RECALL, Verb
from governance.reviews.population import campaigns
from governance.reviews.population.models import PopulationRow
from governance.reviews.same_access import settlement

from .causes import Kind


def settle_due(limit: int = 200) -> int:
    """Close up to `limit` event-triggered reviews whose items all have a final outcome; returns how many."""
    settlement.reopen_due()
    _end_what_is_gone(limit)
    items = ReviewItem.objects.filter(campaign=OuterRef("pk"))
    recent = clock.now() - RECALL
    lately = ReviewDecision.objects.filter(item__campaign=OuterRef("pk"), decided_at__gt=recent)
    elsewhere = items.filter(carried_from__decided_at__gt=recent)
    rows = Campaign.objects.filter(kind=Campaign.Kind.MICRO, state=Campaign.State.ACTIVE)
    done = rows.filter(~Exists(items.filter(state=ReviewItem.State.IN_REVIEW)) & ~Exists(lately) & ~Exists(elsewhere))
    ids = list(done.order_by("due_at", "pk").values_list("pk", flat=True)[:limit])
    return sum(best_effort.for_each(ids, _settle))


def _end_what_is_gone(limit: int) -> None:
    """Supersede open items whose access has ended."""
    alive = PopulationRow.objects.filter(item=OuterRef("pk"), grant__ended_at=None)
    rows = ReviewItem.objects.filter(~Exists(alive), state=ReviewItem.State.IN_REVIEW)
    rows = rows.filter(campaign__kind=Campaign.Kind.MICRO, campaign__state=Campaign.State.ACTIVE)
    for pk in rows.order_by().values_list("campaign", flat=True).distinct()[:limit]:
        with transaction.atomic():
            undecided.supersede(campaigns.locked(pk))


@transaction.atomic
def _settle(campaign_id: UUID) -> int:
    if not close.close_answered(campaign_id):
        return 0
    trigger = ReviewTrigger.objects.select_related("agent").get(campaign=campaign_id)
    in_this_review = Q(item__campaign=campaign_id, item__current_decision__isnull=False)
    carried = ReviewItem.objects.filter(campaign=campaign_id, carried_from__isnull=False).values("carried_from")
    decisions = list(
        ReviewDecision.objects.filter(in_this_review | Q(pk__in=carried), taken_back=None)
        .exclude(verb=Verb.ABSTAIN)
        .select_related("decided_by")
        .order_by("-decided_at")
    )
    if decisions and trigger.kind == Kind.DORMANT:
        _keep_in_use(trigger, decisions)
    if decisions and trigger.kind == Kind.BY_RULE:
        _record_look(trigger, decisions)
    return 1


def _keep_in_use(trigger: ReviewTrigger, decisions: list[ReviewDecision]) -> None:
    """Record that a dormant agent is still needed where its reviewer kept some access, as its own page does."""
    kept = next((each for each in decisions if each.verb != Verb.REVOKE), None)
    if kept is None:
        return
    try:
        with transaction.atomic():
            dormancy.keep(trigger.agent, by=kept.decided_by, reason=_reason(kept))
    except dormancy.NotDormant:  # it was used, or kept there, meanwhile
        return


def _record_look(trigger: ReviewTrigger, decisions: list[ReviewDecision]) -> None:
    """Count the answer as the later check of an automatic approval, wherever that check was due."""
    verdict = AutoApproval.Verdict.REVOKE if decisions[0].verb == Verb.REVOKE else AutoApproval.Verdict.KEEP
    pk, by = UUID(trigger.facts[0]["rule_approval"]), decisions[0].decided_by
    if not auto_approval_checks.stands_behind(pk, by):  # a person does not check what their own rule approved
        auto_approval_checks.looked_at(pk, by=by, verdict=verdict, reason=_reason(decisions[0]))


def _reason(decision: ReviewDecision) -> str:
    return (decision.comment or decision.reason_code or "Kept in a review.")[:500]
