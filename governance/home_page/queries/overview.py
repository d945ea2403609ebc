"""What an analyst finds at home: what waits in the reviews, the company in figures, each campaign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.agents.models import Agent
from governance.exceptions import queries as exceptions
from governance.exceptions.models import RegisteredException
from governance.ownership.models import OwnershipProposal
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import tallies
from governance.reviews.items.review_rules import Verb
from governance.reviews.remediation.models import Remediation
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.usage import coverage
from governance.revocations.queries import time_to_revoke

from .queue_row import QueueRow, page

_DEADLINE: Final = timedelta(hours=72)
_FEW: Final = 5000
"""Up to how many open items the effect of a deadline is counted with every look."""
_CAMPAIGNS: Final = 8
_MOST_PASSED_ON, _SOME = 30, 3
"""The percentage of "don't know" decisions above which a campaign is listed, and their least count."""


def needs() -> list[QueueRow]:
    """Return what waits for an analyst in the access reviews and the register of exceptions."""
    return [*_deadlines(), *_overdue(), *_failed(), *_unresolved(), *_passed_on(), *_sponsors(), *_exceptions()]


def _campaign_row(campaign: Campaign, title: str, due: datetime | None, detail: str) -> QueueRow:
    return QueueRow(_("Campaign"), title, page("review-page", campaign.slug), _("Open the review"), due, detail)


def _deadlines() -> Iterator[QueueRow]:
    """Yield the campaigns whose deadline suspends access within three days."""
    now = clock.now()
    rows = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lte=now + _DEADLINE).select_related("owner")
    for campaign in rows:
        at = deadlines.grace_ends(campaign)
        open_items = tallies.still_open([campaign]).get(campaign.pk, 0)
        if not open_items or at > now + _DEADLINE:
            continue
        if campaign.deadline_held and not campaign.deadline_released_at:
            yield _held(campaign)
            continue
        if campaign.is_rehearsal:
            detail = _("A rehearsal: nothing is suspended")
        elif open_items > _FEW:  # counting what is suspended takes longer than this page may
            words = _("%(n)s items are open; without a decision their access is suspended by risk level")
            detail = words % {"n": f"{open_items:,}"}
        else:
            grants = effects.effect(campaign).grants
            detail = ngettext(
                "%(n)d access is suspended without a decision",
                "%(n)d accesses are suspended without a decision",
                grants,
            )
            detail %= {"n": grants}
        yield _campaign_row(campaign, _("The deadline of %(name)s") % {"name": campaign.name}, at, detail)


def _held(campaign: Campaign) -> QueueRow:
    """Return that a deadline waits until the campaign's owner has confirmed how much access it suspends."""
    grants = (campaign.deadline_held or {}).get("grants", 0)
    detail = ngettext(
        "%(n)d access would be suspended; none is before the confirmation",
        "%(n)d accesses would be suspended; none is before the confirmation",
        grants,
    )
    words = _("The deadline of %(name)s waits for the confirmation of %(owner)s")
    title = words % {"name": campaign.name, "owner": campaign.owner.name}
    return _campaign_row(campaign, title, None, detail % {"n": grants})


def _overdue() -> Iterator[QueueRow]:
    rows = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lt=clock.now()).order_by("due_at")
    late = list(rows[:_CAMPAIGNS])
    still_open = tallies.still_open(late)
    for campaign in late:
        left = still_open.get(campaign.pk, 0)
        detail = ngettext("%(n)d item is open", "%(n)d items are open", left) % {"n": left}
        yield _campaign_row(campaign, _("%(name)s is overdue") % {"name": campaign.name}, campaign.due_at, detail)


def _failed() -> Iterator[QueueRow]:
    failed = Remediation.objects.filter(state=Remediation.State.FAILED)
    rows = failed.select_related("decision__item__campaign", "decision__item__agent", "decision__item__system")
    for remediation in rows.order_by("due_at")[:_CAMPAIGNS]:
        title = _("The remediation of %(name)s failed its verification") % {"name": remediation.decision.item.name}
        yield _item_row(_("Remediation"), title, remediation, remediation.due_at)


def _item_row(kind: str, title: str, remediation: Remediation, due: datetime) -> QueueRow:
    item = remediation.decision.item
    address = page("review-item-page", item.campaign.slug, item.pk)
    return QueueRow(kind, title, address, _("Open the item"), due, item.campaign.name)


def _unresolved() -> Iterator[QueueRow]:
    for campaign, count in tallies.unresolved():
        title = ngettext("%(n)d unassigned item", "%(n)d unassigned items", count) % {"n": count}
        address = page("review-page", campaign.slug, query="#h-unassigned")
        yield QueueRow(_("Campaign"), title, address, _("Assign reviewers"), campaign.due_at, campaign.name)


def _passed_on() -> Iterator[QueueRow]:
    """Yield the campaigns where more than three of ten decisions are "don't know" (design 5, 3.4)."""
    under_way = ReviewDecision.objects.filter(item__campaign__state=Campaign.State.ACTIVE).order_by()
    passed = under_way.filter(verb=Verb.ABSTAIN).values(slug=F("item__campaign__slug"), name=F("item__campaign__name"))
    for row in passed.annotate(n=Count("pk")).filter(n__gte=_SOME).order_by("-n"):
        percent = 100 * row["n"] // under_way.filter(item__campaign__slug=row["slug"]).count()
        if percent > _MOST_PASSED_ON:
            title = _("%(n)d of 100 decisions are “Don't know”") % {"n": percent}
            address = page("review-page", row["slug"])
            yield QueueRow(_("Campaign"), title, address, _("Open the review"), detail=row["name"])


def _sponsors() -> Iterator[QueueRow]:
    waiting = OwnershipProposal.objects.filter(office="sponsor", state=OwnershipProposal.State.WAITING)
    rows = waiting.exclude(agent__status=Agent.Status.RETIRED).select_related("agent", "person")
    for proposal in rows.order_by("answer_by")[:_CAMPAIGNS]:
        title = _("%(person)s has not yet accepted ownership of %(agent)s")
        title %= {"person": proposal.person.name, "agent": proposal.agent.name}
        address = page("agent-page", proposal.agent.slug)
        yield QueueRow(_("Ownership"), title, address, _("Open the agent"), proposal.answer_by)


def _exceptions() -> Iterator[QueueRow]:
    """Yield the exceptions that end soon, from the exception register."""
    rows = RegisteredException.objects.filter(exceptions.conditions(clock.now())["ends_soon"]).select_related("agent")
    for row in rows.order_by("expires_at")[:_CAMPAIGNS]:
        if row.kind == RegisteredException.Kind.REMEDIATION:
            title, detail = _("A remediation exception ends: %(name)s") % {"name": row.what}, row.beneath
        else:
            title = _("The exception from “%(rule)s” ends for %(agent)s")
            title, detail = title % {"rule": row.beneath, "agent": row.agent.name if row.agent else ""}, ""
        yield QueueRow(_("Exception"), title, row.address, _("Open"), row.expires_at, detail)


def numbers() -> dict[str, Any]:
    """Return the figures of the whole company; a value is None where there is nothing to count."""
    agents = Agent.objects.exclude(status=Agent.Status.RETIRED)
    gone = Q(sponsor__is_active=False) | Q(owner__is_active=False) | Q(owner=None)
    open_reviews = Campaign.objects.filter(state__in=(Campaign.State.ACTIVE, Campaign.State.PAUSED))
    values: dict[str, Any] = {"agents": agents.count(), "orphaned": agents.filter(gone).count()}
    values |= {
        "revoke_ms": time_to_revoke.company(),
        "open_reviews": open_reviews.exclude(kind=Campaign.Kind.MICRO).count(),
    }
    if access := coverage.access():
        values |= {"access": access, "unused": access.granted - access.used, "trend": plots_queries.coverage(access)}
    return values


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One campaign of the table."""

    campaign: Campaign
    parts: list[read.Part]
    answered: int
    burn: str
    is_late: bool


def campaigns() -> list[CampaignLine]:
    """Return the campaigns under way and the last ones before them."""
    rows = (
        Campaign.objects.filter(state__in=Campaign.BEGAN)
        .exclude(kind=Campaign.Kind.MICRO)
        .order_by("-snapshot_at")[:_CAMPAIGNS]
    )
    return [campaign_line(campaign) for campaign in rows]


def campaign_line(campaign: Campaign) -> CampaignLine:
    """Return what a table says of one campaign."""
    parts = read.progress(campaign)
    ended = campaign.closing_at or clock.now()
    is_late = ended > campaign.due_at and campaign.state != Campaign.State.PAUSED
    return CampaignLine(campaign, parts, read.answered(parts), plots_queries.small_burn_down(campaign), is_late)
