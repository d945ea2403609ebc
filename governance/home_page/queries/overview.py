"""The analyst's home: what needs attention now, as sentences; numbers for auditors; each campaign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from django.db.models import Count, F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.agents.models import Agent
from entitlements.revocation.models import Revocation
from governance.ownership.models import OwnershipProposal
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.deadlines import deadlines, effects
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import tallies
from governance.reviews.items.review_rules import Verb
from governance.reviews.quality import care
from governance.reviews.remediation.models import Remediation, RemediationException
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.usage import coverage
from governance.sod.models import SodException

_SOON: Final = timedelta(days=14)
_DEADLINE: Final = timedelta(hours=72)
_FEW: Final = 5000
"""Up to how many open items the effect of a deadline is counted with every look."""
_CAMPAIGNS: Final = 8
_MOST_PASSED_ON, _SOME = 30, 3
"""The percentage of "can't judge" answers above which a campaign is listed, and their least count."""


@dataclass(frozen=True, slots=True)
class Need:
    """One sentence that leads to where something can be done about it."""

    sentence: str
    href: str
    when: datetime | None = None
    detail: str = ""


def needs() -> list[Need]:
    """Return what needs an analyst, the most urgent first."""
    return [*_deadlines(), *_overdue(), *_failed(), *_unresolved(), *_passed_on(), *_sponsors(), *_exceptions()]


def _deadlines() -> Iterator[Need]:
    """Yield the campaigns whose deadline suspends access within three days."""
    now = clock.now()
    rows = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lte=now + _DEADLINE).select_related("owner")
    for campaign in rows:
        at = deadlines.grace_ends(campaign)
        open_items = tallies.still_open([campaign]).get(campaign.pk, 0)
        if not open_items or at > now + _DEADLINE:
            continue
        if campaign.deadline_held and not campaign.deadline_released_at:
            yield Need(*_held(campaign))
            continue
        if campaign.is_rehearsal:
            detail = _("a rehearsal: nothing stops")
        elif open_items > _FEW:  # counting what stops takes longer than this page may
            detail = _("%(n)s items are open, and unanswered ones stop by their risk level") % {"n": f"{open_items:,}"}
        else:
            stops = effects.effect(campaign).grants
            detail = ngettext(
                "%(n)d access stops unless it is answered", "%(n)d accesses stop unless they are answered", stops
            )
            detail %= {"n": stops}
        yield Need(_("The deadline of %(name)s") % {"name": campaign.name}, f"/reviews/{campaign.slug}/", at, detail)


def _held(campaign: Campaign) -> tuple[str, str, None, str]:
    """Return that a campaign's deadline waits until its owner has confirmed how much access it suspends."""
    stops = (campaign.deadline_held or {}).get("grants", 0)
    detail = ngettext(
        "%(n)d access would stop; nothing does until then", "%(n)d accesses would stop; nothing does until then", stops
    )
    words = _("The deadline of %(name)s waits for the word of %(owner)s")
    return (
        words % {"name": campaign.name, "owner": campaign.owner.name},
        f"/reviews/{campaign.slug}/",
        None,
        detail % {"n": stops},
    )


def _overdue() -> Iterator[Need]:
    rows = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lt=clock.now()).order_by("due_at")
    late = list(rows[:_CAMPAIGNS])
    still_open = tallies.still_open(late)
    for campaign in late:
        left = still_open.get(campaign.pk, 0)
        detail = ngettext("%(n)d item is open", "%(n)d items are open", left) % {"n": left}
        yield Need(
            _("%(name)s is overdue") % {"name": campaign.name}, f"/reviews/{campaign.slug}/", campaign.due_at, detail
        )


def _failed() -> Iterator[Need]:
    failed = Remediation.objects.filter(state=Remediation.State.FAILED)
    rows = failed.select_related("decision__item__campaign", "decision__item__agent", "decision__item__system")
    for remediation in rows.order_by("due_at")[:_CAMPAIGNS]:
        item = remediation.decision.item
        address = f"/reviews/{item.campaign.slug}/items/{item.pk}/"
        yield Need(_("A removal could not be proven: %(name)s") % {"name": item.name}, address, remediation.due_at)


def _unresolved() -> Iterator[Need]:
    for campaign, count in tallies.unresolved():
        sentence = ngettext("%(n)d item has no reviewer", "%(n)d items have no reviewer", count) % {"n": count}
        yield Need(sentence, f"/reviews/{campaign.slug}/#h-unassigned", None, campaign.name)


def _passed_on() -> Iterator[Need]:
    """Yield the campaigns where more than three of ten answers are "can't judge" (design 5, 3.4)."""
    under_way = ReviewDecision.objects.filter(item__campaign__state=Campaign.State.ACTIVE).order_by()
    passed = under_way.filter(verb=Verb.ABSTAIN).values(slug=F("item__campaign__slug"), name=F("item__campaign__name"))
    for row in passed.annotate(n=Count("pk")).filter(n__gte=_SOME).order_by("-n"):
        percent = 100 * row["n"] // under_way.filter(item__campaign__slug=row["slug"]).count()
        if percent > _MOST_PASSED_ON:
            sentence = _("%(n)d of 100 answers are “I can't judge”") % {"n": percent}
            yield Need(sentence, f"/reviews/{row['slug']}/", None, row["name"])


def _sponsors() -> Iterator[Need]:
    waiting = OwnershipProposal.objects.filter(office="sponsor", state=OwnershipProposal.State.WAITING)
    rows = waiting.exclude(agent__status=Agent.Status.RETIRED).select_related("agent", "person")
    for proposal in rows.order_by("answer_by")[:_CAMPAIGNS]:
        sentence = _("%(person)s has not answered yet whether to own %(agent)s")
        sentence %= {"person": proposal.person.name, "agent": proposal.agent.name}
        yield Need(sentence, f"/agents/{proposal.agent.slug}/", proposal.answer_by)


def _exceptions() -> Iterator[Need]:
    now = clock.now()
    soon = {"ended_at": None, "expires_at__gt": now, "expires_at__lte": now + _SOON}
    cuts = RemediationException.objects.filter(**soon).select_related("remediation__decision__item__campaign")
    for cut in cuts.order_by("expires_at")[:_CAMPAIGNS]:
        item = cut.remediation.decision.item
        address = f"/reviews/{item.campaign.slug}/items/{item.pk}/"
        yield Need(_("An exception from a removal ends: %(name)s") % {"name": item.name}, address, cut.expires_at)
    for exception in (
        SodException.objects.filter(**soon).select_related("rule", "agent").order_by("expires_at")[:_CAMPAIGNS]
    ):
        sentence = _("An exception from “%(rule)s” ends for %(agent)s") % {
            "rule": exception.rule.name,
            "agent": exception.agent.name,
        }
        yield Need(sentence, f"/sod-policies/{exception.rule_id}/", exception.expires_at)


def numbers() -> dict[str, Any]:
    """Return the headline and what stands beside it."""
    agents = Agent.objects.exclude(status=Agent.Status.RETIRED)
    owned = agents.filter(sponsor__is_active=True, owner__is_active=True).count()
    values: dict[str, Any] = {"agents": agents.count(), "owned": owned, "stop_ms": _stopping()}
    values["owned_percent"] = 100 * owned // values["agents"] if values["agents"] else None
    if access := coverage.access():
        values |= {"access": access, "trend": plots_queries.coverage(access)}
    return values


def _stopping() -> int | None:
    """Return the median of milliseconds until the slowest node obeyed, over the last revocations; None without any."""
    acknowledged = (
        Revocation.objects.exclude(acknowledged=[]).order_by("-committed_at").values_list("acknowledged", flat=True)
    )
    slowest = [max(float(node["after_ms"]) for node in nodes) for nodes in acknowledged[:100]]
    return round(median(slowest)) if slowest else None


@dataclass(frozen=True, slots=True)
class CampaignLine:
    """One campaign of the table."""

    campaign: Campaign
    parts: list[read.Part]
    answered: int
    burn: str
    is_late: bool
    care: care.Care | None


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
    return CampaignLine(
        campaign, parts, read.answered(parts), plots_queries.small_burn_down(campaign), is_late, care.known(campaign)
    )
